"""Toner–Tu–Swift–Hohenberg flow against its dispersion relation, its uniform states and its own equation."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Float

from nvp.dynamics.active_matter import faces, incompressible, stepper
from nvp.dynamics.random_fields import gaussian_field
from nvp.dynamics.vorticity import faces_of_velocity

SHAPE = (24, 32)
KY, KX = np.meshgrid(2 * np.pi * np.fft.fftfreq(24), 2 * np.pi * np.fft.fftfreq(32), indexing="ij")
K2 = KX**2 + KY**2
ALPHA, BETA, EDDY, GROWTH, LAMBDA = -0.03, 0.06, 16.0, 0.1, 2.0
# as the equation has them
K_C = 2 * np.pi / EDDY
GAMMA_0, GAMMA_2 = -2 * GROWTH / K_C**2, GROWTH / K_C**4
EQUATION = {"advection": LAMBDA, "activity": -ALPHA, "saturation": BETA, "eddy": EDDY, "growth": GROWTH}
Flow = Float[np.ndarray, "2 h w"]


@pytest.fixture
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def apply(field: np.ndarray, symbol: np.ndarray) -> np.ndarray:
    """A linear operator by its Fourier symbol."""
    return np.fft.ifft2(np.fft.fft2(field) * symbol).real


def project(flow: Flow) -> Flow:
    """Take away the gradient: v − ∇∇⁻²∇·v."""
    pressure = apply(apply(flow[0], 1j * KX) + apply(flow[1], 1j * KY), -1 / np.where(K2 == 0, np.inf, K2))
    return flow - np.stack([apply(pressure, 1j * KX), apply(pressure, 1j * KY)])


def smooth(seed: int) -> Flow:
    """A random flow without divergence that drifts, so smooth that even cubes of it are resolved."""
    keys = jax.random.split(jax.random.key(seed))
    flow = np.stack([np.asarray(gaussian_field(key, SHAPE, 20.0), np.float64) for key in keys])
    flow = project(apply(flow, K2 < 0.5**2))
    return flow / flow.std() + np.array([0.3, -0.2])[:, None, None]


def run(flow: Flow, *, step: float, duration: float) -> Flow:
    advanced = stepper(shape=SHAPE, step=step, **EQUATION)
    count = round(duration / step)
    return np.asarray(jax.jit(lambda s: jax.lax.fori_loop(0, count, lambda _, x: advanced(x), s))(jnp.asarray(flow)))


@pytest.mark.parametrize(("m", "n"), [(1, 0), (0, 1), (2, 0), (1, 1), (2, 2), (5, 3)])
def test_small_waves_grow_as_the_dispersion_relation_says(float64: None, m: int, n: int) -> None:
    """σ(k) = −α − Γ₀k² − Γ₂k⁴, at its highest where the wavelength is `eddy`."""
    kx, ky = 2 * np.pi * m / 32, 2 * np.pi * n / 24
    phase = kx * np.arange(32)[None, :] + ky * np.arange(24)[:, None]
    wave = 1e-7 * np.stack([ky * np.cos(phase), -kx * np.cos(phase)])
    k2 = kx**2 + ky**2
    sigma = -ALPHA - GAMMA_0 * k2 - GAMMA_2 * k2**2
    end = run(wave, step=0.2, duration=10.0)
    np.testing.assert_allclose(
        end, np.exp(sigma * 10) * wave, atol=1e-9 * np.abs(wave).max() * max(1, np.exp(sigma * 10))
    )
    assert sigma <= GROWTH - ALPHA + 1e-12


def test_a_uniform_flow_grows_to_the_polar_state(float64: None) -> None:
    """d|v|/dt = −α|v| − β|v|³ is Bernoulli's equation, and |v| = √(−α/β) its end; the direction stays."""
    start = np.array([0.04, -0.03])
    v2, limit = float(start @ start), -ALPHA / BETA
    for duration in (20.0, 60.0, 150.0):
        end = run(np.broadcast_to(start[:, None, None], (2, *SHAPE)), step=0.1, duration=duration)
        grown = np.exp(-2 * ALPHA * duration)
        exact = np.sqrt(limit * grown * v2 / (limit + (grown - 1) * v2))
        np.testing.assert_allclose(end, np.broadcast_to((start / 0.05 * exact)[:, None, None], end.shape), rtol=1e-5)
    assert exact == pytest.approx(np.sqrt(limit), rel=0.02)


def test_one_step_obeys_the_equation(float64: None) -> None:
    flow, step = smooth(0), 1e-4
    u, v = flow
    speed2 = u**2 + v**2
    inertia = np.stack([u * apply(f, 1j * KX) + v * apply(f, 1j * KY) for f in flow])
    rate = project(-LAMBDA * inertia - (ALPHA + BETA * speed2) * flow - apply(flow, GAMMA_0 * K2 + GAMMA_2 * K2**2))
    forward = np.asarray(stepper(shape=SHAPE, step=step, **EQUATION)(jnp.asarray(flow)))
    np.testing.assert_allclose((forward - flow) / step, rate, atol=1e-3)
    assert np.abs(LAMBDA * project(inertia)).max() > 0.3
    assert np.abs(project(BETA * speed2 * flow)).max() > 0.05


def test_it_converges_at_second_order(float64: None) -> None:
    start = smooth(1)
    ends = [run(start, step=step, duration=4.0) for step in (0.1, 0.05, 0.025, 0.003125)]
    errors = [np.abs(end - ends[-1]).max() for end in ends[:-1]]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all((orders > 1.8) & (orders < 2.3)), f"{errors=} {orders=}"


def test_no_divergence_grows_out_of_round_off() -> None:
    """In single precision, over 16 times the time in which the linear part alone grows e-fold."""
    end = run(smooth(2).astype(np.float32), step=0.2, duration=120.0).astype(np.float64)
    divergence = apply(end[0], 1j * KX) + apply(end[1], 1j * KY)
    assert np.abs(divergence).max() < 1e-5
    assert 0.3 < np.sqrt((end**2).sum(axis=0).mean()) < 2


def test_faces_carry_the_drift_too(float64: None) -> None:
    flow = smooth(3)
    through, expected = faces(jnp.asarray(flow)), faces_of_velocity(jnp.moveaxis(jnp.asarray(flow), 0, -1))
    np.testing.assert_allclose(through.x, expected.x, atol=1e-12)
    np.testing.assert_allclose(through.y, expected.y, atol=1e-12)
    assert float(through.x.mean()) != pytest.approx(0)
    np.testing.assert_allclose(incompressible(jnp.asarray(flow)), flow, atol=1e-12)
