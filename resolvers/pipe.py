"""What worker and child say to each other: pickled messages, each after its length, on the child's stdin and stdout."""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import dataclass
from typing import Literal

from graph.queries.runs import RunRow
from graph.settings import Settings
from resolvers.energy.spent import Spent

State = Literal["SUCCEEDED", "FAILED", "CANCELLED", "QUEUED", "LOST"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Worker → child, first: what it needs to know before it works."""

    settings: Settings
    # kinds of run whose services to import now rather than at the first run
    kinds: tuple[str, ...] = ()
    # 0 … 19; 0 competes for the processor, 19 takes what others leave
    niceness: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Execute:
    """Worker → child: work these leased runs and answer `Done` for each."""

    runs: tuple[RunRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Worker → child: this run was cancelled, or its lease is lost."""

    uid: str
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Child → worker, first: connected, with everything imported."""

    device: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Child → worker: how a run ended. `again`: not the run's fault, so it may be tried once more."""

    uid: str
    state: State
    error_code: str | None = None
    error_message: str | None = None
    again: bool = False
    device: str | None = None
    # of this attempt
    spent: Spent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Child → worker, now and then: what the runs in work have spent so far, by uid, in this attempt."""

    by: dict[str, Spent]


Message = Hello | Execute | Stop | Ready | Done | Spending


async def send(writer: asyncio.StreamWriter, message: Message) -> None:
    """Write one message."""
    body = pickle.dumps(message)
    writer.write(len(body).to_bytes(4, "big") + body)
    await writer.drain()


async def receive(reader: asyncio.StreamReader) -> Message:
    """Read one message; `asyncio.IncompleteReadError` when the other side is gone."""
    size = int.from_bytes(await reader.readexactly(4), "big")
    message: Message = pickle.loads(await reader.readexactly(size))
    return message
