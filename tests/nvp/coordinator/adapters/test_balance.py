"""Norm balancing brings every pull to the target, from the configured weights on."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.coordinator.adapters.balance import auto_balance, finite, norm_balance
from nvp.errors import FieldError
from tests.nvp.coordinator.adapters.seeing import KEY, seen


def test_pulls_come_to_the_target() -> None:
    update, norms = jax.jit(norm_balance().update), jnp.array([0.8, 1.6, 3.0])
    weights = jnp.array([0.7, 1.3, 1.9])
    for _ in range(120):
        weights, _ = update(seen(norms), (), weights, KEY)
    np.testing.assert_allclose(weights * norms, 1.0, atol=1e-3)


def test_a_term_that_pulls_harder_gets_less_whatever_the_sign_of_the_energy() -> None:
    """clip(norm/(F + 1e-6), .1, 2) gives it more, and throws every weight to the floor where F ≤ 0."""
    norms = np.array([4.0, 1.5])
    assert np.diff(np.clip(norms / (5.0 + 1e-6), 0.1, 2))[0] < 0  # the naive rule follows the norm
    assert (np.clip(norms / (-0.3 + 1e-6), 0.1, 2) == 0.1).all()
    for energy in (5.0, -0.3):
        weights, _ = norm_balance().update(seen(norms, energy=energy), (), jnp.ones(2), KEY)
        assert weights[0] < weights[1] < 1


def test_a_huge_pull_halves_the_weight_at_most() -> None:
    """1 + rate·alpha·(1 − norm/target) is far below 0 here."""
    weights, _ = norm_balance().update(seen([1e3]), (), jnp.ones(1), KEY)
    assert float(weights[0]) == 0.5


def test_a_term_without_a_pull_keeps_its_weight() -> None:
    """By the plain factor it would grow by 15 % a step."""
    weights, _ = norm_balance().update(seen([0.0, 0.5]), (), jnp.array([0.4, 0.4]), KEY)
    assert float(weights[0]) == pytest.approx(0.4)
    assert weights[1] > 0.4


def test_a_configured_weight_outside_the_bounds_is_no_reason_to_jump() -> None:
    weights, _ = norm_balance(ceiling=2.0).update(seen([0.5, 0.1]), (), jnp.array([1.0, 3.0]), KEY)
    assert float(weights[1]) == 3.0
    weights, _ = norm_balance(ceiling=2.0).update(seen([0.5, 2.0]), (), jnp.array([1.0, 3.0]), KEY)
    assert 1.4 < float(weights[1]) < 3.0


def test_a_norm_that_is_no_number_counts_as_the_mean_of_the_others() -> None:
    np.testing.assert_allclose(finite(jnp.array([1.0, jnp.nan, 3.0, jnp.inf])), [1, 2, 3, 2])


def test_auto_balance_acts_on_energy_wars_alone() -> None:
    weights, _ = auto_balance().update(seen([9.0, 50.0]), (), jnp.array([1.0, 0.5]), KEY)
    np.testing.assert_allclose(weights, [1.0, 0.02], rtol=1e-6)


@pytest.mark.parametrize("bad", [{"target": 0.0}, {"floor": 2.0, "ceiling": 1.0}, {"floor": -0.1}])
def test_settings_that_make_no_sense_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(FieldError):
        norm_balance(**bad)
