"""The conserving head keeps its two promises for any network output, and does nothing where the network is silent."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.dynamics.domain import Boundary
from nvp.model import heads

SHAPES = [(64, 64), (128, 128), (128, 384)]
BOUNDARIES: list[tuple[Boundary, Boundary]] = [("periodic", "periodic"), ("wall", "periodic"), ("open", "wall")]


def hostile(shape: tuple[int, int]) -> np.ndarray:
    """Maps that break careless sums: one-hot, empty, uniform, spikes on a floor, twelve orders of magnitude."""
    rng = np.random.default_rng(0)
    one_hot = np.zeros(shape)
    one_hot[3, 5] = 1e6
    spikes = np.full(shape, 1e-3)
    spikes[::16, ::16] = 1e5
    wide = 10.0 ** rng.uniform(-6, 6, shape)
    return np.stack([one_hot, np.zeros(shape), np.full(shape, 0.1), spikes, wide]).astype(np.float32)


@pytest.mark.parametrize("boundaries", BOUNDARIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_any_output_conserves_and_stays_positive(shape: tuple[int, int], boundaries: tuple[Boundary, Boundary]) -> None:
    base = hostile(shape)
    n = len(base)
    unit = base.std(axis=(1, 2)) * 3
    random = np.random.default_rng(1).standard_normal((3, n, *shape)) * unit[None, :, None, None]
    flux_x, flux_y, change = jnp.asarray(random, jnp.float32)
    edges = (flux_x[:, :, 0], flux_y[:, 0, :])
    parts = jax.jit(heads.conserve, static_argnums=5)(jnp.asarray(base), flux_x, flux_y, change, edges, boundaries)
    state, outflow = (np.asarray(part, np.float64) for part in parts)
    held = base.astype(np.float64).sum(axis=(1, 2))
    assert np.isfinite(state).all()
    assert state.min() >= 0
    if "open" not in boundaries:
        assert (outflow == 0).all()
    wrong = np.abs(state.sum(axis=(1, 2)) + outflow - held) / np.where(held > 0, held, 1)
    # relative to what was there or came in, whichever is more
    assert (wrong / np.maximum(1, np.abs(outflow) / np.where(held > 0, held, 1)) < 1e-5).all(), wrong
    assert not np.allclose(state[0], base[0])


@pytest.mark.parametrize("boundaries", BOUNDARIES)
def test_silence_is_the_base_bit_for_bit(boundaries: tuple[Boundary, Boundary]) -> None:
    base = jnp.asarray(hostile((64, 64)))
    zero = jnp.zeros_like(base)
    state, _ = heads.conserve(base, zero, zero, zero, (zero[:, :, 0], zero[:, 0, :]), boundaries)
    assert np.array_equal(state, base)


def test_positivity_acts_only_where_something_is_negative() -> None:
    raw = np.random.default_rng(0).uniform(0.5, 1, (1, 64, 64)).astype(np.float32)
    assert np.array_equal(heads.positive(jnp.asarray(raw), ("periodic", "periodic")), raw)
    raw[0, 20, 30] = -0.5
    filled = np.asarray(heads.positive(jnp.asarray(raw), ("periodic", "periodic")))
    assert filled[0, 20, 30] == 0
    touched = np.argwhere(filled[0] != raw[0])
    assert np.abs(touched - [20, 30]).max() <= 1
    assert np.isclose(filled.sum(), raw.sum(), rtol=1e-6)


def test_filling_moves_energy_and_makes_none_where_many_ask_the_same_cell() -> None:
    raw = np.random.default_rng(0).uniform(-1, 2, (1, 64, 64)).astype(np.float32)
    # one cell holds what the eight around it lack
    raw[0, 30:33, 30:33] = -0.5
    raw[0, 31, 31] = 6
    filled = np.asarray(heads.positive(jnp.asarray(raw), ("periodic", "periodic")))
    assert filled.min() >= 0
    assert filled.sum(dtype=np.float64) == pytest.approx(raw.sum(dtype=np.float64), rel=1e-5)


def test_a_change_that_is_the_same_everywhere_changes_nothing() -> None:
    base = np.random.default_rng(0).uniform(0.5, 1, (1, 8, 8)).astype(np.float32)
    zero = jnp.zeros_like(base)
    state, _ = heads.conserve(jnp.asarray(base), zero, zero, zero + 0.25, None, ("periodic", "periodic"))
    np.testing.assert_allclose(state, base, rtol=1e-6)


def test_no_more_leaves_than_there_is() -> None:
    base, zero = jnp.ones((1, 8, 8)), jnp.zeros((1, 8, 8))
    edges = (jnp.zeros((1, 8)), jnp.zeros((1, 8)))
    state, outflow = heads.conserve(base, zero.at[:, :, 7].set(100.0), zero, zero, edges, ("wall", "open"))
    assert float(outflow[0]) == 64
    assert np.array_equal(state, zero)


@pytest.mark.parametrize("boundaries", BOUNDARIES)
def test_a_source_that_takes_more_than_a_cell_has_takes_it_around(boundaries: tuple[Boundary, Boundary]) -> None:
    rng = np.random.default_rng(0)
    base = rng.uniform(1, 2, (2, 64, 64)).astype(np.float32)
    base[:, 20:24, 30:40] = -0.9  # E + Q·dt where Q cools harder than there is to cool
    noise = jnp.asarray(0.3 * rng.standard_normal((3, 2, 64, 64)), jnp.float32)
    for scale in (np.float32(0), np.float32(1)):
        flux_x, flux_y, change = scale * noise
        edges = (flux_x[:, :, 0], flux_y[:, 0, :])
        parts = heads.conserve(jnp.asarray(base), flux_x, flux_y, change, edges, boundaries)
        state, outflow = (np.asarray(part, np.float64) for part in parts)
        assert state.min() >= 0
        np.testing.assert_allclose(state.sum(axis=(1, 2)) + outflow, base.sum(axis=(1, 2), dtype=np.float64), rtol=1e-5)


@pytest.mark.parametrize("boundaries", BOUNDARIES)
def test_a_source_that_takes_more_than_there_is_leaves_nothing(boundaries: tuple[Boundary, Boundary]) -> None:
    rng = np.random.default_rng(0)
    base = jnp.asarray(rng.normal(-1, 1, (2, 64, 64)), jnp.float32)
    zero = jnp.zeros_like(base)
    state, outflow = heads.conserve(base, zero, zero, zero, (zero[:, :, 0], zero[:, 0, :]), boundaries)
    # nothing comes in to make up for it
    assert not np.asarray(state).any()
    assert not np.asarray(outflow).any()
    gradient = jax.grad(lambda b: heads.conserve(b, zero, zero, zero, None, boundaries)[0].sum())(base)
    assert np.isfinite(gradient).all()


def test_flux_moves_energy_to_the_next_cell_and_out_of_open_edges() -> None:
    base, zero = jnp.ones((1, 8, 8)), jnp.zeros((1, 8, 8))
    flux_x = zero.at[0, 2, 3].set(0.25)
    state, _ = heads.conserve(base, flux_x, zero, zero, None, ("periodic", "periodic"))
    assert np.isclose(float(state[0, 2, 3]), 0.75)
    assert np.isclose(float(state[0, 2, 4]), 1.25)
    flux_x = flux_x.at[0, 2, 7].set(0.5)
    edges = (jnp.zeros((1, 8)), jnp.zeros((1, 8)))
    state, outflow = heads.conserve(base, flux_x, zero, zero, edges, ("wall", "open"))
    assert np.isclose(float(outflow[0]), 0.5)
    assert np.isclose(float(state[0, 2, 0]), 1.0)


def test_sum_of_a_million_cells_is_exact_to_single_precision() -> None:
    values = np.random.default_rng(0).lognormal(0, 3, (2, 1024, 1024)).astype(np.float32)
    exact = values.astype(np.float64).sum(axis=(1, 2))
    assert (np.abs(np.asarray(heads.total(jnp.asarray(values))) - exact) / exact < 1e-6).all()


def test_gradient_reaches_flux_and_change() -> None:
    base = np.random.default_rng(0).uniform(0, 1, (1, 8, 8)).astype(np.float32)
    random = 0.4 * np.random.default_rng(1).standard_normal((3, 1, 8, 8)).astype(np.float32)

    @jax.jit
    def objective(parts: jax.Array) -> jax.Array:
        state, _ = heads.conserve(jnp.asarray(base), *parts, None, ("periodic", "wall"))
        return jnp.sum(state**2)

    gradient = jax.grad(objective)(jnp.asarray(random))
    direction = np.random.default_rng(2).standard_normal(random.shape).astype(np.float32)
    ahead, behind = (float(objective(jnp.asarray(random + sign * 1e-3 * direction))) for sign in (1, -1))
    # the demand of the fullest window is held constant in the gradient, hence the wide margin
    assert np.isclose(float(jnp.sum(gradient * direction)), (ahead - behind) / 2e-3, rtol=0.1)
