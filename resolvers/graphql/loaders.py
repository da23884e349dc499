"""The catalog of one request: reads that are asked for together travel together, as one Cypher per kind of read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, LiteralString, TypeVar

from strawberry import relay
from strawberry.dataloader import DataLoader

from graph.gateway import Gateway
from graph.queries import catalog, leaks, listings
from resolvers.graphql import present
from schema.connection import Connection, Edge, page_size
from schema.enums import Law, RunKind, RunState, SnapshotKind, Verdict
from schema.fields import Leak
from schema.ports import Listing, Relation

T = TypeVar("T")

BATCH = 1000
"""Most keys of one query."""


class GraphCatalog:
    """Answers `schema.ports.Catalog` from Neo4j; made anew for each request, so that nothing stale is kept."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._nodes: dict[str, DataLoader[str, dict[str, Any] | None]] = {}
        self._relations: dict[tuple[str, int], DataLoader[str, list[dict[str, Any]]]] = {}

    async def one(self, of: type[T], key: str, /) -> T | None:
        """The node of this type under its uid (a Domain under its name)."""
        label, show = present.NODES[of]
        if label not in self._nodes:
            self._nodes[label] = DataLoader(partial(self._load_nodes, catalog.NODES[label]), max_batch_size=BATCH)
        row = await self._nodes[label].load(str(key))
        shown = show(row) if row is not None else None
        return shown if isinstance(shown, of) else None

    async def related(self, relation: Relation[T], uid: str, /, first: int = 1) -> list[T]:
        """Up to `first` nodes that are related to `uid`, in the relation's order."""
        if first == 0:
            return []
        asked = relation.name, first
        if asked not in self._relations:
            query = catalog.next_query(first) if relation.name == "next" else catalog.RELATIONS[relation.name]
            self._relations[asked] = DataLoader(
                partial(catalog.related, self._gateway, query, first=first), max_batch_size=BATCH
            )
        show = present.RELATIONS[relation.name]
        return [show(row) for row in await self._relations[asked].load(str(uid))]

    async def leaks(self, split: str, /, first: int) -> list[Leak]:
        """What leaks between the roles of a split, up to `first` of each kind."""
        if first == 0:
            return []
        return [present.leak(found) for found in await leaks.leaks(self._gateway, str(split), limit=first)]

    async def page(self, listing: Listing[T], /, *, first: int, after: str | None, **where: Any) -> Connection[T]:
        """The page of up to `first` nodes after the cursor; filters that are None do not narrow."""
        filters = {name: _value(value) for name, value in where.items()}
        lists = listings.select(listing.name, filters)
        size = page_size(first)
        rows = await listings.page(self._gateway, lists, limit=size + 1, after=after, where=filters)
        show: Callable[..., T] = present.LISTINGS[listing.name]
        edges = [Edge(cursor=row.cursor, node=show(row.node)) for row in rows[:size]]
        return Connection(
            edges=edges,
            page_info=relay.PageInfo(
                has_next_page=len(rows) > size,
                has_previous_page=after is not None,
                start_cursor=edges[0].cursor if edges else None,
                end_cursor=edges[-1].cursor if edges else None,
            ),
            count=partial(listings.count, self._gateway, lists, where=filters),
        )

    async def _load_nodes(self, query: LiteralString, keys: list[str]) -> list[dict[str, Any] | None]:
        found = await catalog.related(self._gateway, query, keys)
        return [nodes[0] if nodes else None for nodes in found]


def _value(value: Any) -> Any:
    """What the graph stores for an enumeration's member."""
    return value.value if isinstance(value, Law | RunKind | RunState | SnapshotKind | Verdict) else value
