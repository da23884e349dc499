"""Hints: what simple physics makes of the inputs, as guesses of the change that the head weighs cell by cell.

The head adds Σ gate · hint to its own change (`heads.py`), and the network decides the gates. With a known velocity the
hints come out of where the flow brings everything from (`origins`): the change by transport, the Laplacian of the field
so carried (diffusion), and how a known source was carried along. The network is shown them for the velocity as it is
known, and says how far each origin lies from there: the hints that its gates weigh are those of the corrected origins,
a transport kernel that it has learnt. In compressible flow what is carried grows denser as the origins do.

A field that carries itself (`own_motion.py`) has the hints of its own velocity, slopes with gates that correct the
displacement among them, and the change by transport and divergence with each wavenumber faded. Without a velocity they
are the slopes and the Laplacian of the field itself, its last change and the change by the motion that the last frames
show (`motion.py`). Networks of one site have the cell's mean change at this hour besides.

References: Staniforth & Côté, Semi-Lagrangian integration schemes, Mon. Weather Rev. 119 (1991); Keys, Cubic
convolution interpolation, IEEE Trans. ASSP 29 (1981).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

from nvp.dynamics.domain import Boundary
from nvp.model.own_motion import OwnMotion, own_velocity
from nvp.model.padding import Boundaries, shifted

# steps in which a streamline is followed back over dt
_SUBSTEPS = 2
# a cell gathers at most this many cells' energy: beyond it origins that cross say nothing of density
_DENSEST = 8.0


class Brought(NamedTuple):
    """What the flow makes of the field, in units of its change."""

    change: Float[Array, "b h w c"]
    slope_x: Float[Array, "b h w c"]
    slope_y: Float[Array, "b h w c"]
    laplacian: Float[Array, "b h w c"]
    # what a source would add along the way instead of where it is; None without one
    heat: Float[Array, "b h w c"] | None
    # relative gain of density; None where the flow has no divergence
    density: Float[Array, "b h w c"] | None

    def known(self) -> list[Array]:
        """All there is."""
        return [part for part in self if part is not None]

    def weighed(self) -> list[Array]:
        """What the gates weigh; slopes have no gate, for a shift of the origins does what they would."""
        return [part for part in (self.change, self.laplacian, self.heat) if part is not None]


def brought(
    field: Float[Array, "b h w c"],
    origin: Float[Array, "b h w 2"],
    *,
    heat: Float[Array, "b h w c"] | None,
    level: Float[Array, "b 1 1 c"] | None,
    ratio: Float[Array, "b 1 1 c"],
    boundaries: Boundaries,
) -> Brought:
    """Hints of a known flow that brings each cell what lies at `origin`.

    `heat` is Q·dt in units of the change; `level` is the mean that the field lacks where the flow is compressible, else
    None; `ratio` is the unit of the field in units of the change.
    """
    c = field.shape[-1]
    both = moved(field if heat is None else jnp.concatenate([field, heat], axis=-1), origin, boundaries)
    there, density = both[..., :c], None
    if level is not None:
        gain = gathered(origin, boundaries)
        there = (there + level) * gain - level
        density = jnp.broadcast_to(gain - 1, field.shape)
    slope_x, slope_y = slopes(there, boundaries)
    return Brought(
        change=(there - field) * ratio,
        slope_x=slope_x * ratio,
        slope_y=slope_y * ratio,
        laplacian=laplacian(there, boundaries) * ratio,
        heat=None if heat is None else both[..., c:] - heat,
        density=density,
    )


def slopes(field: Float[Array, "b h w c"], boundaries: Boundaries) -> tuple[Array, Array]:
    """∂/∂x and ∂/∂y by central differences, per cell."""
    y, x = boundaries
    return (
        0.5 * (shifted(field, 1, x, axis=2) - shifted(field, -1, x, axis=2)),
        0.5 * (shifted(field, 1, y, axis=1) - shifted(field, -1, y, axis=1)),
    )


def laplacian(field: Float[Array, "b h w c"], boundaries: Boundaries) -> Float[Array, "b h w c"]:
    """∇² by the five-point stencil, per cell²."""
    y, x = boundaries
    neighbours = (
        shifted(field, 1, x, axis=2)
        + shifted(field, -1, x, axis=2)
        + shifted(field, 1, y, axis=1)
        + shifted(field, -1, y, axis=1)
    )
    return neighbours - 4 * field


def squeezed(displacement: Float[Array, "b h w 2"], boundaries: Boundaries) -> Float[Array, "b h w 1"]:
    """Relative change of what is carried, exp(−∇·u dt) − 1, where the flow converges or diverges."""
    along_x, _ = slopes(displacement[..., :1], boundaries)
    _, along_y = slopes(displacement[..., 1:], boundaries)
    # beyond a factor of e² the first-order step says nothing
    return jnp.expm1(jnp.clip(-(along_x + along_y), -2.0, 2.0))


def gathered(origin: Float[Array, "b h w 2"], boundaries: Boundaries) -> Float[Array, "b h w 1"]:
    """How many cells' energy each cell holds when all of it has come: det ∂X/∂x of the places X that it came from."""
    along_x, along_y = slopes(origin, boundaries)
    area = (1 + along_x[..., :1]) * (1 + along_y[..., 1:]) - along_x[..., 1:] * along_y[..., :1]
    return jnp.clip(area, 0.0, _DENSEST)


def carried(
    field: Float[Array, "b h w c"], displacement: Float[Array, "b h w 2"], boundaries: Boundaries
) -> Float[Array, "b h w c"]:
    """The field moved along the streamlines of a velocity that stays as it is.

    `displacement` is u·dt in cells, order x, y.
    """
    return moved(field, origins(displacement, boundaries), boundaries)


def origins(displacement: Float[Array, "b h w 2"], boundaries: Boundaries) -> Float[Array, "b h w 2"]:
    """How far from each cell (x, y) lies what the flow brings there."""
    home_x, home_y = _cells(displacement)
    x, y, step = home_x, home_y, displacement / _SUBSTEPS
    local = step
    for substep in range(_SUBSTEPS):
        # midpoint rule: the velocity half a sub-step upstream
        if substep:
            local = _linear(step, y, x, boundaries)
        middle = _linear(step, y - 0.5 * local[..., 1], x - 0.5 * local[..., 0], boundaries)
        x, y = x - middle[..., 0], y - middle[..., 1]
    return jnp.stack([x - home_x, y - home_y], axis=-1)


def moved(
    field: Float[Array, "b h w c"], origin: Float[Array, "b h w 2"], boundaries: Boundaries
) -> Float[Array, "b h w c"]:
    """The field at the origin of each cell, by cubic convolution."""
    x, y = _cells(field)
    return _cubic(field, y + origin[..., 1], x + origin[..., 0], boundaries)


def _cells(like: Float[Array, "b h w _"]) -> tuple[Float[Array, "b h w"], Float[Array, "b h w"]]:
    """x and y of every cell."""
    b, h, w, _ = like.shape
    x = jnp.broadcast_to(jnp.arange(w, dtype=like.dtype)[None, None, :], (b, h, w))
    y = jnp.broadcast_to(jnp.arange(h, dtype=like.dtype)[None, :, None], (b, h, w))
    return x, y


def moved_by_itself(
    kind: OwnMotion, reach: Float32[np.ndarray, "2"], field: Float[Array, "b h w c"], dt: Float[Array, ""]
) -> Float[Array, "b h w c"]:
    """A periodic field moved and squeezed by its own velocity over a time step."""
    velocity = own_velocity(field, kind, jnp) * dt
    periodic: Boundaries = ("periodic", "periodic")
    moved = carried(field, velocity * reach[0], periodic)
    return moved * (1 + squeezed(velocity * reach[1], periodic))


def _linear(
    field: Float[Array, "b h w c"], y: Float[Array, "b h w"], x: Float[Array, "b h w"], boundaries: Boundaries
) -> Float[Array, "b h w c"]:
    return _interpolate(field, y, x, boundaries, _linear_weights, first=0)


def _cubic(
    field: Float[Array, "b h w c"], y: Float[Array, "b h w"], x: Float[Array, "b h w"], boundaries: Boundaries
) -> Float[Array, "b h w c"]:
    return _interpolate(field, y, x, boundaries, _cubic_weights, first=-1)


def _interpolate(
    field: Float[Array, "b h w c"],
    y: Float[Array, "b h w"],
    x: Float[Array, "b h w"],
    boundaries: Boundaries,
    weights: Callable[[Array], list[Array]],
    *,
    first: int,
) -> Float[Array, "b h w c"]:
    b, h, w, c = field.shape
    row, column = jnp.floor(y), jnp.floor(x)
    of_row, of_column = weights(y - row), weights(x - column)
    # one gather of all neighbours, then one sum: compiled separately, not once per use
    rows = jnp.stack([_index(row.astype(int) + first + i, h, boundaries[0]) for i in range(len(of_row))], axis=-1)
    columns = jnp.stack(
        [_index(column.astype(int) + first + j, w, boundaries[1]) for j in range(len(of_column))], axis=-1
    )
    at = (rows[..., :, None] * w + columns[..., None, :]).reshape(b, -1, 1)
    values = jnp.take_along_axis(field.reshape(b, h * w, c), at, axis=1).reshape(
        b, h * w, len(of_row), len(of_column), c
    )
    of_rows, of_columns = (jnp.stack(of, axis=-1).reshape(b, h * w, -1) for of in (of_row, of_column))
    total = jnp.einsum("bnijc,bni,bnj->bnc", values, of_rows, of_columns)
    return total.reshape(b, h, w, c)


def _index(index: Int[Array, "b h w"], size: int, boundary: Boundary) -> Int[Array, "b h w"]:
    return index % size if boundary == "periodic" else jnp.clip(index, 0, size - 1)


def _linear_weights(f: Float[Array, "b h w"]) -> list[Array]:
    return [1 - f, f]


def _cubic_weights(f: Float[Array, "b h w"]) -> list[Array]:
    return [
        f * (-0.5 + f * (1 - 0.5 * f)),
        1 + f * f * (-2.5 + 1.5 * f),
        f * (0.5 + f * (2 - 1.5 * f)),
        f * f * (-0.5 + 0.5 * f),
    ]
