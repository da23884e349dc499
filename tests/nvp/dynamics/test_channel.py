"""The channel's flow: an exact solution, its measured order, the growth of Kelvin–Helmholtz waves, and its edges."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.dynamics import channel
from nvp.dynamics.random_fields import gaussian_field


def test_free_slip_eigenmode_decays_exactly() -> None:
    h, w, nu = 24, 40, 0.2
    kx, ky = 2 * np.pi / w, 2 * np.pi / h
    y, x = (np.arange(h) + 0.5)[:, None], (np.arange(w) + 0.5)[None, :]
    # a full wave of sin along y: ω vanishes at both edges, and u·∇ω = 0 for a single mode
    mode = jnp.asarray(0.1 * np.sin(ky * y) * np.cos(kx * x), jnp.float32)
    flow = channel.stepper(shape=(h, w), step=0.25, viscosity=nu)
    end = jax.lax.fori_loop(0, 40, lambda _, omega: flow(omega), mode)
    np.testing.assert_allclose(end, np.exp(-nu * (kx**2 + ky**2) * 10) * mode, atol=2e-6)


def test_flow_converges_at_fourth_order() -> None:
    with jax.enable_x64(True):
        # smooth and strong, in a cross-stream and relaxing towards a shear
        start = 0.5 * jnp.asarray(gaussian_field(jax.random.key(0), (32, 32), 32.0), jnp.float64)
        start = start * jnp.sin(jnp.pi * (jnp.arange(32.0) + 0.5) / 32)[:, None] ** 2
        shear = -0.2 / jnp.cosh((jnp.arange(32.0) - 15.5) / 4) ** 2

        def after(step: float) -> jax.Array:
            flow = channel.stepper(shape=(32, 32), step=step, viscosity=0.3, cross=-0.2, shear=shear, relaxation=10.0)
            return jax.lax.fori_loop(0, round(8 / step), lambda _, omega: flow(omega), start)

        best = after(1 / 32)
        errors = [float(jnp.abs(after(step) - best).max()) for step in (0.5, 0.25, 0.125)]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all((orders > 3.5) & (orders < 4.7)), f"{errors=} {orders=}"


def test_kelvin_helmholtz_waves_grow_as_linear_theory_says() -> None:
    """Michalke: the fastest wave on u = U tanh(y/δ) has kδ = 0.4446 and grows at 0.1897 U/δ (without viscosity)."""
    speed, w = 1.0, 64
    delta = 0.4446 * w / (2 * np.pi)
    h = 96
    y = (np.arange(h) + 0.5 - h / 2)[:, None] / delta
    wave = 1e-3 * np.cos(2 * np.pi * (np.arange(w) + 0.5) / w)[None, :] / np.cosh(y) ** 2
    shear = -speed / delta / np.cosh(y) ** 2
    flow = channel.stepper(shape=(h, w), step=0.5, viscosity=1e-4)

    def record(omega: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        return flow(omega), jnp.abs(jnp.fft.rfft(omega, axis=1)[:, 1]).sum()

    _, size = jax.lax.scan(record, jnp.asarray(shear + shear * wave, jnp.float32), None, length=240)
    # once the growing wave has outgrown the others, while it is small
    time = 0.5 * np.arange(240)
    growth = np.polyfit(time[100:220], np.log(np.asarray(size[100:220])), 1)[0]
    assert growth * delta / speed == pytest.approx(0.1897, rel=0.05)


def test_nothing_but_the_cross_stream_passes_the_edges() -> None:
    vorticity = gaussian_field(jax.random.key(1), (24, 40), 12.0)
    faces = channel.face_velocity(vorticity, jnp.asarray(-0.3))
    assert faces.x.shape == (24, 41)
    assert faces.y.shape == (25, 40)
    assert np.array_equal(faces.y[0], np.full(40, -0.3, np.float32))
    assert np.array_equal(faces.y[-1], np.full(40, -0.3, np.float32))
    largest = float(jnp.abs(faces.x).max())
    divergence = faces.x[:, 1:] - faces.x[:, :-1] + faces.y[1:] - faces.y[:-1]
    assert float(jnp.abs(divergence).max()) < 1e-5 * largest
    centres = channel.velocity(vorticity, -0.3)
    np.testing.assert_allclose((faces.x[:, 1:] + faces.x[:, :-1]) / 2, centres[..., 0], atol=0.1 * largest)
    np.testing.assert_allclose((faces.y[1:] + faces.y[:-1]) / 2, centres[..., 1], atol=0.1 * largest)


def test_flow_relaxes_to_its_shear_and_is_turned_by_a_torque() -> None:
    shear = -0.1 / jnp.cosh((jnp.arange(32.0) - 15.5) / 4) ** 2
    flow = channel.stepper(shape=(32, 16), step=0.5, viscosity=0.0, shear=shear, relaxation=5.0)
    still = jnp.zeros((32, 16))
    torque = 0.01 * jnp.broadcast_to(jnp.sin(jnp.pi * (jnp.arange(32.0) + 0.5) / 32)[:, None], (32, 16))
    end = jax.lax.fori_loop(0, 10, lambda _, omega: flow(omega, torque), still)
    # what has no x in it moves nothing: dω/dt = (Ω − ω)/τ + g
    expected = (1 - np.exp(-1)) * (shear[:, None] + 5 * torque)
    np.testing.assert_allclose(end[2:-2], jnp.broadcast_to(expected, (32, 16))[2:-2], atol=2e-4)


def test_the_cross_stream_carries_the_vorticity() -> None:
    def strip(middle: float) -> jax.Array:
        return jnp.asarray(np.exp(-(((np.arange(48) + 0.5 - middle) / 4) ** 2))[:, None] * np.ones(16), jnp.float32)

    # what has no x in it moves nothing but itself along x: it goes down with V = −0.5
    flow = channel.stepper(shape=(48, 16), step=0.5, viscosity=0.0, cross=-0.5)
    end = jax.lax.fori_loop(0, 24, lambda _, omega: flow(omega), strip(28.0))
    np.testing.assert_allclose(end, strip(22.0), atol=1e-3)
