"""A poke wakes the workers of its capability and nobody else; it never fails."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

from graph.settings import Settings
from resolvers.poke import bell, poke


def _settings(home: Path) -> Settings:
    return Settings(_env_file=None, home=home)


async def _waits(settings: Settings, capability: str, poked: str | None) -> float:
    with bell(settings, capability) as ringing:
        if poked is not None:
            asyncio.get_running_loop().call_later(0.02, poke, settings, poked)
        began = time.monotonic()
        await ringing.wait(0.6)
        return time.monotonic() - began


async def test_a_poke_wakes(short_home: Path) -> None:
    assert await _waits(_settings(short_home), "batch", "batch") < 0.5


async def test_only_its_capability(short_home: Path) -> None:
    assert await _waits(_settings(short_home), "batch", "interactive") >= 0.6


async def test_several_pokes_are_one(short_home: Path) -> None:
    settings = _settings(short_home)
    with bell(settings, "batch") as ringing:
        for _ in range(3):
            poke(settings, "batch")
        await ringing.wait(1.0)
        began = time.monotonic()
        await ringing.wait(0.1)
        assert time.monotonic() - began >= 0.1


def test_a_killed_workers_socket_is_cleared_away(short_home: Path) -> None:
    settings = _settings(short_home)
    stale = short_home / "run" / "batch-1-0.sock"
    stale.parent.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left_behind:
        left_behind.bind(str(stale))
    poke(settings, "batch")
    assert not stale.exists()


async def test_a_home_too_deep_for_a_socket_only_polls(tmp_path: Path) -> None:
    settings = _settings(tmp_path / ("deep" * 40))
    assert await _waits(settings, "batch", "batch") >= 0.6
