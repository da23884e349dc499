"""What a trail says beside its steps: phase, mixing entropy, room for curvature, its way, its look from afar, scores.

All of it follows from the kept states and the graph, so none of it is stored. Phases and windows are over kept steps:
of a thinned trail they are coarser than what an adapter saw while it went on.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nvp.coordinator.adapters.phase import SPAN, phase_of
from nvp.coordinator.allocation import allocation
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import CouplingGraph
from nvp.coordinator.energy import precision
from nvp.coordinator.features import ALIKE, feature_correlation
from nvp.coordinator.guards import entropy
from nvp.coordinator.hierarchy import blocks_of, coarse_energy
from nvp.coordinator.information import alignment, drift, redundancy
from nvp.coordinator.margins import margins

PHASES = ("stalled", "descending", "oscillating", "rising")
MOST_MODULES = 1000
"""Blocks of larger graphs take too long to be found for a table."""
Column = Sequence[float | str | bool | None]


def diagnose(
    graph: CouplingGraph,
    config: RelaxConfig,
    *,
    energies: Float[np.ndarray, "s"],
    states: Float[np.ndarray, "s n"],
    steps: Float[np.ndarray, "s"],
    norms: Float[np.ndarray, "s t"],
    weights: Float[np.ndarray, "s t"] | None = None,
) -> dict[str, Column]:
    """Columns by name, a value for each kept step; None where there is nothing to tell.

    `norms` are the pulls of the terms, and `weights` what an adapter had given them.
    """
    phases = _phases(energies)
    return {
        **phases,
        **_way(energies, states, np.array(phases["uncertainty:total"])),
        **(_coarse(graph, states) if len(graph.modules) <= MOST_MODULES else {}),
        **_free_energy(config, energies, states),
        **_room(graph, steps),
        **_alike(graph, states),
        **(_spending(graph, norms, weights) if weights is not None and config.adapter == "small_gain" else {}),
    }


@precision
def _phases(energies: Float[np.ndarray, "s"]) -> dict[str, Column]:
    """The phase that the last kept energies are in, as `adapters.phase` reads it."""
    padded = np.concatenate([np.full(SPAN - 1, energies[0]), energies])
    windows = np.lib.stride_tricks.sliding_window_view(padded, SPAN)
    most = np.maximum.accumulate(np.abs(np.diff(windows, axis=1)).sum(axis=1))
    found = jax.vmap(phase_of)(jnp.asarray(windows), jnp.asarray(most))
    columns: dict[str, Column] = {"agm:state": [PHASES[int(state)] for state in found.state]}
    for name in ("rate", "trend", "variance", "oscillation"):
        columns[f"agm:{name}"] = np.asarray(getattr(found, name)).tolist()
    for name in ("epistemic", "aleatoric"):
        columns[f"uncertainty:{name}"] = np.asarray(getattr(found, name)).tolist()
    columns["uncertainty:total"] = np.asarray(found.epistemic + found.aleatoric).tolist()
    return columns


@precision
def _free_energy(
    config: RelaxConfig, energies: Float[np.ndarray, "s"], states: Float[np.ndarray, "s n"]
) -> dict[str, Column]:
    """U, S, T and U − T·S."""
    mixing = np.asarray(jax.vmap(entropy, in_axes=(0, None))(jnp.asarray(states), jnp.ones(states.shape[1])))
    return {
        "U": energies.tolist(),
        "S": mixing.tolist(),
        "T": [config.temperature] * len(energies),
        "F": (energies - config.temperature * mixing).tolist(),
    }


def _room(graph: CouplingGraph, steps: Float[np.ndarray, "s"]) -> dict[str, Column]:
    """What a step α leaves of 2/α in the fullest and in the emptiest row; what each term costs is always the same."""
    at_one = margins(graph, target=1.0)
    rows = np.array(at_one.row_sums)
    columns: dict[str, Column] = {}
    for name, row in (("global", rows.max()), ("row_max", rows.min())):
        columns[f"margin:{name}"] = [max(0.0, 2 / step - row) if step > 0 else None for step in steps.tolist()]
    for term, cost in at_one.family_costs.items():
        columns[f"cost:{term}"] = [cost if np.isfinite(cost) else None] * len(steps)
    return columns


def _way(
    energies: Float[np.ndarray, "s"], states: Float[np.ndarray, "s n"], uncertainty: Float[np.ndarray, "s"]
) -> dict[str, Column]:
    """How far, and which way, it has gone from its start."""
    falls = np.concatenate([[0.0], -np.diff(energies)])
    return {
        "info:alignment": alignment(states, states[0]).tolist(),
        "info:drift": drift(states, states[0]).tolist(),
        "info:redundancy": redundancy(falls, uncertainty).tolist(),
    }


@precision
def _coarse(graph: CouplingGraph, states: Float[np.ndarray, "s n"]) -> dict[str, Column]:
    """The energy of the masses of its blocks, each weighed by 1, as their variance is."""
    blocks = jnp.asarray(blocks_of(graph))
    seen = jax.vmap(coarse_energy, in_axes=(0, None, None, None))
    found = seen(jnp.asarray(states), blocks, jnp.ones(int(blocks.max()) + 1), jnp.ones(()))
    return {"coarse:energy": np.asarray(found).tolist()}


def _alike(graph: CouplingGraph, states: Float[np.ndarray, "s n"]) -> dict[str, Column]:
    alike = feature_correlation(graph, states)
    told = [None if np.isnan(each) else float(each) for each in alike]
    return {
        "poly:correlation_max": told,
        "poly:correlation_warning": [each is not None and each >= ALIKE for each in told],
    }


def _spending(
    graph: CouplingGraph, norms: Float[np.ndarray, "s t"], weights: Float[np.ndarray, "s t"]
) -> dict[str, Column]:
    """By which score each term was served, and what the weights of a step cost beyond those before."""
    found = allocation(graph, norms=norms, weights=weights)
    scores = {f"score:{term}": found.scores[:, number].tolist() for number, term in enumerate(graph.terms)}
    return {**scores, "spent:global": found.spent.tolist()}
