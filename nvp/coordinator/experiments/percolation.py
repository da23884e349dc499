"""Percolation with shortcuts: is it that they are long, or only that they are more edges?

On each lattice the exact threshold p_c is found four times: without anything added, with a share of long shortcuts,
with as many local bonds, and with two and a half times as many shortcuts. The same bonds appear in the same order in
all of them, so that the shifts are paired.
"""

from __future__ import annotations

import numpy as np

from nvp.coordinator.experiments.config import PercolationConfig
from nvp.coordinator.experiments.finding import Check, Finding, Report, mean_effect, verdict
from nvp.coordinator.lattice import Extra, Lattice, coherence, critical, lattice, local_bonds, long_shortcuts, nothing

HYPOTHESIS = "Long shortcuts lower the percolation threshold by more than as many local bonds do."
MORE = 2.5
PS = tuple(np.linspace(0.4, 0.7, 16).round(6).tolist())
CURVES = 20
"""Lattices that the curves of η over p are averaged over."""


def run(config: PercolationConfig, progress: Report) -> Finding:
    """Thresholds of every lattice in every arm."""
    arms = _arms(config.share)
    thresholds: dict[str, list[float]] = {name: [] for name in arms}
    curves: dict[str, list[list[float]]] = {name: [] for name in arms}
    broken = 0
    for trial in range(config.trials):
        one = lattice(config.size, np.random.default_rng((config.seed, trial)))
        for name, extra in arms.items():
            thresholds[name].append(critical(one, config.threshold, extra))
            if trial < CURVES:
                curves[name].append([coherence(one, one.kept(p), extra) for p in PS])
        broken += not _same_count(one, config.share)
        progress("lattices", (trial + 1) / config.trials, f"{trial + 1} of {config.trials}")
    p_c = {name: np.array(found) for name, found in thresholds.items()}
    none, long, local, more = p_c.values()
    seed = config.seed
    beyond = mean_effect("p_c(local bonds) − p_c(shortcuts)", local - long, seed=seed)
    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=verdict(beyond),
        reading="The control with as many local edges says how much of the shift is due to mere edges.",
        effects=[
            beyond,
            mean_effect("p_c(nothing) − p_c(shortcuts)", none - long, seed=seed),
            mean_effect("p_c(nothing) − p_c(local bonds)", none - local, seed=seed),
            mean_effect(f"p_c(nothing) − p_c({MORE:g} times the shortcuts)", none - more, seed=seed),
        ],
        arms={name: [mean_effect("p_c", found, seed=seed)] for name, found in p_c.items()},
        checks=[
            Check(
                name="lattices on which the arms differ in their number of edges",
                value=float(broken),
                bound="<= 0",
                met=not broken,
            )
        ],
        curves={"p": PS, "eta": {name: np.mean(found, axis=0).tolist() for name, found in curves.items()}},
    )


def _arms(share: float) -> dict[str, Extra]:
    return {
        "nothing added": nothing,
        f"shortcuts, {share:g} of the bonds": long_shortcuts(share),
        f"local bonds, {share:g} of the bonds": local_bonds(share),
        f"{MORE:g} times the shortcuts": long_shortcuts(MORE * share),
    }


def _same_count(one: Lattice, share: float) -> bool:
    kept = len(one.bonds) // 2
    long, local = long_shortcuts(share)(one, kept), local_bonds(share)(one, kept)
    both = np.concatenate([one.bonds[:kept], local])
    return len(long) == len(local) and len(np.unique(both, axis=0)) == len(both)
