"""Gates that pay: how often they open as they get dearer, and what that brings.

A repair promises to remove a share of a sequence's disorder; net = promise − cost, and the gate opens with probability
1 − e^(−λ) = σ(k·net), λ = softplus(k·net). At each cost the same repairs and the same draws are met. Beside it, gates
that open as often but blindly: what those bring is the rate times the mean gain of all.

μ̂ = openings per unit of redeemed order; good/bad = openings that brought order over those that cost some.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nvp.coordinator.dips import Repair, draw_repairs
from nvp.coordinator.experiments.config import GatingConfig
from nvp.coordinator.experiments.finding import (
    Check,
    Effect,
    Finding,
    Report,
    exact_effect,
    joint,
    mean_effect,
    quotient_effect,
    share_effect,
    verdict,
)
from nvp.coordinator.measures import gate_opening, hazard_rate

HYPOTHESIS = "The dearer a gate the rarer it opens, and it redeems more than a blind one that opens as often."
SMALL = 1e-6


def run(config: GatingConfig, progress: Report) -> Finding:
    """All repairs at all costs."""
    repairs = draw_repairs(config.seed, config.trials, length=config.length, depth=config.depth, noise=config.noise)
    progress("sequences", 1.0, f"{config.trials}")
    draws = np.random.default_rng((config.seed, config.trials, 1)).random(config.trials)
    realised = np.array([each.realised for each in repairs])
    tables: list[dict[str, Any]] = []
    opened, arms = {}, {}
    for cost in config.costs:
        rows = [
            _row(cost, trial, repair, draw, config.sharpness)
            for trial, (repair, draw) in enumerate(zip(repairs, draws, strict=True))
        ]
        tables += rows
        opened[cost] = np.array([row["opened"] for row in rows])
        arms[f"cost {cost:g}"] = _arm(opened[cost], rows, realised, config.seed)
    every = np.array(list(opened.values()))
    seed = config.seed
    falls = mean_effect(
        f"rate at cost {config.costs[0]:g} − rate at cost {config.costs[-1]:g}",
        every[0].astype(float) - every[-1],
        seed=seed,
    )
    blind = every.mean(axis=1, keepdims=True)
    gained = mean_effect(
        "order redeemed per repair, over a blind gate of the same rate, mean of all costs",
        ((every - blind) * realised).mean(axis=0),
        seed=seed,
    )
    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=joint(verdict(falls), verdict(gained)),
        reading="Both halves are judged: the rate over the cost, and the benefit over blind gates.",
        effects=[gained, falls],
        arms={**arms, "every gate open": [mean_effect("order redeemed per repair", realised, seed=seed)]},
        checks=[identity(config.sharpness)],
        tables={"gates": tables},
    )


def identity(sharpness: float) -> Check:
    """1 − e^(−softplus(z)) = σ(z): the hazard and the logistic gate are one function."""
    nets = np.linspace(-3, 3, 601).tolist()
    apart = max(
        abs(-np.expm1(-hazard_rate(net, sharpness=sharpness)) - gate_opening(net, sharpness=sharpness)) for net in nets
    )
    return Check(name="largest |1 − e^(−λ) − σ(k·net)|", value=float(apart), bound="<= 1e-15", met=bool(apart <= 1e-15))


def _row(cost: float, trial: int, repair: Repair, draw: float, sharpness: float) -> dict[str, Any]:
    net = repair.promised_share - cost
    opening = gate_opening(net, sharpness=sharpness)
    opened = bool(draw < opening)
    return {
        "cost": cost,
        "trial": trial,
        "net": net,
        "hazard": hazard_rate(net, sharpness=sharpness),
        "eta_gate": opening,
        "opened": opened,
        "redemption": repair.realised if opened else 0.0,
        "is_good": opened and repair.realised > 0,
    }


def _arm(opened: np.ndarray, rows: list[dict[str, Any]], realised: np.ndarray, seed: int) -> list[Effect]:
    redeemed = np.where(opened, realised, 0.0)
    good, bad = int((redeemed > 0).sum()), int((redeemed < 0).sum())
    per_opening = quotient_effect("order redeemed per opening", redeemed, opened, seed=seed)
    per_order = quotient_effect("openings per unit of order (mu)", opened, np.maximum(redeemed, 0), seed=seed)
    return [
        share_effect("opened", opened),
        mean_effect("hazard", [row["hazard"] for row in rows], seed=seed),
        *(each for each in (per_opening, per_order) if each is not None),
        exact_effect(f"(good + {SMALL:g}) / (bad + {SMALL:g})", (good + SMALL) / (bad + SMALL), n=int(opened.sum())),
    ]
