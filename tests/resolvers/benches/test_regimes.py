"""`fieldgraph bench regimes` in small: the votes are over all fields of a seed, files beside the simulated ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nvp.atlas.series import Series
from nvp.dynamics import simulators
from resolvers.benches.regimes import RegimesConfig, bench_regimes, passed


def fields(domain: str, kind: str, frames: int, seed: int) -> Series:
    """Long waves that drift, or noise."""
    x = 2 * np.pi * np.arange(32) / 32
    rng = np.random.default_rng(seed)
    wave = np.stack([np.cos(x[:, None] + x[None, :] + 0.1 * t) for t in range(frames)])
    energy = 5 + (wave if kind == "smooth" else rng.standard_normal((frames, 32, 32)))
    return Series(energy=energy[..., None].astype(np.float32), dt=1.0, domain=domain)


def simulated(domain: str, kind: str) -> Any:
    def simulate(config: Any, key: Any, *, sequences: int, **_: Any) -> list[Series]:
        return [fields(domain, kind, config.steps, number) for number in range(sequences)]

    return simulate


def test_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"fluid_dynamics": simulated("fluid_dynamics", "smooth")}
    monkeypatch.setattr(simulators, "SIMULATORS", made)
    config = RegimesConfig(sequences=2, steps=20, scale=32, seeds=(0, 1))
    file = fields("surface_temperature", "rough", 10, 7)
    told: list[str] = []
    found = bench_regimes(config, [file], on_progress=lambda domain, done, line: told.append(domain))
    assert found["regimes"] == ["rough", "smooth"]
    assert found["counts"] == {"smooth": 40, "rough": 10}
    assert (found["n"], found["agreement"], found["least"]) == (2 * 25, 1.0, 1.0)
    # naming the commonest for all would be right for the simulated ones only
    assert found["majority"] == pytest.approx(20 / 25)
    assert found["domains"]["surface_temperature"]["counts"] == {"rough": 10}
    assert set(told) == {"fluid_dynamics"}


def test_agreement_must_beat_naming_one_regime_for_all() -> None:
    good = {"regimes": ["a", "b", "c"], "least": 0.9, "agreement": 0.95, "apart": 0.92, "majority": 0.85}
    assert passed(good)
    for worse in ({"majority": 0.95}, {"apart": 0.84}, {"least": 0.79}, {"regimes": ["a", "b"]}):
        assert not passed(good | worse)
