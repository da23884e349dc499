"""How fast and how strongly a gate answers to an event: its benefit jumps, and what pulls it changes at once.

Step-reactive: steps until 90 % of the possible fall of F is done, and how far from the new minimum the gate ends, for
each way of stepping. Decision-reactive: dη/dΔ of the relaxed gate, and kσ(1 − σ), the slope of the opening σ(k·net) by
which it is measured. Weight-reactive: dη/d ln w of the coupling. Responses are central differences between relaxed
states. One lever at a time, on the same gates.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.experiments.config import ReactivityConfig
from nvp.coordinator.experiments.finding import Effect, Finding, Report, joint, mean_effect, share_effect, verdict
from nvp.coordinator.experiments.gates import GateDraw, draw_gate
from nvp.coordinator.many import relax_many
from nvp.coordinator.measures import gate_response
from nvp.coordinator.relax import Relaxation
from nvp.coordinator.trackers import delta_f90

HYPOTHESIS = "Each lever makes a gate answer in fewer steps or more strongly."
STEP = 1e-3
"""Half the difference over which a response is taken."""
STEPPING: dict[str, dict[str, Any]] = {
    "fixed steps": {"line_search": False},
    "line search": {"line_search": True},
    "unit gradients": {"line_search": False, "unit_gradient": True},
    "unit gradients and line search": {"line_search": True, "unit_gradient": True},
    "gradients of at most 0.1": {"line_search": False, "max_gradient_norm": 0.1},
}
LEVERS: dict[str, dict[str, float]] = {
    "as drawn": {},
    "half the cost": {"cost": 0.5},
    "half of a and b": {"wells": 0.5},
    "coupling 2, gate 0.2": {"coupling": 2.0, "gate": 0.2},
    "coupling 3, gate 0.1": {"coupling": 3.0, "gate": 0.1},
}
SHARPNESS = (5.0, 10.0, 20.0)


def run(config: ReactivityConfig, progress: Report) -> Finding:
    """All ways of stepping, then all responses."""
    gates = [draw_gate(np.random.default_rng((config.seed, trial))) for trial in range(config.trials)]
    key = jax.random.key(config.seed)
    newton = RelaxConfig(mode="newton", steps=100)
    shifted = [(lever, sign, of) for lever in LEVERS for of in ("delta", "weight") for sign in (-1, 1)]
    graphs = [graph_of(gate, LEVERS[lever], **{of: sign * STEP}) for lever, sign, of in shifted for gate in gates]
    events = [graph_of(gate, {}) for gate in gates]
    progress("responses", 0.1, f"{len(graphs) + len(events)} gates at once")
    found = relax_many(events + graphs, newton, key, [[0.5, 0.5]] * (len(events) + len(graphs)))
    progress("responses", 1.0, "done")
    settled, rest = found[: len(gates)], found[len(gates) :]
    eta = np.array([each.eta[0] for each in rest]).reshape(len(LEVERS), 2, 2, len(gates))
    responses = (eta[:, :, 1] - eta[:, :, 0]) / (2 * STEP)  # lever, (by Δ, by ln w), gate
    at = dict(zip(LEVERS, eta.mean(axis=(1, 2)), strict=True))
    by_delta, by_weight = (dict(zip(LEVERS, responses[:, place], strict=True)) for place in (0, 1))

    steps, missed = {}, {}
    rows: list[dict[str, Any]] = []
    for number, (name, options) in enumerate(STEPPING.items()):
        ways = replace(newton, mode="gradient", steps=config.steps, record_states=False, **options)
        trails = relax_many(events, ways, key, [[0.0, gate.domain] for gate in gates])
        both = list(zip(trails, settled, strict=True))
        steps[name] = np.array([_until(one, float(end.energy), config.steps) for one, end in both])
        missed[name] = np.array([abs(one.eta[0] - end.eta[0]) for one, end in both])
        rows += _rows(name, trails[0])
        progress("steps", (number + 1) / len(STEPPING), name)

    seed = config.seed
    fixed, drawn = steps["fixed steps"], by_delta["as drawn"]
    faster = [mean_effect(f"steps saved: {name}", fixed - each, seed=seed) for name, each in steps.items()][1:]
    stronger = [mean_effect(f"dη/dΔ gained: {name}", each - drawn, seed=seed) for name, each in by_delta.items()][1:]
    nets = [gate.delta - gate.cost for gate in gates]
    opening = {k: np.array([gate_response(each, sharpness=k) for each in nets]) for k in SHARPNESS}
    stronger += [
        mean_effect(f"dη/dnet gained: k = {k:g} over {SHARPNESS[0]:g}", opening[k] - opening[SHARPNESS[0]], seed=seed)
        for k in SHARPNESS[1:]
    ]
    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=joint(*(verdict(each) for each in (*faster, *stronger))),
        reading="The hypothesis needs every lever; each effect says which of them hold and which do not.",
        effects=[*faster, *stronger],
        arms={name: _stepped(steps[name], missed[name], config.steps, seed) for name in STEPPING}
        | {
            name: [
                mean_effect("dη/dΔ, relaxed", by_delta[name], seed=seed),
                mean_effect("dη/d ln w, relaxed", by_weight[name], seed=seed),
                mean_effect("η of the gate", at[name], seed=seed),
            ]
            for name in LEVERS
        }
        | {
            f"k = {k:g}": [mean_effect("dη/dnet = kσ(1 − σ), measured", each, seed=seed)] for k, each in opening.items()
        },
        tables={"relaxation": rows},
    )


def graph_of(gate: GateDraw, lever: dict[str, float], *, delta: float = 0.0, weight: float = 0.0) -> CouplingGraph:
    """The gate after its event and what it serves, with one lever pulled; `delta` and `weight` are differences."""
    wells = lever.get("wells", 1.0)
    return CouplingGraph(
        modules=[
            Module("gating", {"a": wells * gate.a, "b": wells * gate.b, "net": -lever.get("cost", 1.0) * gate.cost}),
            Module("compression", {"a": 0.5, "target": gate.domain}),
        ],
        couplings=[
            Coupling("gate_benefit", 0, 1, {"weight": float(np.exp(weight))}, delta="event"),
            Coupling("quadratic", 0, 1, {"weight": 0.1}),
        ],
        weights={"coup:gate_benefit": lever.get("coupling", 1.0), "local:gating": lever.get("gate", 1.0)},
        deltas={"event": gate.delta + delta},
    )


def _until(one: Relaxation, least: float, budget: int) -> float:
    """Accepted states until 90 % of the fall; one more than there may be where that is never."""
    last = int(one.steps)
    reached = delta_f90(np.asarray(one.trail.energy)[: last + 1], least)
    return float(reached if reached > 0 else budget + 2)


def _stepped(steps: np.ndarray, missed: np.ndarray, budget: int, seed: int) -> list[Effect]:
    return [
        mean_effect("states until 90 % of the fall", steps, seed=seed),
        share_effect("reach 90 %", steps <= budget + 1),
        mean_effect("distance of the gate from its minimum", missed, seed=seed),
    ]


def _rows(way: str, one: Relaxation) -> list[dict[str, Any]]:
    """The first gate's way, step by step."""
    energy = np.asarray(one.trail.energy)[: int(one.steps) + 1]
    falls = np.diff(energy, prepend=energy[0]).tolist()
    return [
        {"way": way, "step": step, "energy": value, "delta_energy": fall, "redemption_gain": max(-fall, 0.0)}
        for step, (value, fall) in enumerate(zip(energy.tolist(), falls, strict=True))
    ]
