"""One term shouts the others down; bringing it down is to stop that, and to find less F.

Each trial is a start and one term of a random graph whose weight is far too large. Weights that stay, auto-balance and
norm balancing are held against each other by how unequal the terms pull at the end, and by F with all weights 1.
"""

from __future__ import annotations

import numpy as np

from nvp.coordinator.adapters.balance import auto_balance, norm_balance
from nvp.coordinator.experiments.adapters import arm_of, plain_energies
from nvp.coordinator.experiments.config import EnergyWarsConfig
from nvp.coordinator.experiments.finding import Check, Finding, Report, joint, mean_effect, verdict
from nvp.coordinator.scenarios import random_graph

HYPOTHESIS = "Bringing down a term that pulls far too hard makes pulls more equal, and ends at less F (all weights 1)."
WAYS = {"fixed": None, "auto-balance": auto_balance(), "norm balance": norm_balance()}


def run(config: EnergyWarsConfig, progress: Report) -> Finding:
    """The same wars, fought and settled."""
    rng = np.random.default_rng(config.seed)
    graph = random_graph(config.count, "rugged", rng)
    starts = rng.random((config.trials, config.count))
    weights = np.ones((config.trials, len(graph.terms)))
    weights[np.arange(config.trials), rng.integers(0, weights.shape[1], config.trials)] = config.factor
    arms = {}
    for number, (name, adapter) in enumerate(WAYS.items()):
        progress("relax", number / len(WAYS), name)
        arms[name] = arm_of(graph, starts, weights, adapter, steps=config.steps, seed=config.seed)
    progress("relax", 1.0, "done")
    fixed, settled = arms["fixed"], arms["auto-balance"]
    drop = np.maximum(plain_energies(graph, starts) - min(float(arm.plain.min()) for arm in arms.values()), 1e-12)
    seed = config.seed
    effects = [
        mean_effect("fall of log10 largest over smallest pull", fixed.imbalance - settled.imbalance, seed=seed),
        mean_effect("share of the possible drop gained", (fixed.plain - settled.plain) / drop, seed=seed),
    ]
    changed = float(settled.versions.mean() - 1)
    rise = max(arm.rise for arm in arms.values())
    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=joint(*map(verdict, effects)),
        reading="Both parts have an interval of their own: pulls may become equal without F becoming less.",
        effects=effects,
        arms={
            name: [
                mean_effect("log10 largest over smallest pull", arm.imbalance, seed=seed),
                mean_effect("F with all weights 1", arm.plain, seed=seed),
                mean_effect("objectives", arm.versions, seed=seed),
            ]
            for name, arm in arms.items()
        },
        checks=[
            Check(name="times that auto-balance acted, mean", value=changed, bound="> 0", met=changed > 0),
            Check(
                name="rise of F (configured weights) from start to returned state",
                value=rise,
                bound="<= 1e-12",
                met=rise <= 1e-12,
            ),
        ],
    )
