"""A chain of beliefs, each with evidence of its own: what couplings between neighbours add, and wrong ones do not.

The truth along the chain is smooth, the evidence of each module is the truth with noise. Each module is a well at its
evidence, neighbours are coupled quadratically; so the relaxed state is known exactly, (1 + wL)η = evidence with L the
chain's Laplacian, a discrete smoothing spline of first order. Ablations: no couplings, and as many couplings between
modules that are no neighbours.

Reinsch, "Smoothing by spline functions", Numerische Mathematik 10 (1967).
"""

from __future__ import annotations

import jax
import numpy as np

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.experiments.config import ChainConfig
from nvp.coordinator.experiments.finding import Check, Finding, Report, joint, mean_effect, verdict
from nvp.coordinator.many import relax_many

HYPOTHESIS = "Couplings between neighbours bring the relaxed state nearer to the truth; as many between others do not."
Pairs = list[tuple[int, int]]


def run(config: ChainConfig, progress: Report) -> Finding:
    """All chains with all kinds of couplings in one batch."""
    truths, evidence, wires = [], [], []
    for trial in range(config.trials):
        rng = np.random.default_rng((config.seed, trial))
        truths.append(smooth_truth(config.count, rng))
        evidence.append(np.clip(truths[-1] + config.noise * rng.standard_normal(config.count), 0, 1))
        wires.append(_rewired(config.count, rng))
    neighbours = [(i, i + 1) for i in range(config.count - 1)]
    none: Pairs = []
    arms: dict[str, list[Pairs]] = {
        "neighbours coupled": [neighbours] * config.trials,
        "no couplings": [none] * config.trials,
        "as many between others": wires,
    }
    graphs = [
        graph_of(config, target, pairs) for rows in arms.values() for target, pairs in zip(evidence, rows, strict=True)
    ]
    progress("relax", 0.1, f"{len(graphs)} chains at once")
    starts = evidence * len(arms)
    found = relax_many(graphs, RelaxConfig(mode="newton", steps=100), jax.random.key(config.seed), starts)
    progress("relax", 1.0, "done")
    eta = np.array([each.eta for each in found]).reshape(len(arms), config.trials, config.count)
    error = dict(zip(arms, ((eta - np.array(truths)) ** 2).mean(axis=2), strict=True))
    coupled, seed = error["neighbours coupled"], config.seed
    exact = np.array([smoothed(target, neighbours, config.weight) for target in evidence])
    apart = float(np.abs(eta[0] - exact).max())
    gain = mean_effect("squared error: no couplings − neighbours coupled", error["no couplings"] - coupled, seed=seed)
    beside = mean_effect(
        "squared error: as many between others − neighbours coupled",
        error["as many between others"] - coupled,
        seed=seed,
    )
    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=joint(verdict(gain), verdict(beside)),
        reading="It is smoothing: it helps as far as the truth is smooth along the couplings, and no further.",
        effects=[gain, beside],
        arms={name: [mean_effect("squared error", each, seed=seed)] for name, each in error.items()},
        checks=[Check(name="largest distance from the exact spline", value=apart, bound="<= 1e-6", met=apart <= 1e-6)],
    )


def smooth_truth(count: int, rng: np.random.Generator) -> np.ndarray:
    """A slow wave between 0.1 and 0.9."""
    phase, turns = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 1.0)
    wave: np.ndarray = 0.5 + 0.4 * np.sin(phase + 2 * np.pi * turns * np.arange(count) / count)
    return wave


def graph_of(config: ChainConfig, evidence: np.ndarray, pairs: Pairs) -> CouplingGraph:
    """Wells at the evidence, and these couplings."""
    return CouplingGraph(
        modules=[Module("hypothesis", {"a": 1.0, "target": each}) for each in evidence.tolist()],
        couplings=[Coupling("quadratic", i, j, {"weight": config.weight}) for i, j in pairs],
    )


def smoothed(evidence: np.ndarray, pairs: Pairs, weight: float) -> np.ndarray:
    """The minimum of Σ(η − evidence)² + w Σ(η_i − η_j)²."""
    matrix = np.eye(len(evidence))
    for i, j in pairs:
        matrix[[i, j], [i, j]] += weight
        matrix[[i, j], [j, i]] -= weight
    solved: np.ndarray = np.linalg.solve(matrix, evidence)
    return solved


def _rewired(count: int, rng: np.random.Generator) -> Pairs:
    """As many different pairs as a chain has, none of them neighbours where there are enough others."""
    others = [(i, j) for i in range(count) for j in range(i + 2, count)]
    chosen = rng.choice(len(others), min(count - 1, len(others)), replace=False)
    return [others[each] for each in chosen.tolist()]
