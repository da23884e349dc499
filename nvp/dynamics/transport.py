"""Conservative, positivity-preserving finite-volume transport: ∂E/∂t + ∇·(uE) = κ∇²E + Q on cells of width 1.

What leaves a cell enters its neighbour, so that ΣE changes only by Q and by what crosses an open edge. Upwind face
values come from a third-order reconstruction under Koren's limiter; time runs by the second-order strong-stability-
preserving Runge–Kutta scheme (Heun). Where Q may take energy away it is written Q = S − λE with S, λ >= 0, for nothing
can be taken from where nothing is. Nothing is clipped: a limited face value is at most twice its cell's, hence E >= 0
is kept while

    dt · (2 · outflow speed of the cell, summed over its faces, + 4κ + λ) <= 1,

and `advance` cuts its time into as many equal sub-steps as that takes.

References: Koren, A robust upwind discretisation method (1993); Gottlieb, Shu & Tadmor, SIAM Review 43, 89 (2001).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from nvp.dynamics.domain import Boundary

# ghost cells that the reconstruction reads beyond each edge
GHOSTS = 2
# share of the largest positive sub-step that is used: room for round-off
SAFETY = 0.9

# sub-steps of one call: a flow that would need more has blown up, and E is then no number
MOST_SUB_STEPS = 10_000

# E, net outflow so far and what Q added so far, per cell (a zero where there is no Q)
_State = tuple[Float[Array, "h w"], Float[Array, ""], Float[Array, "..."]]


class Faces(NamedTuple):
    """Normal velocity on the faces of h × w cells, in cells per unit time; on a periodic axis the last is the first."""

    x: Float[Array, "h w_faces"]
    y: Float[Array, "h_faces w"]


class Advanced(NamedTuple):
    """E after a while, what left through open edges meanwhile, and what Q added: ∑∫Q dt as the scheme has it."""

    energy: Float[Array, "*n h w"]
    outflow: Float[Array, "*n"]
    source: Float[Array, "*n"]


def advance(
    energy: Float[Array, "h w"],
    faces: Faces,
    *,
    duration: float | Float[Array, ""],
    diffusivity: float | Float[Array, ""],
    source: Float[Array, "h w"] | None = None,
    sink: Float[Array, "h w"] | None = None,
    boundary_x: Boundary = "periodic",
    boundary_y: Boundary = "periodic",
    high_order: bool = True,
) -> Advanced:
    """Carry E for `duration` by a velocity that stays as it is, under Q = source − sink · E.

    Both are >= 0: `source` is an energy, `sink` a share of the cell's energy, per unit time.
    `high_order=False` gives the first-order upwind scheme, sub-stepped to the same bound.
    """
    duration = jnp.asarray(duration, energy.dtype)
    rate = positivity_rate(faces, diffusivity, sink)
    needed = jnp.ceil(duration * rate / SAFETY)
    # false, too, where the velocity is no number
    possible = needed <= MOST_SUB_STEPS
    count = jnp.where(possible, needed, 0).astype(jnp.int32)
    step = duration / jnp.maximum(count, 1).astype(energy.dtype)
    # a second array goes round the loop only where there is a Q
    nothing = jnp.zeros((), energy.dtype)
    added = nothing if source is None and sink is None else jnp.zeros_like(energy)

    def tendency(field: Float[Array, "h w"]) -> tuple[Float[Array, "h w"], Float[Array, ""], Float[Array, "..."]]:
        change, outflow = divergence(field, faces, diffusivity, boundary_x, boundary_y, high_order=high_order)
        given = added if source is None else source + added
        given = given if sink is None else given - sink * field
        return change + given, outflow, given

    def heun(_: Int[Array, ""], state: _State) -> _State:
        field, outflow, given = state
        first, outflow_first, given_first = tendency(field)
        predicted = field + step * first
        second, outflow_second, given_second = tendency(predicted)
        # an average of two forward Euler steps, each of which keeps E >= 0
        return (
            0.5 * (field + (predicted + step * second)),
            outflow + 0.5 * step * (outflow_first + outflow_second),
            given + 0.5 * step * (given_first + given_second),
        )

    end, outflow, given = jax.lax.fori_loop(0, count, heun, (energy, nothing, added))
    return Advanced(jnp.where(possible, end, jnp.nan), outflow, total(given))


def mean_faces(centres: Float[Array, "h w 2"], boundary_x: Boundary, boundary_y: Boundary) -> Faces:
    """Velocity on the faces as the mean of the cells on both sides; at walls and open edges that of the edge's cell."""
    u = jnp.pad(centres[..., 0], ((0, 0), (1, 1)), mode="wrap" if boundary_x == "periodic" else "edge")
    v = jnp.pad(centres[..., 1], ((1, 1), (0, 0)), mode="wrap" if boundary_y == "periodic" else "edge")
    return Faces(x=0.5 * (u[:, 1:] + u[:, :-1]), y=0.5 * (v[1:] + v[:-1]))


def positivity_rate(
    faces: Faces, diffusivity: float | Float[Array, ""], sink: Float[Array, "h w"] | None = None
) -> Float[Array, ""]:
    """1 / (largest forward Euler step that keeps E >= 0)."""
    outflow = (
        jnp.maximum(faces.x[:, 1:], 0)
        + jnp.maximum(-faces.x[:, :-1], 0)
        + jnp.maximum(faces.y[1:, :], 0)
        + jnp.maximum(-faces.y[:-1, :], 0)
    )
    lost = 2 * outflow if sink is None else 2 * outflow + sink
    return lost.max() + 4 * jnp.asarray(diffusivity, outflow.dtype)


def total(field: Float[Array, "..."]) -> Float[Array, ""]:
    """Sum by halves: its round-off grows with the logarithm of the number of cells, not with the number."""
    values = field.ravel()
    while len(values) > 1:
        values = jnp.pad(values, (0, len(values) % 2))
        half = len(values) // 2
        values = values[:half] + values[half:]
    return values[0]


def divergence(
    energy: Float[Array, "h w"],
    faces: Faces,
    diffusivity: float | Float[Array, ""],
    boundary_x: Boundary,
    boundary_y: Boundary,
    *,
    high_order: bool = True,
) -> tuple[Float[Array, "h w"], Float[Array, ""]]:
    """−∇·(uE − κ∇E) per cell, and the net outflow through the edges, both per unit time."""
    across_x = _fluxes(_pad(energy, boundary_x, axis=1), _closed(faces.x, boundary_x, axis=1), diffusivity, high_order)
    # the same along y, on the transposed field
    across_y = _fluxes(
        _pad(energy, boundary_y, axis=0).T, _closed(faces.y, boundary_y, axis=0).T, diffusivity, high_order
    ).T
    change = across_x[:, :-1] - across_x[:, 1:] + across_y[:-1, :] - across_y[1:, :]
    if boundary_x == boundary_y == "periodic":
        return change, jnp.zeros((), energy.dtype)
    return change, total(across_x[:, -1] - across_x[:, 0]) + total(across_y[-1, :] - across_y[0, :])


def _fluxes(
    padded: Float[Array, "h w_padded"],
    velocity: Float[Array, "h w_faces"],
    diffusivity: float | Float[Array, ""],
    high_order: bool,
) -> Float[Array, "h w_faces"]:
    """Flux through each face along the last axis, towards larger x."""
    steps = padded[:, 1:] - padded[:, :-1]
    # cells left and right of each face
    left, right = padded[:, GHOSTS - 1 : -GHOSTS], padded[:, GHOSTS : 1 - GHOSTS]
    behind, across, beyond = steps[:, :-2], steps[:, 1:-1], steps[:, 2:]
    if high_order:
        from_left = left + _limited(behind, across)
        from_right = right - _limited(beyond, across)
    else:
        from_left, from_right = left, right
    upwind = jnp.where(velocity > 0, from_left, from_right)
    return velocity * upwind - jnp.asarray(diffusivity, padded.dtype) * across


def _limited(behind: Float[Array, "h n"], ahead: Float[Array, "h n"]) -> Float[Array, "h n"]:
    """Half the limited slope: third order where E is smooth, 0 at extrema, never beyond either neighbour's value."""
    steepest = jnp.minimum(jnp.abs(behind), jnp.abs(ahead))
    slope = jnp.minimum(steepest, jnp.abs(behind + 2 * ahead) / 6)
    return jnp.where(behind * ahead > 0, jnp.sign(ahead) * slope, jnp.zeros_like(slope))


def _pad(energy: Float[Array, "h w"], boundary: Boundary, *, axis: int) -> Float[Array, "_ _"]:
    """Ghost cells: the other side's on a periodic axis, the edge's own (no gradient) at walls and open edges."""
    widths = [(0, 0), (0, 0)]
    widths[axis] = (GHOSTS, GHOSTS)
    return jnp.pad(energy, widths, mode="wrap" if boundary == "periodic" else "edge")


def _closed(velocity: Float[Array, "a b"], boundary: Boundary, *, axis: int) -> Float[Array, "a b"]:
    """Nothing passes a wall, whatever velocity is given on it."""
    if boundary != "wall":
        return velocity
    if axis == 0:
        return velocity.at[0, :].set(0).at[-1, :].set(0)
    return velocity.at[:, 0].set(0).at[:, -1].set(0)
