"""The newest sequence is found by its domain's index."""

from __future__ import annotations

import pytest

from graph.gateway import Gateway
from graph.queries.newest import _NEWEST_SEQUENCE
from tests.graph.queries.plans import explain, fill


@pytest.mark.db
async def test_it_starts_from_an_index(gateway: Gateway) -> None:
    await fill(gateway)
    assert not {operator for operator in await explain(gateway, _NEWEST_SEQUENCE) if operator.endswith("Scan")}
