"""Transport with what is known at time t alone: sources of either sign, flows that converge, edges of both kinds."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.dynamics import channel
from nvp.dynamics.random_fields import gaussian_field
from nvp.dynamics.reference import carry
from nvp.dynamics.vorticity import faces_of_velocity

closed = partial(carry, boundary_x="periodic", boundary_y="periodic", high_order=True)


def test_what_is_taken_stays_the_same_share_and_what_is_given_the_same_amount() -> None:
    energy = jnp.full((2, 8, 8), 2.0)
    source = jnp.stack([jnp.full((8, 8), -0.5), jnp.full((8, 8), 0.5)])
    end = closed(energy, jnp.zeros((2, 8, 8, 2)), source, duration=0.5, diffusivity=0.1)
    np.testing.assert_allclose(end.energy[0], 2 * np.exp(-0.125), rtol=1e-3)
    np.testing.assert_allclose(end.energy[1], 2.25, rtol=1e-6)
    np.testing.assert_allclose(end.source, (end.energy - energy).sum((1, 2)), rtol=1e-5)


def test_more_cannot_be_taken_than_is_there() -> None:
    energy = jnp.asarray([[[0.0, 1e-30, 1.0, 1.0]] * 4])
    source = jnp.asarray([[[-1.0, -1e3, -1e3, 0.0]] * 4])
    end = closed(energy, jnp.zeros((1, 4, 4, 2)), source, duration=2.0, diffusivity=0.0).energy[0]
    assert float(end.min()) >= 0
    assert float(end[:, 2].max()) < 1e-3
    np.testing.assert_allclose(end[:, 3], 1.0)


@pytest.mark.parametrize("shape", [(32, 32), (24, 40)])
def test_faces_keep_the_divergence_of_a_flow(shape: tuple[int, int]) -> None:
    h, w = shape
    kx, ky = 2 * np.pi / w, 2 * np.pi / h
    y, x = np.meshgrid(np.arange(h) + 0.5, np.arange(w) + 0.5, indexing="ij")
    # a gradient: it converges and does not turn
    flow = jnp.asarray(np.stack([np.sin(kx * x), 0.5 * np.sin(ky * y)], axis=-1), jnp.float32)
    faces = faces_of_velocity(flow)
    divergence = faces.x[:, 1:] - faces.x[:, :-1] + faces.y[1:] - faces.y[:-1]
    expected = kx * np.cos(kx * x) + 0.5 * ky * np.cos(ky * y)
    np.testing.assert_allclose(divergence, expected, atol=0.02 * np.abs(expected).max())
    # and E piles up at its rate
    end = closed(jnp.ones((1, h, w)), flow[None], jnp.zeros((1, h, w)), duration=0.1, diffusivity=0.0).energy[0]
    np.testing.assert_allclose((end - 1) / 0.1, -expected, atol=0.05 * np.abs(expected).max())


def test_open_edges_beside_a_periodic_axis_balance() -> None:
    vorticity = 0.3 * gaussian_field(jax.random.key(0), (24, 40), 12.0)
    velocity = channel.velocity(vorticity, -0.4)
    energy = jnp.broadcast_to(jnp.linspace(0.1, 1, 24)[:, None], (24, 40))
    end = carry(
        energy[None],
        velocity[None],
        -0.05 * energy[None],
        duration=2.0,
        diffusivity=0.05,
        boundary_x="periodic",
        boundary_y="open",
        high_order=True,
    )
    gained = float(end.energy.sum() - energy.sum())
    assert gained == pytest.approx(float(end.source[0] - end.outflow[0]), abs=1e-3)
    # 1 enters above and 0.1 leaves below
    assert float(end.outflow[0]) == pytest.approx(-0.4 * 2 * 0.9 * 40, rel=0.1)
    assert float(end.source[0]) == pytest.approx(-0.1 * float(energy.sum()), rel=0.1)
