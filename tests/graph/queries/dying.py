"""Transactions that end before their time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from graph.gateway import Gateway

End = Callable[[], Awaitable[None]]


class Dying:
    """A transaction that calls `end` before its n-th statement, counted from 0."""

    def __init__(self, tx: Any, statements: int, end: End) -> None:
        self._tx = tx
        self._left = statements
        self._end = end

    async def run(self, *arguments: Any, **parameters: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            await self._end()
        return await self._tx.run(*arguments, **parameters)


async def killed() -> None:
    """As when the process ends."""
    raise ConnectionAbortedError


async def attempt(gateway: Gateway, statements: int, end: End, work: Callable[[], Awaitable[Any]]) -> None:
    """Do `work`, each of whose transactions of the gateway dies before its n-th statement."""
    transact = gateway.transact

    async def dying(inner: Any) -> Any:
        return await transact(lambda tx: inner(Dying(tx, statements, end)))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gateway, "transact", dying)
        await work()
