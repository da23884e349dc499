"""Two lines of growth side by side: how often, and is it worth it?

At every level each line is offered two branches with gains of their own. A branch is open by its hazard, with
probability σ(k·net), or by the rule net > 0; of all open ones the two that have gained most go on, and a line to which
nothing opens goes on without a branch. Picking the best two whatever they cost has two lines at every level, always:
that rule cannot find that branching is rare.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from nvp.coordinator.experiments.config import BranchingConfig
from nvp.coordinator.experiments.finding import (
    Check,
    Finding,
    Report,
    mean_effect,
    share_effect,
    verdict,
)

HYPOTHESIS = "A level of growth at which two branches open at once is rare."
KEPT = 2
Rule = Literal["hazard", "net", "best two"]
RULES: dict[Rule, str] = {
    "hazard": "open by hazard",
    "net": "open where net > 0",
    "best two": "always the best two",
}


def run(config: BranchingConfig, progress: Report) -> Finding:
    """Every rule on the same draws."""
    branched: dict[Rule, np.ndarray] = {}
    ends: dict[Rule, np.ndarray] = {}
    gains: dict[Rule, np.ndarray] = {}
    alone = np.zeros(config.trials)
    for rule in RULES:
        grown = [grow(config, trial, rule) for trial in range(config.trials)]
        branched[rule], ends[rule], gains[rule] = (np.array(column) for column in zip(*grown, strict=True))
    alone = np.array([grow(config, trial, "hazard", kept=1)[2] for trial in range(config.trials)])
    progress("lines", 1.0, f"{config.trials}")
    seed = config.seed
    rare = mean_effect(
        f"{config.rare:g} − share of levels with two branches", config.rare - branched["hazard"], seed=seed
    )
    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=verdict(rare),
        reading=f"Rare means at no more than {config.rare:g} of the levels, said before it was measured.",
        effects=[
            rare,
            mean_effect("net gained by the best line: two kept − one kept", gains["hazard"] - alone, seed=seed),
        ],
        arms={
            label: [
                mean_effect("share of levels with two branches", branched[rule], seed=seed),
                mean_effect("lines at the end", ends[rule], seed=seed),
                share_effect("two lines at the end", ends[rule] == KEPT),
                mean_effect("net gained by the best line", gains[rule], seed=seed),
            ]
            for rule, label in RULES.items()
        },
        checks=[
            Check(
                name="most lines at the end under any rule",
                value=float(max(found.max() for found in ends.values())),
                bound=f"<= {KEPT}",
                met=bool(max(found.max() for found in ends.values()) <= KEPT),
            )
        ],
    )


def grow(config: BranchingConfig, trial: int, rule: Rule, *, kept: int = KEPT) -> tuple[float, int, float]:
    """Share of levels at which a line branched in two, lines at the end, and the net gain of the best of them."""
    rng = np.random.default_rng((config.seed, trial))
    nets = rng.normal(config.gain - config.cost, config.spread, (config.depth, KEPT, 2))
    draws = rng.random((config.depth, KEPT, 2))
    lines = [0.0]
    branched = 0
    for net, draw in zip(nets, draws, strict=True):
        grown = []
        split = False
        for place, line in enumerate(lines):
            is_open = opening(rule, net[place], draw[place], config.sharpness)
            split |= bool(is_open.all())
            grown += [line + each for each in net[place][is_open]] or [line]
        lines = sorted(grown, reverse=True)[:kept]
        branched += split
    return branched / config.depth, len(lines), lines[0]


def opening(rule: Rule, net: np.ndarray, draw: np.ndarray, sharpness: float) -> np.ndarray:
    """Which of two branches are open."""
    if rule == "best two":
        return np.ones(2, bool)
    opened: np.ndarray = net > 0 if rule == "net" else draw < 1 / (1 + np.exp(-sharpness * net))
    return opened
