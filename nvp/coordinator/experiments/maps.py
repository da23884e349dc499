"""A ring of gates over the grid of coupling weight × gate cost, relaxed in one batch.

Each gate serves the next, with a benefit of its own, and is coupled with its neighbours. Four maps: how far F falls,
the mean hazard of the nets, openings per unit of benefit (μ̂), and how far the state is from the one that the same ring
without couplings relaxes to, its local state.
"""

from __future__ import annotations

import jax
import numpy as np

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.experiments.config import MapsConfig
from nvp.coordinator.experiments.finding import Check, Finding, Report, joint, mean_effect, verdict
from nvp.coordinator.gating import OPEN
from nvp.coordinator.many import relax_many
from nvp.coordinator.measures import hazard_rate
from nvp.coordinator.relax import Status

HYPOTHESIS = "Where couplings are weak and gates dear, a ring of gates rests where each gate alone would."
START = 0.5


def run(config: MapsConfig, progress: Report) -> Finding:
    """The whole grid, all rings, in one batch; weight 0 is relaxed beside it, to compare with."""
    rings = [np.random.default_rng((config.seed, trial)) for trial in range(config.trials)]
    gains = np.array([rng.uniform(0.0, 0.3, config.count) for rng in rings])
    benefits = np.array([rng.uniform(-0.1, 0.4, config.count) for rng in rings])
    weights = np.array([0.0, *config.couplings])
    graphs = [
        ring(gains[trial] - cost, benefits[trial], weight)
        for weight in weights.tolist()
        for cost in config.costs
        for trial in range(config.trials)
    ]
    progress("relax", 0.1, f"{len(graphs)} rings at once")
    starts = [[START] * config.count] * len(graphs)
    found = relax_many(graphs, RelaxConfig(mode="newton", steps=100), jax.random.key(config.seed), starts)
    progress("relax", 1.0, "done")
    shape = len(weights), len(config.costs), config.trials
    eta = np.array([each.eta for each in found]).reshape(*shape, config.count)
    falls = np.array([float(each.initial_energy - each.energy) for each in found]).reshape(shape)[1:]
    distance = np.abs(eta[1:] - eta[:1]).mean(axis=3)
    opened = eta[1:] > OPEN
    served = np.maximum(np.where(opened, benefits, 0.0), 0.0)
    hazard = [[hazard_rate(net) for net in (gains - cost).ravel().tolist()] for cost in config.costs]
    seed, dear = config.seed, config.costs[-1]
    settled = np.mean([each.status == Status.CONVERGED for each in found])
    strong = mean_effect(
        f"distance from the local state, mean of costs: weight {config.couplings[-1]:g} − {config.couplings[0]:g}",
        (distance[-1] - distance[0]).mean(axis=0),
        seed=seed,
    )
    cheap = mean_effect(
        f"distance from the local state, mean of weights: cost {config.costs[0]:g} − {dear:g}",
        (distance[:, 0] - distance[:, -1]).mean(axis=0),
        seed=seed,
    )
    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=joint(verdict(strong), verdict(cheap)),
        reading="Both halves are judged: along the weights, and along the costs.",
        effects=[strong, cheap],
        arms={
            f"weight {weight:g}, cost {cost:g}": [
                mean_effect("distance from the local state", distance[row, column], seed=seed),
                mean_effect("fall of F", falls[row, column], seed=seed),
                mean_effect("gates open", opened[row, column].mean(axis=1), seed=seed),
            ]
            for row, weight in ((0, config.couplings[0]), (-1, config.couplings[-1]))
            for column, cost in ((0, config.costs[0]), (-1, dear))
        },
        checks=[
            Check(
                name="share of relaxations that converged",
                value=float(settled),
                bound=">= 1",
                met=bool(settled >= 1),
            )
        ],
        curves={
            "weights": list(config.couplings),
            "costs": list(config.costs),
            "maps": {
                "fall of F": falls.mean(axis=2).tolist(),
                "hazard": [np.mean(hazard, axis=1).tolist()] * len(config.couplings),
                "openings per benefit": _quotient(opened.sum(axis=(2, 3)), served.sum(axis=(2, 3))).tolist(),
                "distance from the local state": distance.mean(axis=2).tolist(),
            },
        },
    )


def ring(net: np.ndarray, benefit: np.ndarray, weight: float) -> CouplingGraph:
    """Gates in a ring; each is pulled at by its neighbours, and by what it brings the next one."""
    places = range(len(net))
    after = [(i + 1) % len(net) for i in places]
    return CouplingGraph(
        modules=[Module("gating", {"a": 0.1, "b": 0.1, "net": each}) for each in net.tolist()],
        couplings=[
            *(Coupling("quadratic", i, after[i], {"weight": weight / 2}) for i in places),
            *(Coupling("gate_benefit", i, after[i], {"weight": weight}, delta=f"gate {i}") for i in places),
        ],
        deltas={f"gate {i}": each for i, each in enumerate(benefit.tolist())},
    )


def _quotient(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """0 where nothing was served."""
    found: np.ndarray = np.divide(above, below, out=np.zeros(below.shape), where=below > 0)
    return found
