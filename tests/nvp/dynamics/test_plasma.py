"""Reduced magnetohydrodynamics against exact solutions, its own equations and what they conserve."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Float

from nvp.dynamics.plasma import heating, stepper
from nvp.dynamics.random_fields import gaussian_field
from nvp.dynamics.vorticity import stepper as fluid_stepper

SHAPE = (24, 32)
KY, KX = np.meshgrid(2 * np.pi * np.fft.fftfreq(24), 2 * np.pi * np.fft.fftfreq(32), indexing="ij")
K2 = KX**2 + KY**2
Field = Float[np.ndarray, "h w"]


@pytest.fixture
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def smooth(seed: int, *, highest: float = 0.9) -> Field:
    """A random field of variance 1 whose products with another are resolved."""
    field = np.asarray(gaussian_field(jax.random.key(seed), SHAPE, 16.0), np.float64)
    field = apply(field, highest**2 > K2)
    return field / field.std()


def apply(field: Field, symbol: np.ndarray) -> Field:
    """A linear operator by its Fourier symbol."""
    return np.fft.ifft2(np.fft.fft2(field) * symbol).real


def inverse_laplacian(field: Field) -> Field:
    return apply(field, -1 / np.where(K2 == 0, np.inf, K2))


def run(plasma: Float[jax.Array, "2 h w"], *, step: float, duration: float, **rates: float) -> np.ndarray:
    flow = stepper(shape=SHAPE, step=step, **{"viscosity": 0.0, "resistivity": 0.0, **rates})
    count = round(duration / step)
    return np.asarray(jax.jit(lambda s: jax.lax.fori_loop(0, count, lambda _, x: flow(x), s))(plasma))


def energies(plasma: np.ndarray) -> tuple[float, float]:
    """Kinetic and magnetic energy: ½∫|∇ψ|² and ½∫|∇A|²."""
    return -float((inverse_laplacian(plasma[0]) * plasma[0]).sum()) / 2, float(
        (apply(plasma[1], K2) * plasma[1]).sum()
    ) / 2


@pytest.mark.parametrize("sign", [1, -1])
def test_alfven_waves_of_any_shape_travel_along_the_mean_field(float64: None, sign: int) -> None:
    """u = ±B solves the whole equation where ν = η (Elsasser): it moves by ∓b per time and fades as e^(−νk²t)."""
    nu, b, duration = 0.03, 0.6, 12.0
    flux = 2 * smooth(0)
    start = jnp.asarray(np.stack([sign * apply(flux, -K2), flux]))
    end = run(start, step=0.1, duration=duration, viscosity=nu, resistivity=nu, field=b)
    travelled = apply(flux, np.exp((1j * KX * sign * b - nu * K2) * duration))
    np.testing.assert_allclose(end[1], travelled, atol=1e-6)
    np.testing.assert_allclose(end[0], sign * apply(travelled, -K2), atol=1e-6)
    assert np.abs(end[1] - flux).max() > 1


def test_parallel_sheets_decay_at_their_own_rates(float64: None) -> None:
    nu, eta, k = 0.05, 0.3, 2 * 2 * np.pi / 32
    wave = np.broadcast_to(np.cos(k * np.arange(32)), SHAPE)
    end = run(jnp.asarray(np.stack([wave, 3 * wave])), step=0.5, duration=10.0, viscosity=nu, resistivity=eta)
    np.testing.assert_allclose(end[0], np.exp(-nu * k**2 * 10) * wave, atol=1e-12)
    np.testing.assert_allclose(end[1], 3 * np.exp(-eta * k**2 * 10) * wave, atol=1e-12)


def test_one_step_obeys_the_equations(float64: None) -> None:
    """Their right-hand sides as they are written, by another form of each term."""
    nu, eta, b, step = 0.2, 0.1, 0.4, 1e-4
    omega, flux, force = smooth(1), smooth(2), np.stack([smooth(3), smooth(4)])
    psi, current = inverse_laplacian(omega), apply(flux, -K2)

    def bracket(f: Field, g: Field) -> Field:
        return apply(f, 1j * KX) * apply(g, 1j * KY) - apply(f, 1j * KY) * apply(g, 1j * KX)

    torque = apply(force[1], 1j * KX) - apply(force[0], 1j * KY)
    omega_t = -bracket(psi, omega) + bracket(flux, current) + b * apply(current, 1j * KX) + apply(omega, -nu * K2)
    flux_t = -bracket(psi, flux) + b * apply(psi, 1j * KX) + apply(flux, -eta * K2)
    flow = stepper(shape=SHAPE, step=step, viscosity=nu, resistivity=eta, field=b)
    before = np.stack([omega, flux])
    forward = np.asarray(flow(jnp.asarray(before), jnp.asarray(force)))
    np.testing.assert_allclose((forward - before) / step, np.stack([omega_t + torque, flux_t]), atol=2e-3)
    assert min(np.abs(omega_t).max(), np.abs(flux_t).max(), np.abs(torque).max()) > 0.5


def test_without_a_field_it_is_the_fluid(float64: None) -> None:
    omega = smooth(5)
    end = run(jnp.asarray(np.stack([omega, 0 * omega])), step=0.02, duration=2.0, viscosity=0.1)
    flow = fluid_stepper(shape=SHAPE, step=0.02, viscosity=0.1)
    fluid = jax.lax.fori_loop(0, 100, lambda _, w: flow(w), jnp.asarray(omega))
    np.testing.assert_allclose(end[0], fluid, atol=1e-3)
    assert np.abs(end[0] - omega).max() > 0.1
    assert np.abs(end[1]).max() == 0


def test_it_converges_at_fourth_order_and_keeps_the_ideal_invariants(float64: None) -> None:
    """Energy and cross helicity ∫u·B = −∫ωA stay, while flow and field exchange their energy."""
    start = np.stack([0.3 * smooth(6), 2 * smooth(7)])
    steps = [0.2, 0.1, 0.05, 0.0125]
    ends = [run(jnp.asarray(start), step=step, duration=4.0, field=0.2) for step in steps]
    errors = [np.abs(end - ends[-1]).max() for end in ends[:-1]]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all((orders > 3.7) & (orders < 4.5)), f"{errors=} {orders=}"
    (kinetic, magnetic), (kinetic_then, magnetic_then) = energies(start), energies(ends[-1])
    assert abs(kinetic_then - kinetic) > 0.05 * kinetic
    assert kinetic_then + magnetic_then == pytest.approx(kinetic + magnetic, rel=1e-7)
    assert (ends[-1][0] * ends[-1][1]).sum() == pytest.approx((start[0] * start[1]).sum(), rel=1e-6)


def test_heat_is_what_flow_and_field_lose(float64: None) -> None:
    """Kinetic + magnetic + internal energy stays, up to the second order of the mid-point that Q is taken at."""
    rates = {"viscosity": 0.3, "resistivity": 0.15}
    start = jnp.asarray(np.stack([0.5 * smooth(8), 2 * smooth(9)]))

    def defect(step: float) -> tuple[float, float]:
        flow = stepper(shape=SHAPE, step=step, field=0.3, **rates)

        def one(_: int, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            after = flow(state[0])
            return after, state[1] + step * heating(0.5 * (state[0] + after), **rates).sum()

        end, heat = jax.jit(lambda s: jax.lax.fori_loop(0, round(5 / step), one, (s, 0 * s.sum())))(start)
        return sum(energies(np.asarray(end))) + float(heat) - sum(energies(np.asarray(start))), float(heat)

    (coarse, _), (fine, heat) = defect(0.2), defect(0.1)
    assert heat > 0.2 * sum(energies(np.asarray(start)))
    assert abs(fine) < 2e-3 * heat
    assert 1.8 < np.log2(coarse / fine) < 2.2
