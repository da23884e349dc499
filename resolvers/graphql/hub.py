"""The progress hub: however many watch however many runs, one query per poll asks for all of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator

from graph.errors import GraphError
from graph.gateway import Gateway
from graph.queries import runs
from graph.queries.run_rows import RunRow

log = logging.getLogger(__name__)


class ProgressHub:
    """Polls the watched runs and hands each watcher the latest state; one per API process."""

    def __init__(self, gateway: Gateway, *, poll_seconds: float) -> None:
        self._gateway = gateway
        self._poll_seconds = poll_seconds
        self._watchers: dict[str, set[asyncio.Queue[RunRow]]] = {}
        self._wanted = asyncio.Event()

    @property
    def watchers(self) -> int:
        """How many watch now."""
        return sum(len(queues) for queues in self._watchers.values())

    async def run(self) -> None:
        """Poll for ever; idle while nobody watches. An outage, or any other failure of a look, is waited out."""
        seen: dict[str, int] = {}
        while True:
            await self._wanted.wait()
            await asyncio.sleep(self._poll_seconds)
            seen = {uid: seen.get(uid, -1) for uid in self._watchers}
            try:
                rows = await runs.watch(self._gateway, list(seen)) if seen else []
            except GraphError as error:
                log.warning("%s", error)
                continue
            except Exception:  # whoever watches would wait for ever
                log.exception("could not look at the watched runs; looking again")
                continue
            for row in rows:
                if row.seq > seen[row.uid]:
                    seen[row.uid] = row.seq
                    for queue in self._watchers.get(row.uid, ()):
                        _put_latest(queue, row)

    async def watch(self, uid: str, *, after: int | None = None) -> AsyncGenerator[RunRow, None]:
        """The run as it is (where newer than `after`), then each change that is seen, until it ends.

        A slow watcher skips to the latest. Raises NotFound where there is no such run.
        """
        queue: asyncio.Queue[RunRow] = asyncio.Queue(1)
        # registered before the first look, so that no change falls in between
        self._watchers.setdefault(uid, set()).add(queue)
        self._wanted.set()
        try:
            row = await runs.run(self._gateway, uid)
            seen = -1 if after is None else after
            while True:
                if row.seq > seen:
                    seen = row.seq
                    yield row
                if row.finished:
                    return
                row = await queue.get()
        finally:
            self._watchers[uid].discard(queue)
            if not self._watchers[uid]:
                del self._watchers[uid]
            if not self._watchers:
                self._wanted.clear()


def _put_latest(queue: asyncio.Queue[RunRow], row: RunRow) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(row)
