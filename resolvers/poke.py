"""Pokes: a worker on the same machine looks for work at once instead of at its next poll.

A poke is an empty datagram to each worker's Unix socket under `home/run`. It carries no truth and may be lost: the
worker polls the graph anyway.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graph.settings import Settings


def poke(settings: Settings, capability: str) -> None:
    """Wake the workers of this capability; never waits and never fails."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for path in _folder(settings).glob(f"{capability}-*.sock"):
            try:
                sender.sendto(b"", str(path))
            except ConnectionRefusedError:  # its worker was killed
                path.unlink(missing_ok=True)
            except OSError:  # full or gone: the worker is awake or will poll
                continue


class Bell:
    """What a worker waits on between two looks at the graph."""

    def __init__(self, receiver: socket.socket | None) -> None:
        self._receiver = receiver

    async def wait(self, seconds: float) -> None:
        """Return at the first poke, or after `seconds`."""
        if self._receiver is None:
            await asyncio.sleep(seconds)
            return
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                await loop.sock_recv(self._receiver, 1)
            while self._receiver.recv(1) == b"":  # several pokes are one
                pass
        except (TimeoutError, BlockingIOError):
            return


@contextmanager
def bell(settings: Settings, capability: str) -> Iterator[Bell]:
    """A bell that `poke` rings; where no socket can be had (a path too long), one that only times out."""
    path = _folder(settings) / f"{capability}-{os.getpid()}-{os.urandom(3).hex()}.sock"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.setblocking(False)
        try:
            receiver.bind(str(path))
        except OSError:
            yield Bell(None)
            return
        try:
            yield Bell(receiver)
        finally:
            path.unlink(missing_ok=True)


def _folder(settings: Settings) -> Path:
    return settings.home / "run"
