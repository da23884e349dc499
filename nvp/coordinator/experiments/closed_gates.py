"""A gate that starts at η = 0: does it need help to open?

The benefit −wΔη pulls at a closed gate as strongly as at an open one, so that no help is needed; a benefit −wΔη^p pulls
at η = 0 only for p = 1. Gates for whom opening pays are relaxed from 0 under either, and from a small η under p = 2.
"""

from __future__ import annotations

import jax
import numpy as np

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.experiments.config import ClosedGatesConfig
from nvp.coordinator.experiments.finding import Finding, Report, mean_effect, share_effect, verdict
from nvp.coordinator.many import relax_many

HYPOTHESIS = "A gate that starts closed stays closed under a benefit linear in η, unless something opens it first."
STUCK = 1e-6
HELD_OPEN = 0.1
ARMS: dict[str, tuple[str, dict[str, float], float]] = {
    "−wΔη, from 0": ("gate_benefit", {}, 0.0),
    "−wdΔη, d = 1.1, from 0": ("damped_gate_benefit", {"damping": 1.1}, 0.0),
    "−wΔη², from 0": ("damped_gate_benefit", {"power": 2.0}, 0.0),
    f"−wΔη², from {HELD_OPEN}": ("damped_gate_benefit", {"power": 2.0}, HELD_OPEN),
}


def run(config: ClosedGatesConfig, progress: Report) -> Finding:
    """The same gates in every arm, in one batch."""
    gates = [draw(np.random.default_rng((config.seed, trial))) for trial in range(config.trials)]
    graphs = [graph_of(gate, kind, params) for kind, params, _ in ARMS.values() for gate in gates]
    starts = [[start, 0.5] for _, _, start in ARMS.values() for _ in gates]
    progress("relax", 0.1, f"{len(graphs)} gates at once")
    found = relax_many(graphs, RelaxConfig(mode="newton", steps=100), jax.random.key(config.seed), starts)
    progress("relax", 1.0, "done")
    eta = dict(zip(ARMS, np.array([each.eta[0] for each in found]).reshape(len(ARMS), -1), strict=True))
    linear, quadratic = eta["−wΔη, from 0"], eta["−wΔη², from 0"]
    seed = config.seed
    stuck = share_effect("share of gates stuck under −wΔη", linear <= STUCK)
    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=verdict(stuck, over=0.5),
        reading="A linear benefit opens closed gates by itself; only one without slope at 0 leaves them shut.",
        effects=[
            stuck,
            share_effect("share of gates stuck under −wΔη²", quadratic <= STUCK),
            mean_effect("η under −wdΔη, d = 1.1 − η under −wΔη", eta["−wdΔη, d = 1.1, from 0"] - linear, seed=seed),
        ],
        arms={
            name: [share_effect("stuck", each <= STUCK), mean_effect("η of the gate", each, seed=seed)]
            for name, each in eta.items()
        },
    )


def draw(rng: np.random.Generator) -> dict[str, float]:
    """A gate for which opening pays: w·Δ is more than its cost, and more than a, so that −wΔη² opens it as well."""
    a, cost = rng.uniform(0.05, 0.2), rng.uniform(0.0, 0.05)
    return {"a": a, "b": rng.uniform(0.05, 0.3), "cost": cost, "benefit": a + cost + rng.uniform(0.1, 0.5)}


def graph_of(gate: dict[str, float], kind: str, params: dict[str, float]) -> CouplingGraph:
    """The gate, and what it serves."""
    return CouplingGraph(
        modules=[
            Module("gating", {"a": gate["a"], "b": gate["b"], "net": -gate["cost"]}),
            Module("compression", {"target": 0.5}),
        ],
        couplings=[Coupling(kind, 0, 1, dict(params), delta="opening")],
        deltas={"opening": gate["benefit"]},
    )
