"""The compressible flow against Cole's and Hopf's solution, its order, and the fate of energy where it converges."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from nvp.dynamics.astrophysics import stepper
from nvp.dynamics.config import configure
from nvp.dynamics.simulators import simulator
from nvp.errors import FieldError


def cole_hopf(n: int, viscosity: float, time: float, *, diagonal: bool) -> Float[Array, "2 n n"]:
    """u = −2ν ∇φ/φ with φ = 1 + a cos(k·x) exp(−νk²t): fronts that steepen and decay along x, or along x + y."""
    k = 2 * np.pi / n
    y, x = np.meshgrid(np.arange(n) + 0.5, np.arange(n) + 0.5, indexing="ij")
    phase, k2 = (k * (x + y), 2 * k**2) if diagonal else (k * x, k**2)
    wave = 0.9 * np.exp(-viscosity * k2 * time)
    u = 2 * viscosity * wave * k * np.sin(phase) / (1 + wave * np.cos(phase))
    return jnp.asarray(np.stack([u, u if diagonal else np.zeros_like(u)]))


def travelled(n: int, *, step: float, time: float, diagonal: bool = False) -> Float[Array, "2 n n"]:
    # shear viscosity and bulk viscosity add up for what only compresses
    flow = stepper(shape=(n, n), step=step, viscosity=0.5, bulk=1.5)
    start, none = cole_hopf(n, 2.0, 0.0, diagonal=diagonal), jnp.zeros((2, n, n))
    return jax.lax.fori_loop(0, round(time / step), lambda _, u: flow(u, none), start)


@pytest.mark.parametrize("diagonal", [False, True])
def test_burgers_fronts_are_those_of_cole_and_hopf(diagonal: bool) -> None:
    with jax.enable_x64(True):
        end, exact = travelled(64, step=0.5, time=40.0, diagonal=diagonal), cole_hopf(64, 2.0, 40.0, diagonal=diagonal)
        start = cole_hopf(64, 2.0, 0.0, diagonal=diagonal)
        error, moved = float(jnp.abs(end - exact).max()), float(jnp.abs(exact - start).max())
    assert error < 2e-3 * moved


def test_flow_converges_at_second_order() -> None:
    with jax.enable_x64(True):
        exact = cole_hopf(64, 2.0, 32.0, diagonal=False)
        errors = [float(jnp.abs(travelled(64, step=step, time=32.0) - exact).max()) for step in (4.0, 2.0, 1.0)]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all((orders > 1.6) & (orders < 2.6)), f"{errors=} {orders=}"


def test_shear_feels_no_bulk_viscosity_and_drag_slows_all() -> None:
    n, k = 32, 2 * np.pi / 32
    shear = jnp.asarray(np.stack([np.sin(k * np.arange(n))[:, None] * np.ones((1, n)), np.zeros((n, n))]), jnp.float32)
    flow = stepper(shape=(n, n), step=0.5, viscosity=0.4, bulk=20.0, drag=0.02)
    end = jax.lax.fori_loop(0, 20, lambda _, u: flow(u, jnp.zeros_like(u)), shear + jnp.asarray([[[0.0]], [[0.3]]]))
    # the shear along x rides on a mean flow along y: by 10 · 0.3 cells, less what the drag takes of that
    ridden = 0.3 * (1 - np.exp(-0.2)) / 0.02
    expected = np.exp(-(0.4 * k**2 + 0.02) * 10) * np.sin(k * (np.arange(n) - ridden))[:, None]
    np.testing.assert_allclose(end[0], np.broadcast_to(expected, (n, n)), atol=2e-3)
    np.testing.assert_allclose(end[1], 0.3 * np.exp(-0.2), atol=1e-4)


def test_a_push_accelerates() -> None:
    flow = stepper(shape=(16, 24), step=0.5, viscosity=0.4)
    push = jnp.broadcast_to(jnp.asarray([0.1, -0.2])[:, None, None], (2, 16, 24))
    end = jax.lax.fori_loop(0, 10, lambda _, u: flow(u, push), jnp.zeros((2, 16, 24)))
    np.testing.assert_allclose(end, 5 * push, atol=1e-5)


def test_energy_gathers_where_the_flow_of_a_rectangle_converges() -> None:
    config = configure("astrophysics", {"height": 24, "width": 40, "steps": 4, "warm_up": 20.0})
    (series,) = simulator("astrophysics")(config, jax.random.key(0), sequences=1)
    assert series.energy.shape == (4, 24, 40, 1)
    u = series.context["velocity"].astype(np.float64)
    divergence = np.gradient(u[..., 0], axis=2)[:, 1:-1, 1:-1] + np.gradient(u[..., 1], axis=1)[:, 1:-1, 1:-1]
    assert divergence.std() > 0.01
    logarithm = np.log(series.energy[:, 1:-1, 1:-1, 0])
    assert np.corrcoef(divergence.ravel(), logarithm.ravel())[0, 1] < -0.2
    totals = series.energy.sum(axis=(1, 2, 3), dtype=np.float64)
    np.testing.assert_allclose(totals, totals[0], rtol=1e-6)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(FieldError, match="solenoidal"):
        configure("astrophysics", {"solenoidal": 1.5})
    with pytest.raises(FieldError, match="bulk"):
        configure("astrophysics", {"bulk": -1.0})


def test_a_flow_that_blows_up_is_named() -> None:
    config = configure("astrophysics", {"scale": 16, "steps": 2, "force": 1e6, "warm_up": 2.0})
    with pytest.raises(FieldError, match="flow_step"):
        simulator("astrophysics")(config, jax.random.key(0), sequences=1)
