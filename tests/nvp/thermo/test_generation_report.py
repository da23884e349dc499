"""The figures of generated data, against what they are by definition, and the criteria they have to meet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nvp.atlas.entropy import spatial_entropy
from nvp.atlas.series import Series
from nvp.dynamics.kinds import configure_kind, make
from nvp.thermo.generation_report import DomainReport, missed

RNG = np.random.default_rng(0)
GOOD: dict[str, Any] = {
    "first_law_residual": 1e-7,
    "persistence_vrmse": 0.4,
    "linear_fidelity": -0.2,
    "n": 5,
    "frames": 50,
}


def series(energy: np.ndarray, **more: Any) -> Series:
    return Series(energy=energy.astype(np.float32), dt=1.0, domain="fluid_dynamics", **more)


def walk(scale: float = 0.1) -> np.ndarray:
    energy = 1 + scale * RNG.standard_normal((6, 16, 16, 1)).cumsum(axis=0)
    energy = np.maximum(energy, 0.01)
    return energy / energy.mean(axis=(1, 2), keepdims=True)


def figures(*given: Series) -> dict[str, Any]:
    report = DomainReport("fluid_dynamics")
    for one in given:
        report.add(one)
    return report.to_json()


def test_figures_are_over_all_sequences() -> None:
    fields = [walk(0.1), walk(0.2)]
    said = figures(*(series(field) for field in fields))
    truth = np.concatenate([field[1:, ..., 0] for field in fields])
    now = np.concatenate([field[:-1, ..., 0] for field in fields])
    vrmse = np.sqrt(((truth - now) ** 2).mean((1, 2)) / (truth.var((1, 2), ddof=1) + 1e-7)).mean()
    assert said["persistence_vrmse"] == pytest.approx(vrmse, rel=1e-4)
    error = sum(((2 * f[1:-1] - f[:-2] - f[2:]) ** 2).sum() for f in fields)
    change = sum(((f[2:] - f[1:-1]) ** 2).sum() for f in fields)
    assert said["linear_fidelity"] == pytest.approx(1 - np.sqrt(error / change), abs=1e-4)
    falls = np.concatenate([np.diff(spatial_entropy(f)) < -1e-6 * np.log(256) for f in fields])
    assert said["second_law_rate"] == said["entropy_fall_rate"] == falls.mean()
    assert (said["n"], said["frames"]) == (2, 12)


def test_the_residual_is_the_largest_of_all_steps_and_knows_source_and_outflow() -> None:
    field = walk()
    leaky = field.copy()
    leaky[3] *= 1.01
    assert figures(series(field))["first_law_residual"] < 1e-6
    assert figures(series(leaky), series(field))["first_law_residual"] == pytest.approx(0.01, rel=0.02)
    gained = np.zeros(6)
    gained[3], gained[4] = 2.56, -2.56
    assert figures(series(leaky, source_total=gained, outflow_total=np.zeros(6)))["first_law_residual"] < 1e-5
    split = {"source_total": 2 * gained, "outflow_total": gained}
    assert figures(series(leaky, **split))["first_law_residual"] < 1e-5


def test_the_digest_is_that_of_the_frames_in_order() -> None:
    one, other = series(walk()), series(walk())
    digest = figures(one, other)["digest"]
    assert digest == figures(one, other)["digest"]
    assert digest != figures(other, one)["digest"]
    changed = np.array(one.energy)
    changed[5, 15, 15, 0] = np.nextafter(changed[5, 15, 15, 0], np.float32(9))
    assert digest != figures(series(changed), other)["digest"]


def test_a_domain_without_second_law_has_a_rate_under_another_name() -> None:
    report = DomainReport("surface_temperature")
    report.add(series(walk()))
    assert report.to_json()["second_law_rate"] is None
    assert report.to_json()["entropy_fall_rate"] is not None


def test_the_noise_ceiling_is_pooled_over_perturbed_sequences() -> None:
    config = configure_kind("perturbation", "fluid_dynamics", {"scale": 32, "steps": 5})
    made = make("perturbation", "fluid_dynamics", config, 0, sequences=3)
    change = sum((np.diff(one.energy.astype(float), axis=0) ** 2).sum() for one in made)
    noise = sum(4 * one.parameters["irreducible"] for one in made)
    said = figures(*made)
    assert said["noise_ceiling"] == pytest.approx(1 - np.sqrt(noise / change))
    assert said["first_law_residual"] < 1e-6
    assert figures(made[0], series(walk()))["noise_ceiling"] is None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"first_law_residual": 1e-5}, "residual below 1e-05"),
        ({"first_law_residual": None}, "residual"),
        ({"persistence_vrmse": 0.19}, "persistence VRMSE"),
        ({"persistence_vrmse": None}, "persistence VRMSE"),
        ({"linear_fidelity": 0.51}, "linear fidelity"),
        ({"linear_fidelity": None}, "linear fidelity"),
    ],
)
def test_each_criterion_can_be_missed(change: dict[str, Any], word: str) -> None:
    assert missed(GOOD) == []
    (said,) = missed(GOOD | change)
    assert word in said
    # pictures are judged by the first law alone
    assert missed(GOOD | change, predictable=False) == ([said] if "residual" in word else [])


def test_two_frames_have_nothing_to_extrapolate_from() -> None:
    assert missed(GOOD | {"linear_fidelity": None, "frames": 10}) == []


def test_a_damaged_field_is_no_pass() -> None:
    field = walk()
    field[2, 0, 0] = np.nan
    with np.errstate(invalid="ignore"):
        assert missed(figures(series(field)))
