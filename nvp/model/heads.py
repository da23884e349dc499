"""Heads: how a next state is put together.

**Conserving** (closed or forced energies). With B = E_t + Q_t·dt, face fluxes F and a change d, both learned,

    R = B − ∇·F + (d − mean d),      P = positive(R) · ΣB' / Σ positive(R),      ΣB' = ΣB − outflow

`positive` touches only cells around those with R < 0: what they lack is taken from the cells of growing windows around
them in proportion to what these hold. The factor at the end is 1 to round-off, unless whole windows were empty, and
makes ΣP = ΣB' and P >= 0 hold for any weights; it is exactly 1 where the network is silent, so that an untrained
network says B bit for bit. Fluxes end at walls; at open edges they leave as `outflow`. A Q < 0 that asks for more than
a cell has takes the rest from around it; where it asks for more than the whole grid has, nothing is left: ΣB is then 0.

**Delta** (signed fields, several channels): P = E_t + d.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nvp.model.padding import Boundaries, pad_axis

# half widths of the windows from which negative cells are filled, in order
_RADII = (1, 2, 4)
# room for round-off, so that no window gives more than it holds
_SHARE = 0.999


def total(field: Float[Array, "b h w"]) -> Float[Array, "b"]:
    """Σ over the cells, in groups of eight: round-off grows with log n only."""
    values = field.reshape(field.shape[0], -1)
    while values.shape[1] % 8 == 0:
        values = values.reshape(values.shape[0], -1, 8).sum(axis=-1)
    return values.sum(axis=-1)


def conserve(
    base: Float[Array, "b h w"],
    flux_x: Float[Array, "b h w"],
    flux_y: Float[Array, "b h w"],
    change: Float[Array, "b h w"],
    edges: tuple[Float[Array, "b h"], Float[Array, "b w"]] | None,
    boundaries: Boundaries,
) -> tuple[Float[Array, "b h w"], Float[Array, "b"]]:
    """Next state and net outflow, in units of the energy.

    `flux_x` is through each cell's right face, `flux_y` through the face towards the next row; `edges` are the fluxes
    into the first column and row, used at open edges only.
    """
    edge_x, edge_y = (None, None) if edges is None else edges
    along_x, outflow_x = _divergence(flux_x, edge_x, boundaries[1], axis=2)
    along_y, outflow_y = _divergence(flux_y, edge_y, boundaries[0], axis=1)
    held = jax.nn.relu(total(base))
    # no more can leave than there is
    outflow = jnp.minimum(outflow_x + outflow_y, held)
    mean = total(change) / (base.shape[1] * base.shape[2])
    raw = base - along_x - along_y + (change - mean[:, None, None])
    state = positive(raw, boundaries)
    there = total(state)
    factor = jnp.where(there > 0, (held - outflow) / jnp.where(there > 0, there, 1), 1)
    return state * factor[:, None, None], outflow


def positive(raw: Float[Array, "b h w"], boundaries: Boundaries) -> Float[Array, "b h w"]:
    """Fill negative cells from the windows around them, total unchanged; what no window holds is left at 0."""
    lack, state = jax.nn.relu(-raw), jax.nn.relu(raw)
    for radius in _RADII:
        held = _window(state, radius, boundaries)
        # what each lacking cell asks of every cell of its window, as a share of that cell
        asked = jnp.where(held > 0, lack / jnp.where(held > 0, held, 1), 0)
        # scaled down by the largest demand around it, so that no cell gives more than it has
        most = _largest(jax.lax.stop_gradient(_window(asked, radius, boundaries)), radius, boundaries)
        granted = asked * _SHARE / jnp.maximum(most, _SHARE)
        state = state * (1 - jnp.minimum(_window(granted, radius, boundaries), 1))
        lack = jax.nn.relu(lack - granted * held)
    return state


def _divergence(
    flux: Float[Array, "b h w"], edge: Float[Array, "b _"] | None, boundary: str, *, axis: int
) -> tuple[Float[Array, "b h w"], Float[Array, "b"]]:
    """Outgoing minus incoming flux per cell along one axis, and the net outflow at its two ends."""
    none = jnp.zeros(flux.shape[0], flux.dtype)
    if boundary == "periodic":
        return flux - jnp.roll(flux, 1, axis=axis), none
    size = flux.shape[axis]
    inner = jax.lax.slice_in_dim(flux, 0, size - 1, axis=axis)
    last = jax.lax.slice_in_dim(flux, size - 1, size, axis=axis)
    first = jnp.zeros_like(last)
    outflow = none
    if boundary == "open" and edge is not None:
        first = jnp.expand_dims(edge, axis)
        outflow = last.sum(axis=(1, 2)) - first.sum(axis=(1, 2))
    else:
        last = jnp.zeros_like(last)
    faces = jnp.concatenate([first, inner, last], axis=axis)
    return jnp.diff(faces, axis=axis), outflow


def _window(field: Float[Array, "b h w"], radius: int, boundaries: Boundaries) -> Float[Array, "b h w"]:
    """Σ over (2·radius + 1)² cells; beyond a wall or an open edge there is nothing."""
    return _reduced(field, radius, boundaries, jax.lax.add)


def _largest(field: Float[Array, "b h w"], radius: int, boundaries: Boundaries) -> Float[Array, "b h w"]:
    """The largest value within the window, of a field >= 0."""
    return _reduced(field, radius, boundaries, jax.lax.max)


def _reduced(
    field: Float[Array, "b h w"], radius: int, boundaries: Boundaries, reduction: Callable[..., Array]
) -> Float[Array, "b h w"]:
    for axis, boundary in zip((1, 2), boundaries, strict=True):
        if boundary == "periodic":
            field = pad_axis(field, radius, boundary, axis=axis)
        widths = [(0, 0)] * 3
        widths[axis] = (0, 0) if boundary == "periodic" else (radius, radius)
        size = [1, 1, 1]
        size[axis] = 2 * radius + 1
        field = jax.lax.reduce_window(field, np.float32(0), reduction, size, (1, 1, 1), widths)
    return field
