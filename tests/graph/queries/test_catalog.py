"""What the graph stores as text comes back as what it says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from neo4j.time import DateTime

from graph.queries.catalog import plain


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"scores_json": '{"pooled": 0.5}'}, {"scores": {"pooled": 0.5}}),
        # one text for each lead, as evaluations over several leads have it
        ({"rollout_json": ['{"lead": 1}', '{"lead": 2}']}, {"rollout": [{"lead": 1}, {"lead": 2}]}),
        ({"rollout_json": []}, {"rollout": []}),
        ({"config_json": None, "n": 3}, {"config": None, "n": 3}),
        ({"at": DateTime(2026, 1, 2, tzinfo=UTC)}, {"at": datetime(2026, 1, 2, tzinfo=UTC)}),
    ],
)
def test_texts_and_times_are_read(stored: dict[str, object], said: dict[str, object]) -> None:
    assert plain(stored) == said
