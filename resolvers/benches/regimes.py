"""Which regimes the simulators' fields have, and how well descriptors of the past tell the regimes of the future.

Every domain that has a simulator makes sequences of its own; a k-nearest-neighbour vote over the first halves of all of
them names the regime of each frame of the second halves. A file of real fields may stand beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nvp.atlas.regime import NEIGHBOURS, Agreement, agreement
from nvp.atlas.series import Series
from nvp.atlas.statistics import frame_statistics

LEAST_AGREEMENT = 0.8
LEAST_REGIMES = 3

Report = Callable[[str, float, str], None]
"""Called with a domain's name, the share of it that is done, and a line for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimesConfig:
    """What is simulated in each domain."""

    sequences: int = 4
    steps: int = 50
    scale: int = 64
    seeds: tuple[int, ...] = (0, 1, 2)


def bench_regimes(config: RegimesConfig, files: Sequence[Series], *, on_progress: Report) -> dict[str, Any]:
    """The figures over all seeds: of all fields together, of each domain, and of each seed."""
    import jax  # only here: `fieldgraph bench --help` answers at once

    from nvp.dynamics.config import configure
    from nvp.dynamics.simulators import SIMULATORS

    settings = {"scale": config.scale, "steps": config.steps}
    described: dict[str, list[list[tuple[np.ndarray, np.ndarray]]]] = {}
    for domain, simulate in SIMULATORS.items():
        for number, seed in enumerate(config.seeds):
            on_progress(domain, number / len(config.seeds), f"seed {seed}")
            made = simulate(configure(domain, settings), jax.random.key(seed), sequences=config.sequences)
            described.setdefault(domain, []).append([_described(series) for series in made])
        on_progress(domain, 1.0, "")
    for series in files:
        for found in described.setdefault(series.domain, [[] for _ in config.seeds]):
            found.append(_described(series))
    by_seed = [
        agreement([one for found in described.values() for one in found[number]]) for number in range(len(config.seeds))
    ]
    whole = agreement([one for found in described.values() for group in found[:1] for one in group])
    return {
        "n": sum(one.n for one in by_seed),
        "k": NEIGHBOURS,
        "seeds": list(config.seeds),
        "agreement": float(np.mean([one.agreement for one in by_seed])),
        "least": min(one.agreement for one in by_seed),
        "apart": float(np.mean([one.apart for one in by_seed if one.apart is not None])),
        "majority": float(np.mean([one.majority for one in by_seed])),
        "regimes": sorted(whole.counts),
        "counts": dict(whole.counts),
        "domains": {domain: _json(agreement(found[0])) for domain, found in described.items()},
    }


def passed(figures: Mapping[str, Any]) -> bool:
    """Whether descriptors know regimes: of a common regime much agreement is no merit, hence it must beat its share."""
    return (
        len(figures["regimes"]) >= LEAST_REGIMES
        and figures["least"] >= LEAST_AGREEMENT
        and min(figures["agreement"], figures["apart"]) > figures["majority"]
    )


def _described(series: Series) -> tuple[np.ndarray, np.ndarray]:
    statistics = frame_statistics(series.energy, signed=True)  # entropy is not asked for
    return statistics.descriptor, statistics.regime


def _json(found: Agreement) -> dict[str, Any]:
    return asdict(found)
