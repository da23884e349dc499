"""What all solvers share: a point, a proposal for the next one, and the line search between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.energy import energy
from nvp.coordinator.layout import Layout
from nvp.coordinator.problem import Problem


class Point(NamedTuple):
    """A state of the box with F and ∇F there."""

    eta: Float[Array, "n"]
    energy: Float[Array, ""]
    gradient: Float[Array, "n"]


class Setting(NamedTuple):
    """What a proposal may depend on beside the point: the weighed problem, its tables, its L, and the settings."""

    problem: Problem
    layout: Layout | None
    lipschitz: Float[Array, ""]
    config: RelaxConfig


class Proposal(NamedTuple):
    """Where a solver would go; the driver decides whether it does."""

    eta: Float[Array, "n"]
    # the solver's own memory
    carry: Any
    # length of the step and how often it was shortened
    step: Float[Array, ""]
    backtracks: Int[Array, ""]
    # no acceptable step was found
    failed: Bool[Array, ""]
    # the solver's own criterion says that it is there
    done: Bool[Array, ""]


class Solver(NamedTuple):
    """A method: its memory at the start, and its proposal from a point and the rate that rejections have left."""

    init: Callable[[Setting, Point], Any]
    propose: Callable[[Setting, Point, Any, Float[Array, ""]], Proposal]
    # whether its own iterate goes on after a rejection, instead of starting over from the accepted state
    persistent: bool = False
    # what its memory says of how it went, by name
    told: Callable[[Any], dict[str, Any]] = lambda memory: {}


def box(eta: Float[Array, "n"]) -> Float[Array, "n"]:
    """The nearest point of [0, 1]^n. Never differentiated through."""
    return jnp.clip(eta, 0.0, 1.0)


def projected_gradient(point: Point) -> Float[Array, "n"]:
    """η − P(η − ∇F): 0 exactly where no feasible direction descends."""
    return point.eta - box(point.eta - point.gradient)


def armijo(
    setting: Setting, point: Point, path: Callable[[Float[Array, ""]], Float[Array, "n"]], first: Float[Array, ""]
) -> tuple[Float[Array, "n"], Float[Array, ""], Int[Array, ""], Bool[Array, ""]]:
    """State, step, backtracks and failure of the first step t = first·factor^m with F(η_t) ≤ F − c⟨g, η − η_t⟩.

    The slope is taken along the way really gone, η − η_t, which the box may have bent and a preconditioner turned.
    Where no step will do, the state is the point itself.

    Bertsekas, "On the Goldstein-Levitin-Polyak gradient projection method", IEEE Trans. Automatic Control 21 (1976).
    """
    config = setting.config

    def acceptable(eta: Float[Array, "n"]) -> Bool[Array, ""]:
        slope = point.gradient @ (point.eta - eta)
        return (slope > 0) & (energy(setting.problem, eta) <= point.energy - config.armijo_c * slope)

    def shorten(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        step, count, _, _ = state
        step = step * config.backtrack_factor
        eta = path(step)
        return step, count + 1, eta, acceptable(eta)

    # the first trial is the first turn of the loop: the energy is compiled once
    start = first / config.backtrack_factor, jnp.asarray(-1, jnp.int32), point.eta, jnp.asarray(False)
    step, count, eta, ok = jax.lax.while_loop(lambda s: ~s[3] & (s[1] < config.max_backtrack), shorten, start)
    return jnp.where(ok, eta, point.eta), step, count, ~ok
