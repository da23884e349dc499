"""Training of the literal layout: running statistics move, evaluation is of each state alone, dropout is by key."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest

from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from nvp.model.literal_config import LiteralConfig
from nvp.prediction.forecaster import Window, load_forecaster
from nvp.training.literal import LiteralState, first_literal_state, literal_predict, literal_step, write_literal

SMALL = LiteralConfig(
    latent_dim=8, encoder_features=(2, 2, 2), decoder_features=(2, 2, 2), input_shape=(16, 8), dropout_rate=0.5
)
PERIODIC = ("periodic", "periodic")
RNG = np.random.default_rng(0)
BEFORE = RNG.lognormal(size=(4, 16, 8, 1)).astype(np.float32)
AFTER = np.roll(BEFORE, 1, axis=1)


def copied(tree: object) -> object:
    return jax.tree.map(np.array, tree)


def key_free(state: LiteralState) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state._replace(key=0))]


def test_running_statistics_change_in_training_and_evaluation_is_of_each_state_alone() -> None:
    graph, state = first_literal_state(jax.random.key(0), SMALL)
    before = copied(state.statistics)
    state, loss = literal_step(graph, state, BEFORE, AFTER, boundaries=PERIODIC)
    assert set(loss.terms) == {"mse", "conservation", "entropy"}
    assert float(loss.total) == pytest.approx(
        float(loss.terms["mse"] + 0.1 * loss.terms["conservation"] + 0.05 * loss.terms["entropy"]), rel=1e-6
    )
    moved = [not np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (before, state.statistics)), strict=True)]
    assert moved
    assert all(moved)

    kept = copied(state.statistics)
    together = literal_predict(graph, state.params, state.statistics, BEFORE, boundaries=PERIODIC)
    alone = literal_predict(graph, state.params, state.statistics, BEFORE[2:3], boundaries=PERIODIC)
    for of_all, of_one in zip(together, alone, strict=True):
        np.testing.assert_allclose(of_all[2:3], of_one, rtol=2e-5, atol=1e-6)
    for a, b in zip(*map(jax.tree.leaves, (kept, state.statistics)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_training_repeats_by_its_key() -> None:
    def trained(seed: int) -> list[np.ndarray]:
        graph, state = first_literal_state(jax.random.key(7), SMALL, learning_rate=1e-3)
        state = state._replace(key=jax.random.key(seed))
        for _ in range(2):
            state, _ = literal_step(graph, state, BEFORE, AFTER, boundaries=PERIODIC, learning_rate=1e-3)
        return key_free(state)

    first, again, other = trained(1), trained(1), trained(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_checkpoint_says_the_same_as_the_network(tmp_path: Path) -> None:
    graph, state = first_literal_state(jax.random.key(0), SMALL)
    state, _ = literal_step(graph, state, BEFORE, AFTER, boundaries=PERIODIC)
    write_literal(tmp_path / "best", SMALL, state, {})
    forecaster = load_forecaster(tmp_path / "best")
    window = Window(history=BEFORE[:, None], dt=1.0, domain=domain("fluid_dynamics"))
    forecast = forecaster.forecast(window, 2)
    mean, log_var = literal_predict(graph, state.params, state.statistics, BEFORE, boundaries=PERIODIC)
    np.testing.assert_array_equal(forecast.mean[:, 0], mean)
    np.testing.assert_allclose(forecast.log_var[:, 0], log_var, rtol=1e-5)
    assert (forecast.log_var[:, 1] > forecast.log_var[:, 0]).all()
    other = Window(history=BEFORE[:, None, :8], dt=1.0, domain=domain("fluid_dynamics"))
    with pytest.raises(FieldError, match=r"expected fields of shape \(16, 8, 1\)"):
        forecaster.forecast(other, 1)


def test_states_are_seen_in_units_of_their_mean() -> None:
    graph, state = first_literal_state(jax.random.key(0), SMALL)
    small, large = (
        literal_predict(graph, state.params, state.statistics, scale * BEFORE, boundaries=PERIODIC)
        for scale in (np.float32(1), np.float32(8))
    )
    np.testing.assert_allclose(8 * small[0], large[0], rtol=1e-5)
    np.testing.assert_allclose(small[1] + 2 * np.log(8), large[1], rtol=1e-4)
