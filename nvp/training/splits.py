"""Splits: which frames a model learns from, is chosen on, and is scored on.

By sequence, or by blocks of time with a gap between them, never by frame: neighbouring frames are nearly copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nvp.errors import FieldError

Role = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Frames `first` … `last` (t_index, inclusive) of sequence number `sequence` play one role."""

    role: Role
    sequence: int
    first: int
    last: int


def by_sequence(
    lengths: Sequence[int],
    *,
    validation: float = 0.125,
    test: float = 0.125,
    rng_seed: int = 0,
    firsts: Sequence[int] | None = None,
) -> list[Part]:
    """Whole sequences for each role, drawn by `rng_seed`; at least one for each.

    `firsts` are the t_index of each sequence's first frame (0 by default).
    """
    n = len(lengths)
    if n < 3:
        raise FieldError(
            "TOO_FEW_SEQUENCES",
            f"expected at least 3 sequences to split by sequence, got {n}.",
            next_step="Split by time, or add sequences.",
        )
    order = np.random.default_rng(rng_seed).permutation(n)
    tests = min(max(1, round(test * n)), n - 2)
    validations = min(max(1, round(validation * n)), n - tests - 1)
    roles: dict[int, Role] = dict.fromkeys(range(n), "train")
    roles.update(dict.fromkeys(map(int, order[:tests]), "test"))
    roles.update(dict.fromkeys(map(int, order[tests : tests + validations]), "validation"))
    starts = firsts if firsts is not None else [0] * n
    return [
        Part(role=roles[i], sequence=i, first=start, last=start + length - 1)
        for i, (start, length) in enumerate(zip(starts, lengths, strict=True))
    ]


def by_time(
    length: int,
    *,
    train: float = 0.6,
    validation: float = 0.75,
    test: float = 0.8,
    gap: int = 24,
    sequence: int = 0,
    first: int = 0,
) -> list[Part]:
    """One sequence cut in time: training ends at the share `train` less `gap` frames, validation reaches from there to
    `validation`, and the test begins at `test`, but not within `gap` frames of the validation's end.
    """
    ends = [round(train * length), round(validation * length), length]
    begin_test = round(test * length)
    spans: list[tuple[Role, int, int]] = [
        ("train", 0, ends[0] - gap - 1),
        ("validation", ends[0], min(ends[1], begin_test - gap) - 1),
        ("test", begin_test, ends[2] - 1),
    ]
    if any(last - start < 1 for _, start, last in spans) or not train < validation <= test < 1:
        raise FieldError(
            "BAD_SPLIT",
            f"expected room for three parts with gaps of {gap} frames, got {length} frames cut at "
            f"{train}, {validation} and {test}.",
            next_step="Use a smaller gap or a longer sequence.",
        )
    return [Part(role=role, sequence=sequence, first=first + a, last=first + b) for role, a, b in spans]
