"""A gate decides on a repair: what its benefit, its coupling and the gate itself are each worth.

Two order parameters for each sequence: a gate, aη² + bη⁴ + cost·η, and the sequence's own coherence, from its measured
value. The gate is fed what the repair promises, as a share of the disorder; where it relaxes beyond ½ the repair is
made, and η is measured again: relaxing η alone repairs nothing. Ablations: no coupling, the promise of another
sequence, no gate at all, and the promise as a bare difference in η, which is too small to open any gate that pays.
"""

from __future__ import annotations

import jax
import numpy as np

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.dips import Repair, draw_repairs
from nvp.coordinator.experiments.config import RedemptionConfig
from nvp.coordinator.experiments.finding import Check, Finding, Report, mean_effect, share_effect, verdict
from nvp.coordinator.gating import OPEN
from nvp.coordinator.many import relax_many
from nvp.coordinator.reference import reference_energy

HYPOTHESIS = "A gate fed with its own benefit redeems more than one fed with another's."


def run(config: RedemptionConfig, progress: Report) -> Finding:
    """Relax every sequence under every ablation, in one batch."""
    repairs = draw_repairs(config.seed, config.trials, length=config.length, depth=config.depth, noise=config.noise)
    promised = np.array([each.promised_share for each in repairs])
    benefits = {
        "own benefit": promised,
        "coupling off": np.zeros(config.trials),
        "another's benefit": np.roll(promised, 1),
        "benefit as a bare difference in η": np.array([each.promised for each in repairs]),
    }
    graphs = [graph_of(config, benefit) for arm in benefits.values() for benefit in arm.tolist()]
    starts = [[0.1, each.before] for each in repairs] * len(benefits)
    progress("relax", 0.1, f"{len(graphs)} graphs at once")
    found = relax_many(graphs, RelaxConfig(mode="newton", steps=config.steps), jax.random.key(config.seed), starts)
    progress("relax", 1.0, "done")
    eta = np.array([each.eta for each in found]).reshape(len(benefits), config.trials, 2)
    rose = [
        reference_energy(graph, each.eta)[0] - reference_energy(graph, start)[0]
        for graph, each, start in zip(graphs, found, starts, strict=True)
    ]
    realised = np.array([each.realised for each in repairs])
    opened = dict(zip(benefits, eta[:, :, 0] > OPEN, strict=True))
    opened |= {"no gate: every repair": np.ones(config.trials, bool), "no gate: none": np.zeros(config.trials, bool)}
    gained = {name: np.where(each, realised, 0.0) for name, each in opened.items()}
    own, seed = gained["own benefit"], config.seed
    others = [name for name in gained if name != "own benefit"]
    effects = {
        name: mean_effect(f"order redeemed: own benefit − {name}", own - gained[name], seed=seed) for name in others
    }
    first = effects.pop("another's benefit")
    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=verdict(first),
        reading="Redeemed is what is measured after the repair; the relaxed η goes to 1 whether or not there was one.",
        effects=[first, *effects.values()],
        arms={
            name: [
                share_effect("gates open", opened[name]),
                mean_effect("order redeemed, measured", gained[name], seed=seed),
                *(
                    [
                        mean_effect("η of the gate", eta[place, :, 0], seed=seed),
                        mean_effect("η of the sequence, relaxed", eta[place, :, 1], seed=seed),
                    ]
                    if (place := list(opened).index(name)) < len(benefits)
                    else []
                ),
            ]
            for name in opened
        }
        | {"before": [mean_effect("η of the sequence, measured", [each.true_before for each in repairs], seed=seed)]},
        checks=[
            Check(name="largest rise of F", value=float(max(rose)), bound="<= 1e-12", met=bool(max(rose) <= 1e-12))
        ],
        tables={"gates": _rows(repairs, eta[0, :, 0], opened["own benefit"])},
    )


def graph_of(config: RedemptionConfig, benefit: float) -> CouplingGraph:
    """The gate and the sequence that it serves."""
    return CouplingGraph(
        modules=[Module("gating", {"a": 0.2, "b": 0.3, "net": -config.cost}), Module("sequence")],
        couplings=[Coupling("gate_benefit", 0, 1, {"weight": config.weight}, delta="repair")],
        deltas={"repair": benefit},
    )


def _rows(repairs: list[Repair], gate: np.ndarray, opened: np.ndarray) -> list[dict[str, object]]:
    return [
        {
            "trial": trial,
            "promised": repair.promised,
            "eta_gate": float(gate[trial]),
            "opened": bool(opened[trial]),
            "redemption": repair.realised if opened[trial] else 0.0,
            "is_good": bool(opened[trial]) and repair.realised > 0,
        }
        for trial, repair in enumerate(repairs)
    ]
