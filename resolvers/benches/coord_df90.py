"""ΔF90: how many states, the start counted as the first, until 90 % of the possible drop of F is done.

The possible drop is to the least F that any of the compared solvers reached on that graph, so that stopping early earns
nothing; energies are those of the graph as it is weighed, at the start and after each accepted step. A step of
`coordinate` is as many moves as its arrays have places for modules, a power of two. Beside it how many evaluations of F
that took, where they can be told: one for each trial of a line search, one for each move of a coordinate (although it
looks at the couplings of one module only).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import CouplingGraph
from nvp.coordinator.measures import gate_opening
from nvp.coordinator.problem import build
from nvp.coordinator.relax import Relaxation, Status, relax
from nvp.coordinator.scenarios import baseline, dense
from nvp.coordinator.trackers import delta_f90

Report = Callable[[str, float, str], None]

STEPS = 200
VARIANTS: Mapping[str, RelaxConfig] = {
    "fixed": RelaxConfig(mode="gradient", steps=STEPS, line_search=False),
    "armijo": RelaxConfig(mode="gradient", steps=STEPS),
    **{
        mode: RelaxConfig(mode=mode, steps=STEPS)
        for mode in ("coordinate", "adaptive", "splitting", "admm", "newton", "lbfgs", "mirror")
    },
}
COUNTED = ("fixed", "armijo", "newton", "mirror", "coordinate")
SCENARIOS: Mapping[str, Callable[[int], tuple[CouplingGraph, list[float]]]] = {
    # two gates whatever the size, started as open as their nets of −0.1 and 0.05 say
    "baseline": lambda _: (baseline(), [gate_opening(-0.1), gate_opening(0.05)]),
    "dense": lambda size: (dense(size), [0.5] * size),
}


def df90(
    *,
    scenarios: Sequence[str] = tuple(SCENARIOS),
    sizes: Sequence[int] = (16, 64, 256),
    variants: Sequence[str] = tuple(VARIANTS),
    on_progress: Report = lambda *_: None,
) -> dict[str, Any]:
    """`{results: [one row per scenario, size and solver], …}`."""
    cases = [(scenario, size) for scenario in scenarios for size in (sizes if scenario != "baseline" else sizes[:1])]
    rows: list[dict[str, Any]] = []
    for number, (scenario, size) in enumerate(cases):
        graph, start = SCENARIOS[scenario](size)
        # Newton's end is always among the references
        names = dict.fromkeys([*variants, "newton"])
        found: dict[str, Relaxation] = {}
        for name in names:
            on_progress(scenario, len(found) / len(names), f"{len(graph.modules)} modules, {name}")
            found[name] = relax(graph, VARIANTS[name], jax.random.key(0), eta0=start)
        least = min(float(each.energy) for each in found.values())
        moves = build(graph).size
        rows += [
            {
                "scenario": scenario,
                "modules": len(graph.modules),
                "solver": name,
                **_row(name, found[name], least, moves=moves),
            }
            for name in variants
        ]
        on_progress(scenario, (number + 1) / len(cases), "")
    return {"n": len(rows), "steps": STEPS, "results": rows}


def _row(name: str, found: Relaxation, least: float, *, moves: int) -> dict[str, Any]:
    last = int(found.steps)
    taken = np.r_[True, np.asarray(found.trail.accepted[1 : last + 1])]
    energies = np.asarray(found.trail.energy[: last + 1])
    of_step = 1 + np.asarray(found.trail.backtracks[: last + 1])
    if name == "coordinate":
        of_step[1:] += moves
    trials = np.cumsum(of_step)
    count = delta_f90(energies[taken], least)
    return {
        "delta_f90": count,
        "evaluations": int(trials[taken][count - 1]) if count > 0 and name in COUNTED else None,
        "initial_energy": float(found.initial_energy),
        "energy": float(found.energy),
        "least_energy": least,
        "steps": last,
        "status": Status(int(found.status)).name,
    }
