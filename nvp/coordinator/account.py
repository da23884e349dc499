"""The account of a relaxation: which of its steps are kept, and what each term of the energy had at them.

A long trail is thinned: the start, the end and every k-th step are kept, and of those that were refused or that
something is noted of as many as there is room for.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nvp.coordinator import bounds
from nvp.coordinator.coupling_graph import CouplingGraph
from nvp.coordinator.energy import precision, term_energies, term_gradients, weighed
from nvp.coordinator.problem import Problem, build
from nvp.coordinator.relax import Relaxation
from nvp.coordinator.trackers import delta_f90
from nvp.coordinator.trail import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One kept step; arrays are in the order of the modules and of `CouplingGraph.terms`."""

    index: int
    # F under the full objective after the step, and what the step gained under its own (couplings at `scale`)
    energy: float
    gain: float
    scale: float
    gradient_norm: float
    step: float
    backtracks: int
    noise: float
    accepted: bool
    # 2/L − step: how far the step is from where it might not contract; None where the curvature has no bound
    margin: float | None
    eta: tuple[float, ...]
    term_energy: tuple[float, ...]
    term_norm: tuple[float, ...]
    # which objective the step was judged by, and the weights that an adapter had given it; none without one
    objective_version: int
    weights: tuple[float, ...]
    # what is worth noting about it, by the names of `trail.Event`
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A whole relaxation and its kept steps."""

    steps: tuple[Step, ...]
    rejected: int
    backtracks: int
    # states until 90 % of the drop to the least energy seen was done, the start counted as 1; −1 without a drop
    delta_f90: int


def account(graph: CouplingGraph, found: Relaxation, *, limit: int = 190) -> Account:
    """The account of one relaxation whose states were recorded; about `limit` steps are kept."""
    last, trail = int(found.steps), found.trail
    noted = ~np.asarray(trail.accepted[1 : last + 1]) | (np.asarray(trail.events[1 : last + 1]) != 0)
    kept = _kept(last, np.flatnonzero(noted) + 1, limit)
    energies, norms, bound = _terms(build(graph), np.asarray(trail.states), np.array(kept))
    steps = [
        Step(
            index=index,
            energy=float(trail.energy[index]),
            gain=float(trail.gain[index]),
            scale=float(trail.scale[index]),
            gradient_norm=float(trail.gradient_norm[index]),
            step=float(trail.step[index]),
            backtracks=int(trail.backtracks[index]),
            noise=float(trail.noise[index]),
            accepted=index == 0 or bool(trail.accepted[index]),
            margin=2 / bound - float(trail.step[index]) if 0 < bound < np.inf else None,
            eta=tuple(np.asarray(trail.states[index], np.float64).tolist()),
            term_energy=tuple(energies[place].tolist()),
            term_norm=tuple(norms[place].tolist()),
            objective_version=int(trail.version[index]),
            weights=tuple(np.asarray(trail.weights[index]).tolist()) if trail.weights.size else (),
            events=tuple(each.name or "" for each in Event(int(trail.events[index]))),
        )
        for place, index in enumerate(kept)
    ]
    accepted = np.asarray(trail.energy)[: last + 1][np.r_[True, np.asarray(trail.accepted[1 : last + 1])]]
    return Account(
        steps=tuple(steps),
        rejected=last - int(found.accepted),
        backtracks=int(np.asarray(trail.backtracks[: last + 1]).sum()),
        delta_f90=delta_f90(accepted, float(accepted.min())),
    )


def _kept(last: int, noted: np.ndarray, limit: int) -> list[int]:
    """Start and end, every k-th step, and of those refused or noted as many as there is room for."""
    stride = max(1, -(-last // max(1, limit // 2)))
    regular = {0, last, *range(0, last, stride)}
    room = max(0, limit - len(regular))
    return sorted(regular | set(noted[:room].tolist()))


@precision
def _terms(
    problem: Problem, states: Float[np.ndarray, "s n"], kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Energy and gradient norm of each term at each kept state, and the bound on the curvature."""
    padded = np.zeros((len(kept), problem.size))
    padded[:, : states.shape[1]] = states[kept]
    energies, norms, curvature = _at(problem, jnp.asarray(padded))
    return np.asarray(energies), np.asarray(norms), float(curvature)


@jax.jit
def _at(
    problem: Problem, states: Float[Array, "s n"]
) -> tuple[Float[Array, "s t"], Float[Array, "s t"], Float[Array, ""]]:
    energies = jax.vmap(lambda eta: term_energies(problem, eta))(states)
    slopes = jax.vmap(lambda eta: term_gradients(problem, eta))(states)
    return energies, jnp.sqrt(jnp.sum(slopes**2, axis=-1)), bounds.lipschitz(weighed(problem, problem.weights))
