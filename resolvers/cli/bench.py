"""`fieldgraph bench`: figures with the machine they were measured on, each beside what it is compared with."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from graph.embedded import server
from graph.settings import Settings
from migrations.runner import migrate
from resolvers import supervisor
from resolvers.benches.machine import machine
from resolvers.benches.serving import ServingConfig, bench_serving
from resolvers.cli.bars import Bars
from resolvers.cli.output import JsonOption, emit, run
from resolvers.client import Client
from resolvers.serving import serving as service
from resolvers.web.tokens import Tokens

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Measure.")


@app.callback()
def _group() -> None:
    """Measure; each bench has a Neo4j and a store of its own and leaves nothing behind."""


@app.command()
def serving(
    n: Annotated[int, typer.Option(min=20, help="Timed predictions, idle and again during a training.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Root of everything random.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """How long a prediction takes through the API, idle and while a training runs.

    Example: fieldgraph bench serving --json
    """
    config = ServingConfig(n=n, seed=seed)
    result = {"name": "serving", **machine(), "seed": seed, **run(_serving(config))}
    rows = [
        f"{name:9} p50 {row['p50_ms']:.0f} ms, p95 {row['p95_ms']:.0f} ms" for name, row in result["results"].items()
    ]
    emit(result, as_json=as_json, text="\n".join([*rows, f"p95 during a training / idle: {result['ratio']}"]))


async def _serving(config: ServingConfig) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="fieldgraph-bench-") as home:
        settings = Settings().model_copy(
            update={
                "home": Path(home),
                "store": Path(home) / "store",
                "neo4j_uri": None,
                "neo4j_password": None,
                "bolt_port": _free_port(),
                "http_port": _free_port(),
                "port": 0,
                "log_level": "warning",
            }
        )
        try:
            async with supervisor.neo4j(settings) as gateway:
                await migrate(gateway)
                async with service(settings) as url, Client(url, token=Tokens(settings.home).local()) as client:
                    with Bars() as bars:
                        return await bench_serving(client, config, on_progress=bars.update)
        finally:
            server.stop(settings)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
