"""Plans of the API's reads: none scans, and a page comes off its index in order instead of being sorted whole."""

from __future__ import annotations

from typing import LiteralString

import pytest

from graph.gateway import Gateway
from graph.queries import arrays, catalog, listings
from graph.queries.listings import Keyset
from tests.conftest import EMPTY
from tests.graph.queries.plans import explain, fill

pytestmark = pytest.mark.db

LOOKUPS: dict[str, LiteralString] = {
    **{f"node {name}": query for name, query in catalog.NODES.items()},
    **{f"next {bound}": query for bound, query in catalog.NEXT.items()},
    **catalog.RELATIONS,
    "array by hash": arrays._URI,
    "picture": arrays._PICTURE,
}
LISTS: dict[str, Keyset] = {
    **listings.LISTS,
    **{f"{name} of {key}": keyset for (name, key), keyset in listings.NARROWED.items()},
    **{f"snapshots {origin}": keyset for origin, keyset in listings.OF_ORIGIN.items()},
    "snapshots of sequence": listings.OF_SEQUENCE,
}
OF_FEW = {"predictions of checkpoint", "evaluations of checkpoint"}
"""They start at a node and sort what hangs on it."""


@pytest.fixture(scope="module")
async def filled(_migrated: Gateway) -> Gateway:
    """A graph with something under each big label, so that the planner has statistics to go by."""
    await _migrated.execute_schema(EMPTY)
    await fill(_migrated)
    return _migrated


@pytest.mark.parametrize("name", LOOKUPS)
async def test_lookups_seek(filled: Gateway, name: str) -> None:
    found = await explain(filled, LOOKUPS[name])
    assert not {operator for operator in found if operator.endswith("Scan")}
    assert any("Seek" in operator for operator in found)


@pytest.mark.parametrize("name", LISTS)
async def test_pages_come_off_an_index_in_order(filled: Gateway, name: str) -> None:
    found = await explain(filled, LISTS[name].page)
    assert not {operator for operator in found if operator.endswith("Scan")}
    assert any("Seek" in operator for operator in found)
    if name not in OF_FEW:
        assert not {"Sort", "Top"} & found, "the index has the order already"
