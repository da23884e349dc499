"""What a relaxation may begin with: a state that was found or guessed before, and the few modules worth moving first.

Whatever is proposed, the coordinator projects: every way of amortising ends with a relaxation of the whole graph, whose
guard holds F below that of the start.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jax import Array

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import CouplingGraph
from nvp.coordinator.reference import reference_energy
from nvp.coordinator.relax import Relaxation, relax
from nvp.errors import FieldError

Vector = np.ndarray[tuple[int], np.dtype[np.float64]]


def confidence(eta: Any) -> Vector:
    """|2η − 1|: none at ½, where a proposal says nothing, whole at either bound."""
    return np.abs(2 * np.asarray(eta, np.float64) - 1)


def signature(graph: CouplingGraph, at: Any = None) -> Vector:
    """What a graph pulls like: ∇F in the middle of the box, and at other states if they are given."""
    states = [np.full(len(graph.modules), 0.5)] if at is None else np.atleast_2d(np.asarray(at, np.float64))
    return np.concatenate([reference_energy(graph, eta)[1] for eta in states])


def distance(one: Vector, other: Vector) -> float:
    """1 − cos, of signatures of graphs of one size; 2, the largest, for others."""
    if one.shape != other.shape:
        return 2.0
    norms = float(np.linalg.norm(one) * np.linalg.norm(other))
    return 1 - float(one @ other) / norms if norms else float(np.any(one != other))


@dataclass(slots=True)
class SignatureCache:
    """The ends of past relaxations, found again by graphs that pull alike; the least recently used is forgotten."""

    size: int = 32
    within: float = 0.05
    _entries: OrderedDict[bytes, tuple[Vector, Vector]] = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._entries)

    def store(self, of: Vector, eta: Any) -> None:
        """Remember where a graph with this signature came to rest."""
        self._entries[of.tobytes()] = of, np.array(eta, np.float64)
        self._entries.move_to_end(of.tobytes())
        while len(self._entries) > self.size:
            self._entries.popitem(last=False)

    def find(self, of: Vector) -> Vector | None:
        """The end that belongs to the nearest signature, if any is near enough."""
        near = min(self._entries, key=lambda key: distance(of, self._entries[key][0]), default=None)
        if near is None or distance(of, self._entries[near][0]) > self.within:
            return None
        self._entries.move_to_end(near)
        return self._entries[near][1].copy()


def active_set(graph: CouplingGraph, eta: Any, count: int, *, neighbours: bool = True) -> np.ndarray:
    """Truth values of the `count` modules that the projected gradient moves most, and of those coupled with them."""
    at = np.asarray(eta, np.float64)
    slope = reference_energy(graph, at)[1]
    pull = np.abs(at - np.clip(at - slope, 0, 1))
    chosen = np.zeros(len(at), bool)
    # stable: of equals, those that were drawn first
    chosen[np.argsort(-pull, kind="stable")[:count]] = True
    chosen &= pull > 0
    if neighbours:
        reached = chosen.copy()
        for coupling in graph.couplings:
            reached[coupling.i] |= chosen[coupling.j]
            reached[coupling.j] |= chosen[coupling.i]
        chosen = reached
    return chosen


def stage_plan(stages: int, steps: int) -> list[int]:
    """Steps of each stage, k/Σk of all of them for the k-th; every stage gets at least one."""
    if not 1 <= stages <= steps:
        raise FieldError(
            "BAD_CONFIG", f"expected from 1 to {steps} stages, got {stages}.", next_step="Ask for fewer stages."
        )
    shares = np.arange(1, stages + 1) / (stages * (stages + 1) / 2)
    plan = np.maximum(1, np.floor(shares * steps).astype(int))
    plan[-1] = max(1, steps - int(plan[:-1].sum()))
    return [int(each) for each in plan]


def relax_in_stages(
    graph: CouplingGraph, config: RelaxConfig, key: Array, *, eta0: Any, stages: int = 3
) -> list[Relaxation]:
    """First the few modules that are pulled most, then more of them, at last all; each stage starts where one ended.

    F(returned) ≤ F(start) of each, and therefore of all.
    """
    eta, found = np.asarray(eta0, np.float64), []
    count = len(graph.modules)
    for number, steps in enumerate(stage_plan(stages, config.steps), start=1):
        whole = number == stages
        active = None if whole else active_set(graph, eta, max(1, count * number // stages))
        if active is None or active.any():
            found.append(relax(graph, replace(config, steps=steps), key, eta0=eta, active=active))
            eta = found[-1].eta
    return found
