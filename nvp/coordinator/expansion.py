"""Whether a coupling graph should be given another module: only where that is worth its price.

    add the module iff ΔF + γ < −τ,    ΔF = F*(with) − F*(without), both relaxed

Energies with many minima have many F*. The graph with a candidate is relaxed from where the graph alone came to rest,
with the newcomer closed, half open and open; then the graph alone once more from where that led its modules. So a
candidate is never credited with a minimum that the graph has without it.

ΔF is the sum of what each module's share of the energy changes, a coupling being borne by both its ends alike. The
parent of a candidate is the module coupled with it whose share falls most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from nvp.coordinator.candidates import Candidate, extended
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.description import graph_of, keys_of, normal
from nvp.coordinator.many import relax_many
from nvp.coordinator.reference import reference_shares
from nvp.coordinator.relax import relax
from nvp.errors import FieldError

NEWCOMER = (0.0, 0.5, 1.0)
"""η of a candidate at the starts that it is relaxed from."""
MOST_KEPT = 2
"""Survivors of one proposal: more would compete for the same energy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What one candidate would do to the graph; energies without γ·N."""

    key: str
    energy_before: float
    energy_after: float
    # F*(with) − F*(without)
    delta: float
    # delta + γ < −τ
    accepted: bool
    # the module that gains most by it; None where it is coupled with none
    parent: str | None
    # what the share of each module coupled with it changes
    benefits: Mapping[str, float]
    # where the graph with it came to rest, by key
    eta: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """All candidates in their order, and those of the accepted that lower F most."""

    scores: tuple[Score, ...]
    survivors: tuple[str, ...]
    gamma: float
    tau: float
    # where the graph alone came to rest
    energy: float
    eta: Mapping[str, float]


def propose_expansion(
    description: Mapping[str, Any],
    candidates: Sequence[Candidate],
    *,
    gamma: float | None = None,
    tau: float | None = None,
    config: RelaxConfig | None = None,
    keep: int = MOST_KEPT,
    start: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Expansion:
    """Score every candidate by relaxing the graph with and without it, all of them as one array program.

    γ and τ are the graph's own where none are given; `start` says where its modules stand, else in the middle.
    """
    graph_as_drawn = normal(description)
    gamma = _price("gamma", graph_as_drawn["gamma"] if gamma is None else gamma)
    tau = _price("tau", graph_as_drawn["tau"] if tau is None else tau)
    if not 1 <= keep <= MOST_KEPT:
        raise FieldError("BAD_CONFIG", f"expected keep from 1 to {MOST_KEPT}, got {keep}.", next_step="Use 2.")
    if not candidates or len({each.key for each in candidates}) < len(candidates):
        raise FieldError(
            "BAD_KEY",
            f"expected candidates, each with a key of its own, got {[each.key for each in candidates]}.",
            next_step="Name each once.",
        )
    free = {**graph_as_drawn, "gamma": 0.0}  # the price is counted once, at the gate
    config = config or RelaxConfig()
    keys, graph = keys_of(free), graph_of(free)
    larger = [extended(free, each) for each in candidates]
    began = [0.5 if start is None else start.get(key, 0.5) for key in keys]
    # as many starts as below, so that one program serves both
    alone = relax(graph, config, jax.random.key(seed), eta0=[began] * len(candidates))
    energy, rest = float(alone.energy[0]), alone.eta[0]
    at_rest = dict(zip(keys, rest.tolist(), strict=True))

    graphs = [graph_of(each) for each in larger for _ in NEWCOMER]
    starts = [
        [{**at_rest, candidate.key: eta}[key] for key in keys_of(each)]
        for candidate, each in zip(candidates, larger, strict=True)
        for eta in NEWCOMER
    ]
    found = relax_many(graphs, config, jax.random.key(seed), starts)
    rows = [found[at : at + len(NEWCOMER)] for at in range(0, len(found), len(NEWCOMER))]
    best = [min(row, key=lambda each: float(each.energy)) for row in rows]
    ends = [dict(zip(keys_of(each), one.eta.tolist(), strict=True)) for each, one in zip(larger, best, strict=True)]
    again = relax(graph, config, jax.random.key(seed), eta0=[[end[key] for key in keys] for end in ends])

    scores = []
    for number, (candidate, each) in enumerate(zip(candidates, larger, strict=True)):
        before, without = min((energy, rest), (float(again.energy[number]), again.eta[number]), key=lambda end: end[0])
        after, with_it = float(best[number].energy), best[number].eta
        shares = dict(zip(keys, reference_shares(graph, without).tolist(), strict=True))
        changed = dict(zip(keys_of(each), reference_shares(graph_of(each), with_it).tolist(), strict=True))
        benefits = {key: changed[key] - shares[key] for key in candidate.partners}
        scores.append(
            Score(
                key=candidate.key,
                energy_before=before,
                energy_after=after,
                delta=after - before,
                accepted=after - before + gamma < -tau,
                parent=min(benefits, key=lambda key: benefits[key], default=None),
                benefits=benefits,
                eta=ends[number],
            )
        )
    ranked = sorted((each for each in scores if each.accepted), key=lambda each: each.delta)
    return Expansion(
        scores=tuple(scores),
        survivors=tuple(each.key for each in ranked[:keep]),
        gamma=gamma,
        tau=tau,
        energy=energy,
        eta=at_rest,
    )


def _price(name: str, value: float) -> float:
    if not (np.isfinite(value) and value >= 0):
        raise FieldError("BAD_PARAMETER", f"expected {name} >= 0 and finite, got {value}.", next_step="Use 0 for none.")
    return float(value)
