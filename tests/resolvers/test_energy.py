"""Energy that nobody measured is an estimate, says so, and is not made up for accelerators."""

from __future__ import annotations

import pytest

from resolvers.energy import WATTS_PER_CORE, estimated


@pytest.mark.parametrize("device", [None, "cpu"])
def test_processors_are_counted_by_their_time(device: str | None) -> None:
    spent = estimated(3.0, device)
    assert spent is not None
    assert spent.joules == pytest.approx(3 * WATTS_PER_CORE)
    assert spent.source == "estimated: 10 W × CPU seconds"


def test_of_an_accelerator_nothing_is_said() -> None:
    assert estimated(3.0, "NVIDIA H200") is None
