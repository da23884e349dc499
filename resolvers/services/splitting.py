"""Which frames a model may learn from, which choose it, and which nobody looks at until the end.

A split is by sequence or by time block with a gap, never by frame: neighbouring frames are nearly the same frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from graph.errors import GraphError
from graph.queries.splits import Part, Role
from graph.queries.timeline import SequenceRow

# whole sequences, or blocks of time of each sequence
Kind = Literal["sequence", "block"]

# of a series: where the training part ends, the validation part ends and the test part begins
TRAIN_END, VALIDATION_END, TEST_BEGIN = 0.60, 0.75, 0.80
# of several sequences: how many choose and how many test; at least one each
VALIDATION_SHARE, TEST_SHARE = 0.15, 0.20
MIN_FRAMES = 4  # the shortest part that holds two frames of history, a step and something to compare


def split(sequences: Sequence[SequenceRow], *, kind: Kind | None = None, gap: int = 0) -> tuple[Kind, list[Part]]:
    """Divide the sequences; by default by sequence where there are at least three, else each by blocks.

    `gap` frames are left out between two parts of one series. Raises GraphError where a part would be too short.
    """
    kind = kind or ("sequence" if len(sequences) >= 3 else "block")
    if kind == "sequence":
        return kind, _by_sequence(sequences)
    return kind, [part for row in sequences for part in _by_block(row, gap)]


def _by_block(row: SequenceRow, gap: int) -> list[Part]:
    frames = row.last - row.first + 1
    val = round(TRAIN_END * frames)
    test = round(TEST_BEGIN * frames)
    bounds: list[tuple[Role, int, int]] = [
        ("train", 0, val - gap),
        ("val", val, min(round(VALIDATION_END * frames), test - gap)),
        ("test", test, frames),
    ]
    for role, start, stop in bounds:
        if stop - start < MIN_FRAMES:
            raise GraphError(
                "SPLIT_TOO_SHORT",
                f"expected at least {MIN_FRAMES} frames in each part, got {max(stop - start, 0)} for {role} out of "
                f"{frames} frames of sequence {row.uid} with a gap of {gap}.",
                next_step="Take a longer sequence, several sequences or a smaller gap.",
            )
    return [Part(role, row.uid, row.first + start, row.first + stop - 1) for role, start, stop in bounds]


def _by_sequence(sequences: Sequence[SequenceRow]) -> list[Part]:
    if len(sequences) < 3:
        raise GraphError(
            "SPLIT_TOO_SHORT",
            f"expected at least 3 sequences to divide, got {len(sequences)}.",
            next_step="Add sequences, or divide by blocks of time (--split block).",
        )
    # uids are hashes: their order is arbitrary but the same on every machine
    ordered = sorted(sequences, key=lambda row: row.uid)
    tests = max(1, round(TEST_SHARE * len(ordered)))
    validations = max(1, round(VALIDATION_SHARE * len(ordered)))
    training = len(ordered) - tests - validations
    shares: list[tuple[Role, int]] = [("test", tests), ("val", validations), ("train", training)]
    roles = [role for role, share in shares for _ in range(share)]
    return [Part(role, row.uid, row.first, row.last) for role, row in zip(roles, ordered, strict=True)]
