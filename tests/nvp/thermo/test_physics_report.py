"""The data sheet of the perturbations, small: its shape, its signs, and that a broken operation is told."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.dynamics.perturbations import Perturbed
from nvp.dynamics.perturbed_config import BOUNDARY_MODES, DOMAIN_PARAMETERS
from nvp.thermo import physics_report as module
from nvp.thermo.physics_report import physics_report


@pytest.fixture(scope="module")
def report() -> dict:
    return physics_report(maps=30, scale=16, map_scale=32)


def test_errors_are_told_before_and_after_the_total_is_mended(report: dict) -> None:
    operations = report["first_law"]["operations"]
    assert set(operations["rotation 45 deg"]) == set(BOUNDARY_MODES)
    rotation = operations["rotation 45 deg"]["zero"]["turbulent"]
    assert rotation["pre_rescale"] < -0.05
    assert rotation["post_rescale"] < 1e-12
    assert operations["translation 10 px"]["wrap"]["random"] == {"pre_rescale": 0.0, "post_rescale": 0.0}
    for errors in report["first_law"]["energy_scaling 1.1"].values():
        assert errors["without_source"] == pytest.approx(0.1)
        assert errors["with_source"] < 1e-12
    assert report["failed"] == []


def test_entropy_is_told_by_domain_and_operation(report: dict) -> None:
    domains = report["second_law"]["domains"]
    assert set(domains) == set(DOMAIN_PARAMETERS)
    assert report["second_law"]["tolerance_nats"] == pytest.approx(1e-6 * np.log(256))
    for name, (_, config) in DOMAIN_PARAMETERS.items():
        assert set(domains[name]) == {*config.operations, "step", "sequence"}
        assert domains[name]["thermal_blur"]["rate"] == 0
        assert domains[name]["thermal_blur"]["n"] == 30
        assert domains[name]["sequence"]["n"] == 36
    plasma = domains["plasma_physics"]
    assert plasma["gaussian_noise"]["rate"] > 0.9
    assert plasma["gaussian_noise"]["mean_change"] < 0
    assert not plasma["gaussian_noise"]["within_target"]
    # at first the blur wins; maps that are smooth already lose by the noise
    assert plasma["step"]["rate"] < plasma["sequence"]["rate"] < 1


def test_an_operation_that_does_not_conserve_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    leak = {"leak": lambda energy, boundary, rng: Perturbed(0.9 * energy, -0.1)}
    monkeypatch.setattr(module, "STRENGTHS", leak)
    told = physics_report(maps=1, scale=16, map_scale=16)["failed"]
    assert len(told) == 4 * len(BOUNDARY_MODES)
    assert "leak (wrap, turbulent): 0.1" in told


def test_progress_counts_maps() -> None:
    told: list[tuple[int, int]] = []
    module.second_law(maps=2, scale=16, seed=0, progress=lambda *at: told.append(at))
    assert told[-1] == (10, 10)
