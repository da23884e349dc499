"""The flow solver: an exact solution, faces without divergence, and the sign of the rotation."""

from __future__ import annotations

import exponax as ex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.dynamics.random_fields import gaussian_field
from nvp.dynamics.transport import advance
from nvp.dynamics.vorticity import face_velocity, faces_of_velocity, stepper, stream_function, velocity


def test_taylor_green_vortices_decay_exactly() -> None:
    n, nu, k = 32, 0.1, 2 * np.pi / 32
    x = np.arange(n) + 0.5
    vorticity = jnp.asarray(np.sin(k * x)[:, None] * np.sin(k * x)[None, :])
    flow = stepper(shape=(n, n), step=0.2, viscosity=nu)
    end = jax.lax.fori_loop(0, 50, lambda _, w: flow(w), vorticity)
    np.testing.assert_allclose(end, np.exp(-2 * nu * k**2 * 10) * vorticity, atol=2e-5)


def test_flow_on_a_square_is_that_of_exponax() -> None:
    n, nu, step = 64, 0.1, 0.2
    # smooth, so that the two ways of cutting off aliases do not matter
    vorticity = 0.2 * gaussian_field(jax.random.key(1), (n, n), 32.0)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        peer = ex.stepper.NavierStokesVorticity(2, float(n), n, step, diffusivity=nu, order=2)
        # exponax's first axis is our y and its second our x, which makes its sign of ω the usual one
        theirs = jax.lax.fori_loop(0, 20, lambda _, w: peer(w), vorticity[None])[0]
    flow = stepper(shape=(n, n), step=step, viscosity=nu)
    ours = jax.lax.fori_loop(0, 20, lambda _, w: flow(w), vorticity)
    np.testing.assert_allclose(ours, theirs, atol=2e-4)
    assert float(jnp.abs(ours - vorticity).max()) > 0.2


def test_turned_flow_on_a_rectangle_is_the_flow_turned() -> None:
    vorticity = gaussian_field(jax.random.key(2), (24, 40), 12.0)
    flow, turned = stepper(shape=(24, 40), step=0.2, viscosity=0.1), stepper(shape=(40, 24), step=0.2, viscosity=0.1)
    for _ in range(5):
        after, across = flow(vorticity), turned(-vorticity.T)
        np.testing.assert_allclose(across, -after.T, atol=1e-5)
        vorticity = after


def test_velocity_is_the_rotated_gradient_of_the_stream_function() -> None:
    n, k = 32, 2 * np.pi / 32
    y = (np.arange(n) * k)[:, None]
    # ω = cos(ky) is the shear u = −sin(ky)/k: −∂u/∂y = ω
    vorticity = jnp.asarray(np.broadcast_to(np.cos(y), (n, n)))
    u = np.asarray(velocity(stream_function(vorticity), (n, n)))
    np.testing.assert_allclose(u[..., 0], np.broadcast_to(-np.sin(y) / k, (n, n)), atol=2e-5)
    np.testing.assert_allclose(u[..., 1], 0, atol=2e-5)


@pytest.mark.parametrize("shape", [(32, 32), (24, 40)])
def test_faces_have_no_divergence_and_come_back_from_the_centres(shape: tuple[int, int]) -> None:
    psi = stream_function(gaussian_field(jax.random.key(0), shape, 12.0))
    faces = face_velocity(psi, shape)
    divergence = faces.x[:, 1:] - faces.x[:, :-1] + faces.y[1:] - faces.y[:-1]
    assert float(jnp.abs(divergence).max()) < 1e-5 * float(jnp.abs(faces.x).max())
    again = faces_of_velocity(velocity(psi, shape) + jnp.asarray([[[0.5, -0.25]]]))
    np.testing.assert_allclose(again.x, faces.x + 0.5, atol=1e-5)
    np.testing.assert_allclose(again.y, faces.y - 0.25, atol=1e-5)
    # and agree with the centres that they surround
    centre = velocity(psi, shape)[..., 0]
    np.testing.assert_allclose((faces.x[:, 1:] + faces.x[:, :-1]) / 2, centre, atol=0.1 * float(jnp.abs(centre).max()))


def test_energy_is_carried_as_vorticity_is() -> None:
    """With κ = ν, E = ω + constant solves the same equation: a wrong sign or axis in either would tear them apart."""
    n, nu, step = 64, 0.2, 0.1
    vorticity = gaussian_field(jax.random.key(3), (n, n), 32.0)
    vorticity = vorticity / jnp.abs(velocity(stream_function(vorticity), (n, n))).max()
    flow = stepper(shape=(n, n), step=step, viscosity=nu)

    def both(_: int, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        before, energy = state
        after = flow(before)
        faces = face_velocity(stream_function(0.5 * (before + after)), (n, n))
        return after, advance(energy, faces, duration=step, diffusivity=nu).energy

    end, energy = jax.jit(lambda w: jax.lax.fori_loop(0, 100, both, (w, w + 5)))(vorticity)
    moved = float(jnp.linalg.norm(end - vorticity))
    assert float(jnp.linalg.norm(energy - 5 - end)) < 0.02 * moved
