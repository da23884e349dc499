"""What each measure rewards: the traps of the looser ones, and what persistence makes of all of them."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.dynamics.domain import domain
from nvp.prediction.measures import ENTROPIES, Seen
from nvp.thermo.scores import pair_errors
from tests.nvp.fields import fluid_series

FLUID = domain("fluid_dynamics")
FRAMES = np.concatenate([fluid_series(seed=seed).energy for seed in (1, 2)])
ORIGIN, TRUTH = FRAMES[:6], FRAMES[1:7]
SEEN = Seen(TRUTH, ORIGIN, FLUID)


def mean(predicted: np.ndarray, name: str) -> float:
    return float(SEEN.measure(predicted)[name].mean())


def test_totals_are_blind_to_a_shuffled_target_and_the_headline_is_not() -> None:
    shuffled = np.random.default_rng(0).permuted(TRUTH.reshape(len(TRUTH), -1), axis=1).reshape(TRUTH.shape)
    assert mean(shuffled, "total_energy_fidelity") == pytest.approx(1, abs=1e-6)
    assert mean(shuffled, "total_error") < 1e-6
    assert (pair_errors(shuffled, TRUTH, ORIGIN).fidelity < 0).all()
    assert mean(shuffled, "field_fidelity") > 0, "forgiving, too"


def test_persistence_is_zero_in_the_headline_and_near_one_in_the_others() -> None:
    assert (pair_errors(ORIGIN, TRUTH, ORIGIN).fidelity == 0).all()
    still = SEEN.measure(ORIGIN)
    assert still["total_energy_fidelity"].min() > 0.99
    assert still["field_fidelity"].mean() > 0.5
    assert still["gradient_cosine"].mean() > 0
    assert still["entropy_agreement"].min() > 0.99
    # it has no change that could be aligned
    assert np.isnan(still["change_gradient_cosine"]).all()


def test_truth_has_the_best_value_of_every_measure() -> None:
    best = {name: values.mean() for name, values in SEEN.measure(TRUTH).items() if name not in ENTROPIES}
    ones = {
        *("gradient_cosine", "change_gradient_cosine", "fine_structure", "entropy_agreement"),
        *("total_energy_fidelity", "field_fidelity"),
    }
    # The Well's correlation of a field with itself is (N − 1)/N
    assert best.pop("pearson_r") == pytest.approx(255 / 256, rel=1e-5)
    for name, value in best.items():
        assert value == pytest.approx(1 if name in ones else 0, abs=1e-9), name


def test_each_measure_tells_a_blurred_prediction_from_the_truth() -> None:
    blurred = (TRUTH + np.roll(TRUTH, 1, 1) + np.roll(TRUTH, 1, 2) + np.roll(TRUTH, (1, 1), (1, 2))) / 4
    exact, found = SEEN.measure(TRUTH), SEEN.measure(blurred)
    same = {name for name in found if np.allclose(found[name], exact[name], rtol=1e-4, atol=1e-6)}
    # a blur keeps the total
    assert same == {"total_error", "total_energy_fidelity", *ENTROPIES[1:]}


def test_signed_fields_have_no_entropy() -> None:
    found = Seen(TRUTH - 1, ORIGIN - 1, domain("surface_temperature")).measure(TRUTH - 1)
    assert not [name for name in found if "entropy" in name]
    assert found["nrmse"].max() == 0
