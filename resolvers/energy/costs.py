"""What a run will take, from what runs of its kind took.

    log y = α + β log n + ε,    ε ~ N(0, σ²),    y: seconds or joules, n: how much there is to do

for runs of one kind, model and device. α, β and σ² have a normal-inverse-gamma prior, so that an estimate is there from
the first run on (before: the prior's, and its error says so), and β stays near 1 where all runs were of one size. The
prediction is a Student t; `error` is the factor exp(its scale): two runs in three end between estimate / error and
estimate · error. Joules are fitted to runs of one source only, the one that most of them have.
Reference: Murphy, "Machine Learning: A Probabilistic Perspective" (2012), 7.6.3.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graph.gateway import Gateway
from graph.queries.costs import Took, took
from nvp.model.config import relative_work
from resolvers.energy.spent import ESTIMATED, MIXED, WATTS_PER_CORE

SECONDS = {
    "training": 3.0,
    "generation": 3.0,
    "evaluation": 0.05,
    "prediction": 0.2,
    "relaxation": 2.0,
    "sweep": 10.0,
    "expansion": 10.0,
    "shadows train": 30.0,
    "shadows vote": 8.0,
    "ace": 60.0,
}
"""Before any run was seen: seconds for n = 1, by kind, or kind and group."""
SHADOW_EXAMPLES, SHADOW_STARTS = 360, 12
"""Of an ensemble as it is by default: three members, 30 steps of four examples, twelve votes."""
PRIOR_SPREAD = 2.0  # of α, in units of σ: a factor of exp(2σ)
SLOPE_SPREAD = 0.25  # of β around 1
SHAPE, SCALE = 1.0, 0.25  # of σ²: about (a factor of 1.6)²


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a run is expected to take."""

    seconds: float
    # None where past runs say nothing of it
    joules: float | None
    # a factor
    error: float
    # how the joules are known
    source: str | None
    # past runs that say so
    n: int
    device: str | None


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is to do, in units that only runs of the same group share."""

    group: str
    n: float


def size(kind: str, config: Mapping[str, Any]) -> Size:
    """The size of a run by its kind and configuration: epochs, sequences, states or pairs."""
    # side by side it takes less time
    beside = f"×{config['parallel']}" if config.get("parallel") else ""
    match kind:
        case "training":
            return Size(str(config.get("model", "")), float(config.get("epochs") or 1))
        case "generation":
            return Size(str(config.get("domain", "")) + beside, float(config.get("sequences") or 1))
        case "prediction":
            many = len(config.get("starts") or [1]) * len(config.get("checkpoints") or [1])
            return Size("", float(many * (config.get("steps") or 1)))
        case "evaluation":
            frames = sum(part["last"] - part["first"] + 1 for part in config.get("parts") or [])
            pairs = frames / (config.get("stride") or 1)
            rolled = min(pairs, config.get("rollouts") or 0) * (config.get("horizon") or 1) + (config.get("drift") or 0)
            return Size(beside, float(max(pairs + rolled, 1) * max(len(config.get("checkpoints") or [1]), 1)))
        case "shadows" if config.get("task") == "train":
            many = int(config.get("members") or 1) * int(config.get("steps") or 1) * int(config.get("batch") or 1)
            return Size("train", many / SHADOW_EXAMPLES * relative_work(config.get("size") or "tiny"))
        case "shadows":
            return Size("vote", max(len(config.get("starts") or []), 1) / SHADOW_STARTS)
    return Size("", 1.0)


async def estimate(gateway: Gateway, kind: str, config: Mapping[str, Any], *, device: str | None = None) -> Cost:
    """What a run of this kind and configuration will take on a device; None: on that of the latest such run."""
    return fitted(kind, config, await took(gateway, kind), device=device)


def fitted(kind: str, config: Mapping[str, Any], past: Sequence[Took], *, device: str | None = None) -> Cost:
    """The estimate from past runs, latest first: those like this one, else the nearest that there are."""
    wanted = size(kind, config)
    used = _like(kind, wanted, past, device)
    sizes = [size(kind, one.config).n for one in used]
    prior = math.log(SECONDS.get(f"{kind} {wanted.group}") or SECONDS.get(kind, 10.0))
    seconds, error = _predicted(sizes, [one.seconds for one in used], wanted.n, prior)
    source = _commonest(used)
    if source is None:
        known = bool(used)
        joules = None if known else WATTS_PER_CORE * seconds
        return Cost(
            seconds=seconds,
            joules=joules,
            error=error,
            source=None if known else ESTIMATED,
            n=len(used),
            device=used[0].device if used else device,
        )
    pairs = [(n, one.joules) for n, one in zip(sizes, used, strict=True) if one.source == source and one.joules]
    joules, joules_error = _predicted(
        [n for n, _ in pairs], [spent for _, spent in pairs], wanted.n, prior + math.log(WATTS_PER_CORE)
    )
    return Cost(
        seconds=seconds,
        joules=joules,
        error=max(error, joules_error),
        source=source,
        n=len(used),
        device=used[0].device,
    )


def _like(kind: str, wanted: Size, past: Sequence[Took], device: str | None) -> list[Took]:
    """Runs of the same group and device; where there are none, of one or of neither."""
    same = [one for one in past if size(kind, one.config).group == wanted.group]
    near = same or list(past)
    device = device or (near[0].device if near else None)
    return [one for one in near if one.device == device] or near


def _commonest(used: Sequence[Took]) -> str | None:
    """The source that most of them have."""
    counts = Counter(one.source for one in used if one.joules and one.source not in (None, MIXED))
    return counts.most_common(1)[0][0] if counts else None


def _predicted(sizes: Sequence[float], took: Sequence[float], wanted: float, prior: float) -> tuple[float, float]:
    """The median of the prediction at `wanted`, and its error as a factor."""
    mean = np.array([prior, 1.0])
    precision = np.diag([PRIOR_SPREAD**-2, SLOPE_SPREAD**-2])
    x = np.stack([np.ones(len(sizes)), np.log(np.asarray(sizes, dtype=float))], axis=1)
    y = np.log(np.asarray(took, dtype=float))
    posterior = precision + x.T @ x
    found = np.linalg.solve(posterior, precision @ mean + x.T @ y)
    shape = SHAPE + len(y) / 2
    scale = SCALE + 0.5 * float(y @ y + mean @ precision @ mean - found @ posterior @ found)
    at = np.array([1.0, math.log(wanted)])
    variance = scale / shape * (1.0 + float(at @ np.linalg.solve(posterior, at)))
    return math.exp(float(at @ found)), math.exp(math.sqrt(max(variance, 0.0)))
