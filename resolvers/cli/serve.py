"""`fieldgraph serve`: Neo4j, the API and three workers, until Ctrl-C."""

from __future__ import annotations

import socket
from typing import Annotated

import typer

from graph.settings import Settings
from migrations.runner import require_current
from resolvers import supervisor
from resolvers.cli.addresses import addresses, greeting
from resolvers.cli.output import JsonOption, console, emit, run
from resolvers.logs import log_to_stderr
from resolvers.supervisor import Supervisor


def command(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: FIELDGRAPH_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0 takes a free one; default: FIELDGRAPH_PORT.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Start Neo4j, the API and three workers; Ctrl-C ends what it has started.

    Example: fieldgraph serve --port 8080
    """
    chosen = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = Settings().model_copy(update=chosen)
    log_to_stderr(settings)
    run(_serve(settings, as_json))


async def _serve(settings: Settings, as_json: bool) -> None:
    with supervisor.listen(settings) as listener:
        async with supervisor.neo4j(settings) as gateway:
            await require_current(gateway)
            ours = Supervisor(settings)
            supervisor.on_signals(ours.end)
            await ours.run(listener, on_start=lambda: _greet(settings, listener, as_json))
    console.print("ended")


def _greet(settings: Settings, listener: socket.socket, as_json: bool) -> None:
    found = addresses(settings, f"http://{settings.host}:{listener.getsockname()[1]}")
    emit(found, as_json=as_json, text=greeting(found))
