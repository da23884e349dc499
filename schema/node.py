"""Nodes: everything that can be found again by its own `uid` or, by Relay clients, by the `id` made from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import strawberry
from strawberry import relay

from schema.ports import Info

N = TypeVar("N", bound="Identified")


class Identified(relay.Node):
    """Gives a type its `uid` in the graph as Relay's node id, and finds it through the catalog."""

    uid: strawberry.ID

    @classmethod
    def resolve_id_attr(cls) -> str:
        return "uid"

    @classmethod
    async def resolve_nodes(  # type: ignore[override]
        cls: type[N], *, info: Info, node_ids: Iterable[str], required: bool = False
    ) -> list[N | None]:
        return [await info.context.catalog.one(cls, uid) for uid in node_ids]

    @classmethod
    async def resolve_node(cls: type[N], node_id: str, *, info: Info, required: bool = False) -> Any:
        return await info.context.catalog.one(cls, node_id)
