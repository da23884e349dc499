"""Relay connections over keyset pages: a cursor names the last node seen, not its place in the list.

A page therefore costs the same wherever it lies, and nodes that arrive meanwhile neither repeat nor hide others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import strawberry
from strawberry import relay

from schema.described import described

MAX_PAGE = 200
"""Most nodes in one page; a greater `first` is cut down to it."""
DEFAULT_PAGE = 50

T = TypeVar("T")


@strawberry.type(description="A node and the cursor that names it.")
class Edge(Generic[T]):
    cursor: str
    node: T


@strawberry.type(description="A page of a list, in a fixed order.")
class Connection(Generic[T]):
    edges: list[Edge[T]]
    page_info: relay.PageInfo
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @described("The nodes of this page, for those who need no cursors.")
    def nodes(self) -> list[T]:
        return [edge.node for edge in self.edges]

    @described("How many nodes the whole list has; counted only where asked for.")
    async def total_count(self) -> int:
        return await self.count()


def page_size(first: int) -> int:
    """`first` within 0 … MAX_PAGE."""
    return max(0, min(first, MAX_PAGE))
