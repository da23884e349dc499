"""Root fields that watch."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import strawberry

from resolvers.graphql import present
from resolvers.graphql.ace import AceSubscription
from resolvers.graphql.context import Info
from resolvers.graphql.coordination import CouplingSubscription
from schema.described import watched
from schema.runs import RunProgress


@strawberry.type(description="Watches.")
class Subscription(CouplingSubscription, AceSubscription):
    @watched("A run as it is, then each change until it ends; `after` is the last `seq` seen, to go on from there.")
    async def run_progress(
        self, info: Info, uid: strawberry.ID, after: int | None = None
    ) -> AsyncGenerator[RunProgress, None]:
        async with aclosing(info.context.hub.watch(uid, after=after)) as changes:
            async for row in changes:
                yield present.progress(row)
