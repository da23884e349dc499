"""The transport step against exact solutions, and what it promises on any field: conservation and E >= 0."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from nvp.dynamics import transport
from nvp.dynamics.transport import Faces

advance = jax.jit(transport.advance, static_argnames=("boundary_x", "boundary_y", "high_order"))


@pytest.fixture
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def uniform(n: int, u: float, v: float) -> Faces:
    return Faces(x=jnp.full((n, n + 1), float(u)), y=jnp.full((n + 1, n), float(v)))


def wave(n: int, shift_x: float = 0.0, shift_y: float = 0.0) -> Float[Array, "n n"]:
    """Cell averages of 2 + sin(2π(x−sx)/n) · cos(2π(y−sy)/n)."""
    k = 2 * np.pi / n
    x, y = (np.arange(n) + 0.5) - shift_x, (np.arange(n) + 0.5) - shift_y
    mean = (np.sin(k / 2) / (k / 2)) ** 2
    return jnp.asarray(2 + mean * np.cos(k * y)[:, None] * np.sin(k * x)[None, :])


def test_translation_converges_at_second_order_at_least(float64: None) -> None:
    errors = []
    for n in (16, 32, 64):
        # the wave moves by 3/8 and 1/4 of its length at every resolution
        end = advance(wave(n), uniform(n, 3 / 8, -1 / 4), duration=float(n), diffusivity=0.0).energy
        errors.append(float(jnp.abs(end - wave(n, 3 * n / 8, -n / 4)).mean()))
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert orders.min() > 1.8, f"{errors=} {orders=}"


def test_upwind_converges_at_first_order_only(float64: None) -> None:
    errors = []
    for n in (32, 64, 128):
        end = advance(wave(n), uniform(n, 3 / 8, -1 / 4), duration=float(n), diffusivity=0.0, high_order=False).energy
        errors.append(float(jnp.abs(end - wave(n, 3 * n / 8, -n / 4)).mean()))
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all((orders > 0.6) & (orders < 1.2)), f"{errors=} {orders=}"


def test_diffusion_decays_as_the_heat_equation_says(float64: None) -> None:
    errors = []
    for n in (16, 32, 64):
        kappa, duration = 0.2, n**2 / 40
        decay = np.exp(-kappa * 2 * (2 * np.pi / n) ** 2 * duration)
        end = advance(wave(n), uniform(n, 0, 0), duration=duration, diffusivity=kappa).energy
        errors.append(float(jnp.abs(end - (2 + decay * (wave(n) - 2))).max()))
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all((orders > 1.9) & (orders < 2.2)), f"{errors=} {orders=}"


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("boundary", ["periodic", "wall"])
@pytest.mark.parametrize("high_order", [True, False])
def test_closed_domains_keep_the_sum_and_positivity_on_hostile_fields(
    boundary: str, seed: int, high_order: bool
) -> None:
    rng = np.random.default_rng(seed)
    # zeros beside spikes of 1e6, in a velocity that converges and diverges from cell to cell
    energy = np.where(rng.random((24, 40)) < 0.5, 0, 10 ** rng.uniform(-6, 6, (24, 40))).astype(np.float32)
    x, y = rng.normal(0, 5, (24, 41)).astype(np.float32), rng.normal(0, 5, (25, 40)).astype(np.float32)
    x[:, -1], y[-1, :] = x[:, 0], y[0, :]
    end = advance(
        jnp.asarray(energy),
        Faces(x=jnp.asarray(x), y=jnp.asarray(y)),
        duration=2.0,
        diffusivity=0.0,
        boundary_x=boundary,
        boundary_y=boundary,
        high_order=high_order,
    )
    after = np.asarray(end.energy)
    assert after.min() >= 0
    assert after.sum(dtype=np.float64) == pytest.approx(energy.sum(dtype=np.float64), rel=2e-6)
    assert end.outflow == 0 or abs(float(end.outflow)) < 1e-6 * energy.sum(dtype=np.float64)
    assert not np.allclose(after, energy)


def test_outflow_and_source_balance_an_open_domain(float64: None) -> None:
    energy = 1 + jax.random.uniform(jax.random.key(0), (16, 24), jnp.float64)
    source = 0.1 * jax.random.uniform(jax.random.key(1), (16, 24), jnp.float64)
    faces = Faces(x=jnp.full((16, 25), 0.7), y=jnp.full((17, 24), -0.3))
    end = advance(energy, faces, duration=3.0, diffusivity=0.1, source=source, boundary_x="open", boundary_y="open")
    assert float(end.energy.sum()) == pytest.approx(float(energy.sum() + 3 * source.sum() - end.outflow), rel=1e-12)
    assert float(end.source) == pytest.approx(3 * float(source.sum()), rel=1e-12)
    # a gust that blows out on one side only takes energy away
    gone = advance(
        energy,
        Faces(x=jnp.zeros((16, 25)).at[:, -1].set(1.0), y=jnp.zeros((17, 24))),
        duration=1.0,
        diffusivity=0.0,
        boundary_x="open",
        boundary_y="open",
    )
    assert float(gone.outflow) > 0.1 * float(energy[:, -1].sum())


def test_energy_leaves_an_open_edge_as_the_wave_does(float64: None) -> None:
    """A wave behind a plateau blows out on the right, and the plateau in on the left: net outflow is known exactly."""
    errors = []
    for n in (32, 64, 128):
        k, u = 2 * np.pi / n, 0.5
        x = np.arange(n) + 0.5
        profile = np.where(x > n / 4, 2 + (1 - np.cos(4 * k * (x - n / 4))) / 2, 2.0)
        energy = jnp.asarray(np.broadcast_to(profile, (n, n)))
        end = advance(energy, uniform(n, u, 0), duration=n / 3, diffusivity=0.0, boundary_x="open", boundary_y="wall")
        # ∫ E dx over the piece of length u · duration = n/6 that crosses the right edge, less the 2 that enter
        left, right = n - n / 6, n
        crossed = n / 6 / 2 - (np.sin(4 * k * (right - n / 4)) - np.sin(4 * k * (left - n / 4))) / (8 * k)
        errors.append(abs(float(end.outflow) / n - crossed) / crossed)
    assert errors[-1] < 3e-3, errors
    assert np.log2(np.divide(errors[:-1], errors[1:])).min() > 1.5, errors


def test_uniform_sink_decays_exponentially_at_second_order(float64: None) -> None:
    energy = 1 + jax.random.uniform(jax.random.key(0), (8, 16), jnp.float64)
    sink = jnp.full((8, 16), 0.3)
    still = Faces(x=jnp.zeros((8, 17)), y=jnp.zeros((9, 16)))
    errors = []
    for parts in (4, 8, 16):
        end = energy
        for _ in range(parts):
            end = advance(end, still, duration=4.0 / parts, diffusivity=0.0, sink=sink).energy
        errors.append(float(jnp.abs(end / energy - np.exp(-0.3 * 4)).max()))
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all((orders > 1.8) & (orders < 2.3)), f"{errors=} {orders=}"


@pytest.mark.parametrize("boundary", ["periodic", "open"])
def test_sink_keeps_positivity_and_its_account_in_float32(boundary: str) -> None:
    rng = np.random.default_rng(3)
    shape = (128, 96)
    energy = np.where(rng.random(shape) < 0.5, 0, 10 ** rng.uniform(-3, 3, shape)).astype(np.float32)
    # a sink that empties a cell many times over, and sources beside it
    sink = np.where(rng.random(shape) < 0.3, 10 ** rng.uniform(-2, 1.5, shape), 0).astype(np.float32)
    source = np.where(rng.random(shape) < 0.3, rng.uniform(0, 5, shape), 0).astype(np.float32)
    x, y = rng.normal(0, 1, (128, 97)).astype(np.float32), rng.normal(0, 1, (129, 96)).astype(np.float32)
    x[:, -1], y[-1] = x[:, 0], y[0]
    end = advance(
        jnp.asarray(energy),
        Faces(x=jnp.asarray(x), y=jnp.asarray(y)),
        duration=2.0,
        diffusivity=0.05,
        source=jnp.asarray(source),
        sink=jnp.asarray(sink),
        boundary_x=boundary,
        boundary_y=boundary,
    )
    before, after = energy.sum(dtype=np.float64), np.asarray(end.energy).sum(dtype=np.float64)
    assert np.asarray(end.energy).min() >= 0
    assert after - before == pytest.approx(float(end.source) - float(end.outflow), abs=5e-7 * before)
    # much was taken, and the source alone would have added
    assert float(end.source) < -0.05 * before
    assert (float(end.outflow) == 0) == (boundary == "periodic")


def test_no_source_adds_exactly_nothing() -> None:
    energy = 1 + jax.random.uniform(jax.random.key(0), (16, 16))
    assert float(advance(energy, uniform(16, 0.5, 0.2), duration=2.0, diffusivity=0.1).source) == 0


def test_sum_by_halves_is_exact_to_round_off() -> None:
    values = np.random.default_rng(0).lognormal(size=(250, 251)).astype(np.float32)
    assert float(transport.total(jnp.asarray(values))) == pytest.approx(values.sum(dtype=np.float64), rel=2e-7)
    assert float(transport.total(jnp.asarray(3.0))) == 3


def test_axes_are_alike(float64: None) -> None:
    energy = jax.random.uniform(jax.random.key(0), (16, 24), jnp.float64)
    x, y = jax.random.normal(jax.random.key(1), (16, 25)), jax.random.normal(jax.random.key(2), (17, 24))
    faces = Faces(x=x.at[:, -1].set(x[:, 0]), y=y.at[-1].set(y[0]))
    one = advance(energy, faces, duration=1.0, diffusivity=0.1).energy
    other = advance(energy.T, Faces(x=faces.y.T, y=faces.x.T), duration=1.0, diffusivity=0.1).energy
    np.testing.assert_allclose(one, other.T, atol=1e-12)


def test_no_time_and_no_motion_change_nothing() -> None:
    energy = jax.random.uniform(jax.random.key(0), (8, 8))
    assert jnp.array_equal(advance(energy, uniform(8, 1, 1), duration=0.0, diffusivity=0.1).energy, energy)
    assert jnp.array_equal(advance(energy, uniform(8, 0, 0), duration=5.0, diffusivity=0.0).energy, energy)
