"""The mean over forecasters that differ in their rng seed only: every number of their evaluations, leaf by leaf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from nvp.errors import FieldError
from nvp.prediction.report import Evaluation


def combine(evaluations: Sequence[Evaluation]) -> Evaluation:
    """One evaluation for all: counts and names are the first one's, numbers the mean.

    Its intervals are the means of theirs. Raises `FieldError` where they were not made on the same pairs and leads.
    """
    first = evaluations[0] if evaluations else None
    if first is None or any(_pairs(one) != _pairs(first) for one in evaluations):
        raise FieldError(
            "BAD_SEEDS",
            "expected evaluations of the same pairs and leads, got different ones.",
            next_step="Evaluate all checkpoints on the same series.",
        )
    if len(evaluations) == 1:
        return first
    return replace(
        first,
        headline=_mean([one.headline for one in evaluations]),
        rollout=_mean([one.rollout for one in evaluations]),
        spans=_mean([one.spans for one in evaluations]),
        drift=_mean([one.drift for one in evaluations]),
        pairs=None,
        seeds=len(evaluations),
        per_seed=tuple(one.fidelity.pooled for one in evaluations),
    )


def _pairs(one: Evaluation) -> tuple[int, ...]:
    return (one.fidelity.n, one.fidelity.static, *(lead.fidelity.n for lead in one.rollout))


def _mean(parts: Sequence[Any]) -> Any:
    """Mean of equal trees; a leaf that one of them lacks is lacking in the mean."""
    head = parts[0]
    if any(part is None for part in parts):
        return None
    if isinstance(head, float):
        return float(np.mean(parts))
    if is_dataclass(head) and not isinstance(head, type):
        means = {one.name: _mean([getattr(part, one.name) for part in parts]) for one in fields(head)}
        return replace(head, **means)
    if isinstance(head, Mapping):
        return {name: _mean([part[name] for part in parts]) for name in head if all(name in part for part in parts)}
    if isinstance(head, tuple):
        return tuple(_mean(leaves) for leaves in zip(*parts, strict=False))
    return head
