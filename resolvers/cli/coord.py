"""`fieldgraph coord`: the free-energy coordinator, at work on coupling graphs and put to the test."""

from __future__ import annotations

from typing import Annotated

import typer

from nvp.coordinator.config import MODES
from nvp.errors import FieldError
from resolvers.cli import coord_experiments, coupling, coupling_runs, coupling_trail
from resolvers.cli.bars import Bars
from resolvers.cli.output import JsonOption, emit, fail

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Relax coupling graphs that are drawn in Neo4j, and put the coordinator to the test.

    Example: fieldgraph coord relax baseline --write-back
    """


app.command()(coupling.show)
app.command()(coupling.relax)
app.command()(coupling.replay)
app.command()(coupling.plot)
app.command()(coupling_runs.sweep)
app.command()(coupling_runs.expand)
app.command()(coupling_runs.events)
app.command()(coupling_runs.residuals)
app.command()(coupling_trail.export)
app.command()(coupling_trail.budget)
coord_experiments.register(app)


@app.command()
def fuzz(
    runs: Annotated[int, typer.Option(min=1, help="Random graphs, shared among the modes and their variants.")] = 1000,
    modes: Annotated[str, typer.Option(help="Solvers, separated by commas, or all.")] = "all",
    seed: Annotated[int, typer.Option(min=0, help="Root of everything random.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Relax random graphs; exit code 1 where an energy rises or a state that is worse than the start is returned.

    Example: fieldgraph coord fuzz --runs 10000 --modes all --seed 1 --json
    """
    chosen = list(MODES) if modes == "all" else modes.split(",")
    if unknown := sorted(set(chosen) - set(MODES)):
        fail(
            FieldError(
                "BAD_CONFIG",
                f"expected modes out of {', '.join(MODES)}, got {', '.join(unknown)}.",
                next_step="Name some of them, or all.",
            )
        )
    from nvp.coordinator import fuzz as numerics  # imports JAX

    with Bars() as bars:
        result = numerics.fuzz(runs, chosen, seed, on_progress=bars.update)
    rows = [
        f"{name:26} {row['runs']:6} runs, {row['rises']} rises, {row['worse_than_start']} worse than the start"
        for name, row in result["by_mode"].items()
    ]
    emit({"name": "coord fuzz", "seed": seed, **result}, as_json=as_json, text="\n".join(rows))
    if result["rises"] or result["worse_than_start"]:
        raise typer.Exit(1)
