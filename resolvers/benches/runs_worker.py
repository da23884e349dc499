"""A worker as any other that writes, at its end, what its claims took: `… CAPABILITY FILE PARENT`."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from graph.gateway import Gateway
from graph.settings import Settings
from resolvers.lifeline import end_with_parent
from resolvers.logs import log_to_stderr
from resolvers.supervisor import on_signals
from resolvers.worker import Worker


async def work(settings: Settings, capability: str) -> list[tuple[float, int]]:
    """Claim and work runs until SIGTERM; seconds and runs of each claim."""
    async with Gateway.open(settings) as gateway:
        worker = Worker(gateway, settings, capability)
        on_signals(worker.end)
        await worker.run()
    return worker.claims


def main() -> None:
    """Started by `resolvers.benches.runs`."""
    end_with_parent(int(sys.argv[3]))
    settings = Settings()
    log_to_stderr(settings)
    claims = asyncio.run(work(settings, sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps(claims), "utf-8")


if __name__ == "__main__":
    main()
