"""`fieldgraph evaluate` says where scores are of frames that a checkpoint has seen."""

from __future__ import annotations

import pytest

from graph.queries.evaluation import Stretch
from graph.queries.splits import Part, SplitRow
from resolvers.cli.evaluate import trained_on

SPLIT = SplitRow(
    uid="split",
    name="blocks",
    kind="block",
    gap=2,
    parts=(Part("train", "a", 0, 9), Part("val", "a", 12, 15), Part("test", "a", 18, 20), Part("train", "b", 0, 4)),
)


@pytest.mark.parametrize(
    ("first", "last", "seen"), [(0, 20, 14), (18, 20, 0), (9, 12, 2), (10, 11, 0), (-5, 0, 1), (15, 30, 1)]
)
def test_frames_of_training_and_validation_are_counted(first: int, last: int, seen: int) -> None:
    assert trained_on([Stretch("a", first, last)], [SPLIT]) == seen


def test_each_frame_counts_once_and_other_sequences_not_at_all() -> None:
    assert trained_on([Stretch("a", 0, 9), Stretch("a", 5, 20)], [SPLIT, SPLIT]) == 14
    assert trained_on([Stretch("c", 0, 9)], [SPLIT]) == 0
