"""The stages of an experiment as gates of a coupling graph: what each is expected to gain and to cost.

    stage k:  aη² + bη⁴ − (gain_k − cost_k/budget)·η − w·Δ_k·η,    w_order·max(0, η_{k+1} − η_k)²

Gains are what a predictor expects of a stage (as fidelity), costs are joules and count as shares of the budget, Δ is a
benefit measured elsewhere. Stages open in their order. Shadows judge the same stage in parallel: their gates are held
together, but the verdict stays a vote of the majority. No JAX.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nvp.coordinator.description import normal
from nvp.coordinator.gating import OPEN
from nvp.errors import FieldError

NAMES = ("spawn", "compose", "plan", "schedule", "execute", "report", "retire")
"""The stages of an autonomous experiment, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage, judged by so many shadows."""

    name: str
    # expected gain in fidelity, and joules
    gain: float
    cost: float
    # expected gain by each shadow; none: nobody but the stage itself
    shadows: tuple[float, ...] = ()


def stage_graph(
    stages: Sequence[Stage], budget: float, *, order: float = 4.0, agreement: float = 1.0, well: float = 0.1
) -> dict[str, Any]:
    """The normal description of the stages as gates; `order` and `agreement` are the weights of what couples them.

    A shadow's gate costs nothing: what it would do is not done.
    """
    if not 0 < budget < float("inf"):
        raise FieldError("BAD_PARAMETER", f"expected budget > 0, got {budget}.", next_step="Give joules.")
    modules, couplings = [], []
    for stage in stages:
        share = stage.cost / budget
        modules.append(_gate(stage.name, stage.gain - share, well, stage.cost))
        names = [f"{stage.name}/shadow {number}" for number in range(1, len(stage.shadows) + 1)]
        modules += [_gate(name, gain - share, well, 0.0) for name, gain in zip(names, stage.shadows, strict=True)]
        ring = [stage.name, *names]
        couplings += [
            {"kind": "quadratic", "from": a, "to": b, "params": {"weight": agreement}, "term": "coup:shadows"}
            for number, a in enumerate(ring)
            for b in ring[number + 1 :]
        ]
    couplings += [
        {"kind": "directed_hinge", "from": a.name, "to": b.name, "params": {"weight": order}, "term": "coup:order"}
        for a, b in itertools.pairwise(stages)
    ]
    return normal({"modules": modules, "couplings": couplings, "budget": budget})


def consensus(votes: Sequence[float]) -> bool:
    """Whether more than half of the shadows are open; of three, two."""
    if not len(votes) % 2:
        raise FieldError(
            "BAD_PARAMETER", f"expected an odd number of votes, got {len(votes)}.", next_step="Add a shadow."
        )
    return 2 * sum(vote > OPEN for vote in votes) > len(votes)


def _gate(name: str, net: float, well: float, cost: float) -> dict[str, Any]:
    return {"key": name, "kind": "gating", "params": {"a": well, "b": well, "net": net}, "cost": cost}
