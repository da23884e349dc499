"""The command line: `fieldgraph COMMAND`.

Each command lives in a module of its own, imported when it is called, so that `fieldgraph --help` answers at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
import typer.core
from typer.main import get_command, get_group

from nvp.compiler import prefer_measured_flags

# command → one line of help; the module of the same name holds `app` (a group) or `command` (a function)
COMMANDS = {
    "demo": "Simulate, train, predict, and test a claim.",
    "ingest": "Take fields from a file into the graph.",
    "export": "Write sequences to a file that others read.",
    "generate": "Simulate or perturb sequences, and say what they are like.",
    "physics": "Measure what perturbations do to energy and entropy.",
    "train": "Train a predictor of the next field.",
    "predict": "Predict the fields that follow a snapshot.",
    "evaluate": "Score checkpoints on sequences, beside the baselines.",
    "log": "Show how predictions compared with what came.",
    "plot": "Draw sequences, files and predictions.",
    "similar": "List the snapshots that look most like one.",
    "gc": "Remove files that no node names.",
    "audit": "Compare the files with the graph, or a folder with its catalog.",
    "ace": "Test hypotheses that are said in plain sentences.",
    "coord": "Put the free-energy coordinator to the test.",
    "certificate": "Certify finished runs and check certificates.",
    "runs": "List, show, compare, cancel, import and export runs.",
    "serve": "Start Neo4j, the API and three workers.",
    "worker": "Start one worker.",
    "db": "Fetch, start, stop, back up and restore the embedded Neo4j.",
    "migrate": "Bring the graph's schema up to date.",
    "bench": "Measure, with the machine beside the figures.",
    "doctor": "Check this installation and list its settings.",
    "schema": "Print the GraphQL schema.",
}


class _Commands(typer.core.TyperGroup):
    """Finds a command's module by its name."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, name: str) -> typer.core.TyperCommand | typer.core.TyperGroup | None:  # type: ignore[override]
        if name not in COMMANDS:
            return None
        module = import_module(f"resolvers.cli.{name}")
        if hasattr(module, "app"):
            found = get_group(module.app)
        else:
            single = typer.Typer(add_completion=False, rich_markup_mode=None)
            single.command(name)(module.command)
            found = get_command(single)  # type: ignore[assignment]
        found.name = name
        return found

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


commands = _Commands(
    name="fieldgraph",
    help="Evolving energy fields as a graph that can be asked about the future.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def main() -> None:
    """Entry point of `fieldgraph`."""
    prefer_measured_flags()  # before a command, or a process that it starts, imports JAX
    commands()
