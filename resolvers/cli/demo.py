"""`fieldgraph demo`: the whole product in one command, on a machine with nothing but Python."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from dataclasses import asdict, replace
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from graph.queries.census import Census, census
from graph.settings import Settings
from migrations.runner import migrate
from resolvers import supervisor
from resolvers.cli.addresses import addresses, greeting
from resolvers.cli.bars import Bars
from resolvers.cli.output import JsonOption, console, emit, run
from resolvers.client import Client
from resolvers.demo import DemoConfig, DemoResult, run_demo
from resolvers.serving import serving
from resolvers.web.tokens import Tokens


def command(
    serve: Annotated[bool, typer.Option("--serve", help="Keep everything running afterwards, until Ctrl-C.")] = False,
    sequences: Annotated[int, typer.Option(min=5, help="Sequences to simulate.")] = DemoConfig().sequences,
    scale: Annotated[int, typer.Option(min=16, help="Cells per side, a multiple of 8.")] = DemoConfig().scale,
    seconds: Annotated[float, typer.Option(min=1, help="Seconds of training.")] = DemoConfig().seconds,
    seed: Annotated[int, typer.Option(min=0, help="Root of everything random.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Start Neo4j, simulate, train, predict, test a claim; say what the graph now knows and where to look.

    Exits with 1 unless the predictor beats persistence and linear extrapolation on held-out sequences with its 95 %
    interval. A second demo finds the first one's results and adds nothing.

    Example: fieldgraph demo --serve
    """
    config = DemoConfig(sequences=sequences, scale=scale, seconds=seconds, seed=seed)
    if not run(_demo(Settings(), config, keep=serve, as_json=as_json)):
        raise typer.Exit(1)


async def _demo(settings: Settings, config: DemoConfig, *, keep: bool, as_json: bool) -> bool:
    # the bars tell enough; and where nobody is told the address, any free port will do
    settings = settings.model_copy(update={"log_level": "warning"} | ({} if keep else {"port": 0}))
    began = time.monotonic()
    console.print("Starting Neo4j and the API")
    async with supervisor.neo4j(settings) as gateway:
        await migrate(gateway)
        async with serving(settings) as url:
            started = time.monotonic() - began
            with Bars() as bars:
                async with Client(url, token=Tokens(settings.home).local()) as client:
                    result = await run_demo(client, config, on_progress=bars.update)
            result = replace(result, steps={"start": round(started, 2), **result.steps})
            counts = await census(gateway)
            seconds = time.monotonic() - began
            emit(
                _as_json(result, counts, seconds),
                as_json=as_json,
                text=_as_text(result, counts, seconds, _where(settings, url) if keep else _next()),
            )
            if keep:
                ending = asyncio.Event()
                supervisor.on_signals(ending.set)
                await ending.wait()
    return result.passed


def _as_json(result: DemoResult, counts: Census, seconds: float) -> dict[str, Any]:
    return {
        **result.scores,
        "passed": result.passed,
        "checkpoint": result.checkpoint,
        "start": result.start,
        "experiment": {
            "run": result.experiment,
            "claim": result.claim,
            "verdict": result.verdict,
            "certificate": result.certificate,
        },
        **asdict(counts),
        "seconds": round(seconds, 1),
        "steps": dict(result.steps),
    }


def _as_text(result: DemoResult, counts: Census, seconds: float, where: str) -> str:
    return "\n".join(
        (
            "",
            _scores(result),
            "In the graph",
            f"  sequences          {counts.sequences}, with {counts.snapshots - counts.predicted} snapshots and "
            f"{counts.next_links} NEXT links",
            f"  predictions        {counts.predictions}, with {counts.predicted} snapshots and "
            f"{counts.evolves_to_links} EVOLVES_TO links; {counts.estimates_links} compared with the truth",
            f"  checkpoint         {result.checkpoint}",
            f"  predicted from     {result.start}",
            f"  tested             {result.reading}",
            f"                     {result.verdict}; certificate {result.certificate or 'none'}",
            "",
            f"Took {seconds:.0f} s ({', '.join(f'{name} {took:.0f} s' for name, took in result.steps.items())}).",
            "",
            where,
        )
    )


def _scores(result: DemoResult) -> str:
    """Pooled fidelity beside every baseline, best first."""
    baselines = result.scores["baselines"]
    known = baselines.get("known_physics") or {}
    rows = {
        "predictor": result.scores["fidelity"],
        "persistence": baselines["persistence"],
        "linear extrapolation": baselines["linear_extrapolation"],
        "ridge regression": baselines["ridge"],
        "known physics, upwind": known.get("upwind"),
        "known physics, frozen flow": known.get("frozen"),
    }
    table = Table("fidelity on held-out sequences", "pooled", "95 % interval", box=None, header_style="bold")
    found = {name: score for name, score in rows.items() if score}
    for name, score in sorted(found.items(), key=lambda row: -row[1]["pooled"]):
        low, high = score["ci95"]
        table.add_row(name, f"{score['pooled']:.3f}", f"{low:.3f} … {high:.3f}")
    paper = Console(width=100, highlight=False)
    with paper.capture() as capture:
        paper.print(table)
    return capture.get()


def _where(settings: Settings, url: str) -> str:
    lines = [greeting(addresses(settings, url))]
    if not settings.neo4j_uri:
        lines.append("Ask Neo4j e.g.   MATCH p = (:EnergySnapshot)-[:EVOLVES_TO*]->(:Predicted) RETURN p LIMIT 10")
    return "\n".join(lines)


def _next() -> str:
    """What to type next; as this command was typed, where a shell does not find it by its name."""
    name = "fieldgraph" if shutil.which("fieldgraph") else sys.argv[0]
    return (
        f"To look around:    {name} demo --serve  (takes what is there and keeps the pages up)\n"
        f"Fields of yours:   {name} ingest --help"
    )
