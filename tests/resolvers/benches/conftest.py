"""Trainings of the benches' tests run on one of the four devices that tests have."""

from __future__ import annotations

import pytest

from nvp.training import loop
from nvp.training.devices import Devices


@pytest.fixture(autouse=True)
def _one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sharding over devices that are threads of one CPU is slow, and tested with the trainer."""

    def alone(count: int | None, *, batch: int) -> Devices:
        return Devices(count or 1, batch=batch)

    monkeypatch.setattr(loop, "Devices", alone)
