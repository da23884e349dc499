"""`fieldgraph db`: the embedded Neo4j, from its download to its backup."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from graph.embedded import backup as backups
from graph.embedded import jars, server
from graph.embedded.progress import download_bar
from graph.errors import GraphError
from graph.settings import Settings
from resolvers.cli.addresses import secret
from resolvers.cli.output import JsonOption, console, emit, run
from resolvers.web import webjars

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The embedded Neo4j.")


@app.command(short_help="Download Neo4j and GraphiQL.")
def fetch(as_json: JsonOption = False) -> None:
    """Download Neo4j and GraphiQL, or what is missing or broken of them; the only step that needs the network.

    With NEO4J_URI set, Neo4j is yours and GraphiQL comes alone.

    Example: fieldgraph db fetch
    """
    settings = Settings()
    wanted = [(webjars.locked(), webjars.directory(settings.cache))]
    if not settings.neo4j_uri:
        wanted.append((jars.read_lock(), jars.jar_directory(settings.cache)))

    def work() -> int:
        absent = sum(len(jars.missing(locked, directory)) for locked, directory in wanted)
        with download_bar(absent) if absent else nullcontext() as arrived:
            return sum(jars.fetch(locked, directory, arrived=arrived) for locked, directory in wanted)

    fetched = _in_thread(work)
    verified = sum(len(locked) for locked, _ in wanted)
    result = {"jars": verified, "fetched": fetched, "directories": [str(directory) for _, directory in wanted]}
    emit(result, as_json=as_json, text=f"{verified} jars verified, {fetched} of them fetched now.")


@app.command()
def start(as_json: JsonOption = False) -> None:
    """Start the server, or find it running.

    Example: fieldgraph db start
    """
    settings = _embedded()
    with console.status("Starting Neo4j …"):
        running = _in_thread(lambda: server.start(settings))
    _show(settings, running, as_json=as_json)


@app.command()
def stop(as_json: JsonOption = False) -> None:
    """Stop the server.

    Example: fieldgraph db stop
    """
    settings = _embedded()
    stopped = _in_thread(lambda: server.stop(settings))
    emit({"stopped": stopped}, as_json=as_json, text="Neo4j stopped." if stopped else "Neo4j was not running.")


@app.command(short_help="Say whether the server runs and where.")
def status(as_json: JsonOption = False) -> None:
    """Say whether the server runs and where; exit code 1 where it does not.

    Example: fieldgraph db status --json
    """
    settings = _embedded()
    running = server.find(settings)
    if running:
        _show(settings, running, as_json=as_json)
    else:
        emit({"running": False}, as_json=as_json, text="Neo4j is not running. Start it with `fieldgraph db start`.")
        raise typer.Exit(1)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the dump; must not exist.")],
    as_json: JsonOption = False,
) -> None:
    """Write the whole graph to one file. The server is stopped meanwhile; arrays are files and stay as they are.

    Example: fieldgraph db backup graph-2026-11-21.dump
    """
    settings = _embedded()
    with console.status("Dumping the graph …"):
        size = _in_thread(lambda: backups.backup(settings, file))
    emit({"file": str(file), "bytes": size}, as_json=as_json, text=f"{file}: {size / 1e6:.1f} MB")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A dump made by `fieldgraph db backup`.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before replacing the graph.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Replace the whole graph by a dump. Where that fails, the graph is what it was.

    Example: fieldgraph db restore graph-2026-11-21.dump --yes
    """
    settings = _embedded()
    if not yes:
        typer.confirm("This replaces the whole graph. Go on?", abort=True, err=True)
    with console.status("Loading the graph …"):
        _in_thread(lambda: backups.restore(settings, file))
    emit({"file": str(file), "restored": True}, as_json=as_json, text=f"The graph is now that of {file}.")


def _embedded() -> Settings:
    settings = Settings()
    if settings.neo4j_uri:

        async def refuse() -> None:
            raise GraphError(
                "NOT_EMBEDDED",
                f"NEO4J_URI names {settings.neo4j_uri}, a server that is not ours.",
                next_step="Use its own tools, or unset NEO4J_URI.",
            )

        run(refuse())
    return settings


def _in_thread(work: Callable[[], T]) -> T:
    """Run blocking work with the command line's handling of errors."""
    return run(asyncio.to_thread(work))


def _show(settings: Settings, running: server.Running, *, as_json: bool) -> None:
    where = {"uri": running.uri, "browser": running.browser, "home": str(settings.home)}
    result = {"running": True, "ready": server.answers(running), **asdict(running), **where}
    text = (
        f"Neo4j {running.version} runs at {running.uri} (process {running.pid}).\n"
        f"Browser: {running.browser} as {settings.neo4j_username}, password in {secret(settings)}."
    )
    emit(result, as_json=as_json, text=text)
