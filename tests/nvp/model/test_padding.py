"""What lies beyond the edge, and that a periodic network does not know where the edge is."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from nvp.model.hints import carried, laplacian, slopes
from nvp.model.motion import motion
from nvp.model.padding import Conv, pad, shifted


def test_pad_wraps_periodic_axes_and_repeats_other_edges() -> None:
    field = np.arange(32, dtype=np.float32).reshape(1, 4, 8, 1)
    padded = np.asarray(pad(jnp.asarray(field), 2, ("wall", "periodic")))[0, ..., 0]
    expected = np.pad(np.pad(field[0, ..., 0], ((2, 2), (0, 0)), mode="edge"), ((0, 0), (2, 2)), mode="wrap")
    assert np.array_equal(padded, expected)
    wide = np.asarray(pad(jnp.asarray(field), 9, ("periodic", "periodic")))[0, ..., 0]
    assert np.array_equal(wide, np.pad(field[0, ..., 0], 9, mode="wrap"))


@pytest.mark.parametrize("by", [-2, 1])
def test_shifted_looks_ahead(by: int) -> None:
    field = np.random.default_rng(0).random((1, 8, 8, 1), dtype=np.float32)
    assert np.array_equal(shifted(jnp.asarray(field), by, "periodic", axis=2), np.roll(field, -by, 2))
    assert np.array_equal(shifted(jnp.asarray(field), by, "periodic", axis=1), np.roll(field, -by, 1))


def test_convolution_commutes_with_periodic_shifts() -> None:
    conv = Conv(2, 3, boundaries=("periodic", "periodic"), rng=np.random.default_rng(0))
    field = np.random.default_rng(1).standard_normal((1, 8, 16, 2)).astype(np.float32)
    field = jnp.asarray(field)
    moved = conv(jnp.roll(field, (3, 5), (1, 2)))
    assert np.allclose(moved, np.roll(conv(field), (3, 5), (1, 2)), atol=1e-5)


def test_slopes_and_laplacian_of_a_parabola() -> None:
    y, x = np.mgrid[0:8, 0:16].astype(np.float32)
    field = jnp.asarray((2 * x + 3 * y**2)[None, ..., None])
    gx, gy = (np.asarray(s)[0, 1:-1, 1:-1, 0] for s in slopes(field, ("open", "open")))
    assert np.allclose(gx, 2)
    assert np.allclose(gy, (6 * y)[1:-1, 1:-1])
    assert np.allclose(np.asarray(laplacian(field, ("open", "open")))[0, 1:-1, 1:-1, 0], 6)


def test_whole_cells_are_carried_exactly_and_rotation_closes() -> None:
    field = np.random.default_rng(0).random((1, 16, 16, 1), dtype=np.float32)
    displacement = np.broadcast_to(np.array([3, -2], np.float32), (1, 16, 16, 2))
    moved = carried(jnp.asarray(field), jnp.asarray(displacement), ("periodic", "periodic"))
    assert np.allclose(moved, np.roll(field, (-2, 3), (1, 2)), atol=1e-5)


def test_motion_is_read_out_of_two_frames() -> None:
    y, x = np.mgrid[0:32, 0:32] * (2 * np.pi / 32)

    def at(shift: float) -> jnp.ndarray:
        field = np.sin(2 * x - shift * 4 * np.pi / 32) + np.cos(y) * np.sin(x - shift * 2 * np.pi / 32)
        return jnp.asarray(field[None, ..., None].astype(np.float32))

    frames = [at(1.0), at(0.0)]
    velocity = np.asarray(motion(frames, [frames[0] - frames[1]], ("periodic", "periodic")))[0, :, :, 0]
    assert abs(np.median(velocity[..., 0]) - 1) < 0.2
    assert abs(np.median(velocity[..., 1])) < 0.2
