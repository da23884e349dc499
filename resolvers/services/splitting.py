"""Which frames a model may learn from, which choose it, and which nobody looks at until the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from graph.queries.splits import Part, Role
from nvp.training import splits

# whole sequences, or blocks of time of each sequence
Kind = Literal["sequence", "block"]

ROLES: dict[str, Role] = {"train": "train", "validation": "val", "test": "test"}
# of several sequences: how many choose and how many test; at least one each
VALIDATION_SHARE, TEST_SHARE = 0.15, 0.20


class Extent(Protocol):
    """A sequence as far as it matters here: a row of the graph, or one that no graph has yet."""

    @property
    def uid(self) -> str: ...

    @property
    def first(self) -> int: ...

    @property
    def last(self) -> int: ...


def split(sequences: Sequence[Extent], *, kind: Kind | None = None, gap: int = 0) -> tuple[Kind, list[Part]]:
    """Divide the sequences; by default by sequence where there are at least three, else each by blocks of time.

    `gap` frames are left out between two blocks. Raises FieldError where there are too few sequences or frames.
    """
    # uids are hashes: their order says nothing, and is the same on every machine
    rows = sorted(sequences, key=lambda row: row.uid)
    lengths = [row.last - row.first + 1 for row in rows]
    kind = kind or ("sequence" if len(rows) >= 3 else "block")
    if kind == "sequence":
        firsts = [row.first for row in rows]
        parts = splits.by_sequence(lengths, validation=VALIDATION_SHARE, test=TEST_SHARE, firsts=firsts)
    else:
        parts = [
            part
            for number, (row, length) in enumerate(zip(rows, lengths, strict=True))
            for part in splits.by_time(length, gap=gap, sequence=number, first=row.first)
        ]
    return kind, [Part(ROLES[part.role], rows[part.sequence].uid, part.first, part.last) for part in parts]
