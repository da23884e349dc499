"""A gate that pays for shortcuts: does feeding it its benefit lower the threshold, and at what price?

At each share p of the bonds one gate is relaxed. Its benefit is what shortcuts added to η on *other* lattices (pilots),
so that the gate knows nothing of the lattice it decides for. Where it opens, the shortcuts are added, and η is
measured on the lattice itself. Ablations: its coupling off, gates that open at as many values of p but at random, local
bonds instead of shortcuts, and no gate at all.
"""

from __future__ import annotations

import jax
import numpy as np

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.experiments.config import PercolationGatesConfig
from nvp.coordinator.experiments.finding import (
    Check,
    Effect,
    Finding,
    Report,
    exact_effect,
    mean_effect,
    share_effect,
    verdict,
)
from nvp.coordinator.gating import OPEN
from nvp.coordinator.lattice import Extra, Lattice, coherence, lattice, local_bonds, long_shortcuts, nothing
from nvp.coordinator.many import relax_many

HYPOTHESIS = "A gate fed with its benefit lowers the threshold by more than one that opens as often at random."
PS = np.linspace(0.35, 0.6, 51)
_PILOTS = 1_000_000
"""Pilots and lattices have different rng seeds."""


def run(config: PercolationGatesConfig, progress: Report) -> Finding:
    """Gates for every p in one batch, then every lattice with each of them."""
    kinds: dict[str, Extra] = {
        "nothing": nothing,
        "shortcuts": long_shortcuts(config.share),
        "local bonds": local_bonds(config.share),
    }
    pilots = _coherences(config, range(_PILOTS, _PILOTS + config.pilots), kinds, "pilots", progress)
    expected = {name: (pilots[name] - pilots["nothing"]).mean(axis=0) for name in kinds}
    gates = _opened(config, expected, pilots["nothing"].mean(axis=0))
    eta = _coherences(config, range(config.trials), kinds, "lattices", progress)
    rngs = [np.random.default_rng((config.seed, trial, 1)) for trial in range(config.trials)]
    blind = np.array([rng.permutation(gates["shortcuts"]) for rng in rngs])
    always, never = np.ones(len(PS), bool), np.zeros(len(PS), bool)
    arms = {
        "gate fed its benefit": (gates["shortcuts"], "shortcuts"),
        "coupling off": (gates["off"], "shortcuts"),
        "opens as often, at random": (blind, "shortcuts"),
        "gate over local bonds": (gates["local bonds"], "local bonds"),
        "always open": (always, "shortcuts"),
        "never open": (never, "shortcuts"),
    }
    p_c = {
        name: thresholds(np.where(mask, eta[kind], eta["nothing"]), config.threshold)
        for name, (mask, kind) in arms.items()
    }
    fed, seed = p_c["gate fed its benefit"], config.seed
    effects = {
        name: mean_effect(f"p_c({name}) − p_c(gate fed its benefit)", other - fed, seed=seed)
        for name, other in p_c.items()
        if name != "gate fed its benefit"
    }
    first = effects.pop("opens as often, at random")
    cost = {
        name: [exact_effect("share of p at which the gate is open", np.mean(mask))] for name, (mask, _) in arms.items()
    }
    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=verdict(first),
        reading="The coupling alone shifts nothing: it opens the gate, and the shortcuts shift the threshold.",
        effects=[first, *effects.values()],
        arms={
            name: [_reached(found), mean_effect("p_c", found, seed=seed), *cost[name]] for name, found in p_c.items()
        },
        checks=[
            Check(
                name="largest difference between coupling off and never open",
                value=float(np.abs(p_c["coupling off"] - p_c["never open"]).max()),
                bound="<= 0",
                met=bool((p_c["coupling off"] == p_c["never open"]).all()),
            )
        ],
        curves={"p": PS.tolist(), "benefit": expected["shortcuts"].tolist(), "open": gates["shortcuts"].tolist()},
    )


def thresholds(eta: np.ndarray, threshold: float) -> np.ndarray:
    """The first p at which each lattice reaches the threshold; the end of the range where it does not."""
    reached = eta >= threshold
    found: np.ndarray = np.where(reached.any(axis=1), PS[reached.argmax(axis=1)], PS[-1])
    return found


def graph_of(config: PercolationGatesConfig, benefit: float, *, coupled: bool) -> CouplingGraph:
    """A gate, and the connectivity that it serves."""
    weight = config.weight if coupled else 0.0
    return CouplingGraph(
        modules=[Module("gating", {"a": 0.1, "b": 0.1, "net": -config.cost}), Module("connectivity")],
        couplings=[Coupling("gate_benefit", 0, 1, {"weight": weight}, delta="edges")],
        deltas={"edges": benefit},
    )


def _opened(
    config: PercolationGatesConfig, expected: dict[str, np.ndarray], measured: np.ndarray
) -> dict[str, np.ndarray]:
    """At which p the gate relaxes beyond ½, by what feeds it."""
    arms = {"shortcuts": expected["shortcuts"], "off": expected["shortcuts"], "local bonds": expected["local bonds"]}
    graphs = [graph_of(config, each, coupled=name != "off") for name, row in arms.items() for each in row.tolist()]
    starts = [[0.1, each] for each in measured.tolist()] * len(arms)
    found = relax_many(graphs, RelaxConfig(mode="newton", steps=100), jax.random.key(config.seed), starts)
    gate = np.array([each.eta[0] for each in found]).reshape(len(arms), len(PS))
    return dict(zip(arms, gate > OPEN, strict=True))


def _coherences(
    config: PercolationGatesConfig, trials: range, kinds: dict[str, Extra], part: str, progress: Report
) -> dict[str, np.ndarray]:
    """η of each lattice at each p, by what is added."""
    found: dict[str, list[list[float]]] = {name: [] for name in kinds}
    for number, trial in enumerate(trials):
        one: Lattice = lattice(config.size, np.random.default_rng((config.seed, trial)))
        kept = [one.kept(p) for p in PS.tolist()]
        for name, extra in kinds.items():
            found[name].append([coherence(one, each, extra) for each in kept])
        progress(part, (number + 1) / len(trials), f"{number + 1} of {len(trials)}")
    return {name: np.array(rows) for name, rows in found.items()}


def _reached(found: np.ndarray) -> Effect:
    return share_effect("reach the threshold within the range", found < PS[-1])
