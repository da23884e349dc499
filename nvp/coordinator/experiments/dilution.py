"""A dip early in a sequence counts for less the longer the sequence gets: is that redemption?

The loss of the whole is less than that of the prefix that ends soon after the dip. Three tails tell why: the one that
goes on rising, a tail of the same length without order, and none but as many pairs, that is, the inversions of the
prefix divided by the pairs of the whole. Where the last alone explains the gain, nothing was redeemed.
"""

from __future__ import annotations

import numpy as np

from nvp.coordinator.dips import with_dip
from nvp.coordinator.experiments.config import DilutionConfig, refused
from nvp.coordinator.experiments.finding import Finding, Report, mean_effect, verdict
from nvp.coordinator.measures import sequence_order

HYPOTHESIS = "What follows redeems an early dip by more than mere length dilutes it."


def run(config: DilutionConfig, progress: Report) -> Finding:
    """Losses of prefix and whole, and of the prefix diluted."""
    n, end = config.length, config.position + 2
    if end >= n:
        raise refused(f"a position below {n - 2}", config.position)
    pairs = n * (n - 1) / 2
    rows = []
    for trial in range(config.trials):
        rng = np.random.default_rng((config.seed, trial))
        whole = with_dip(n, config.position, config.depth) + config.noise * rng.standard_normal(n)
        shuffled = np.concatenate([whole[:end], rng.permutation(whole[end:])])
        prefix = sequence_order(whole[:end])
        inversions = (1 - prefix) * end * (end - 1) / 2
        diluted = 1 - inversions / pairs
        rows.append([loss(eta) for eta in (prefix, sequence_order(whole), diluted, sequence_order(shuffled))])
    progress("sequences", 1.0, f"{config.trials}")
    prefix, whole, diluted, shuffled = np.array(rows).T
    seed = config.seed
    beyond = mean_effect("loss(prefix diluted) − loss(whole)", diluted - whole, seed=seed)
    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=verdict(beyond),
        reading="The whole's gain over its prefix is the dilution of one dip by length, less the tail's own disorder.",
        effects=[
            beyond,
            mean_effect("loss(prefix) − loss(whole)", prefix - whole, seed=seed),
            mean_effect("loss(prefix) − loss(prefix diluted)", prefix - diluted, seed=seed),
            mean_effect("loss(tail without order) − loss(whole)", shuffled - whole, seed=seed),
        ],
        arms={
            name: [mean_effect("loss", found, seed=seed)]
            for name, found in (
                ("prefix", prefix),
                ("whole", whole),
                ("prefix diluted", diluted),
                ("tail without order", shuffled),
            )
        },
    )


def loss(eta: float) -> float:
    """(1 − η)² + (1 − η)⁴."""
    return (1 - eta) ** 2 + (1 - eta) ** 4
