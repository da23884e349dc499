"""`fieldgraph bench coord|df90|amortiser`: figures of the free-energy coordinator, beside what it is compared with."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import click
import typer
import typer.core

from nvp.errors import FieldError
from resolvers.benches.machine import machine
from resolvers.cli.bars import Bars
from resolvers.cli.bench_nvp import measured
from resolvers.cli.output import JsonOption, emit, fail

SeedOption = Annotated[int, typer.Option(min=0, help="Root of everything random.")]
QuickOption = Annotated[bool, typer.Option("--quick", help="A run of seconds that shows that everything works.")]


class Several(typer.core.TyperCommand):
    """Takes `--n 16 64` for `--n 16 --n 64`, in options that may be repeated."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        many = {
            name
            for parameter in self.params
            if isinstance(parameter, click.Option | typer.core.TyperOption) and parameter.multiple
            for name in parameter.opts
        }
        spelled: list[str] = []
        option = ""
        for argument in args:
            if argument.startswith("-"):
                option = argument if argument in many else ""
                spelled.append(argument)
            elif option and spelled[-1] != option:
                spelled += [option, argument]
            else:
                spelled.append(argument)
        return super().parse_args(ctx, spelled)


def coord(
    modules: Annotated[
        list[int] | None, typer.Option(min=2, help="Modules of a graph; several may follow. Default: 16 to 65536.")
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option(min=1, help="States at once; several may follow. Default: 1, 64 and 4096.")
    ] = None,
    seed: SeedOption = 0,
    quick: QuickOption = False,
    as_json: JsonOption = False,
) -> None:
    """F and its gradient beside a loop over the terms, relaxations beside scipy's L-BFGS-B; exit code 1 where slower.

    Example: fieldgraph bench coord --modules 1000 4096 --json
    """
    from dataclasses import replace

    from resolvers.benches import coord as bench

    if not quick:
        _hold_blas()
    config = replace(bench.QUICK if quick else bench.CoordConfig(), seed=seed)
    if modules:
        config = replace(config, sizes=tuple(modules))
    if batch:
        config = replace(config, batches=tuple(sorted({1, *batch})))
    measured("coord", lambda progress: bench.bench_coord(config, progress), as_json=as_json)


def _hold_blas() -> None:
    """Start over with one thread for BLAS: on busy cores its threads wait for each other, and L-BFGS-B looks slow."""
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "OPENBLAS_NUM_THREADS": "1"})


def df90(
    scenario: Annotated[
        list[str] | None, typer.Option(help="baseline, dense; several may follow. Default: both.")
    ] = None,
    n: Annotated[
        list[int] | None, typer.Option(min=3, help="Modules of the dense ring; several may follow. Default: 16 64 256.")
    ] = None,
    config: Annotated[
        list[str] | None, typer.Option(help="Solvers to compare; several may follow. Default: all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """How many states each solver needs for 90 % of the drop of F that the best of them makes.

    Example: fieldgraph bench df90 --scenario baseline dense --n 16 64 256 --json
    """
    from resolvers.benches import coord_df90 as bench

    chosen = {"scenario": (scenario, bench.SCENARIOS), "config": (config, bench.VARIANTS)}
    for name, (given, known) in chosen.items():
        if unknown := sorted(set(given or ()) - set(known)):
            fail(
                FieldError(
                    "BAD_CONFIG",
                    f"expected --{name} out of {', '.join(known)}, got {', '.join(unknown)}.",
                    next_step="Leave it out for all.",
                )
            )
    where = machine()
    with Bars() as bars:
        found = bench.df90(
            scenarios=tuple(scenario or bench.SCENARIOS),
            sizes=tuple(n or (16, 64, 256)),
            variants=tuple(config or bench.VARIANTS),
            on_progress=bars.update,
        )
    rows = [
        f"{row['scenario']:9} {row['modules']:5} {row['solver']:10} {row['delta_f90']:4} states, "
        + (f"{row['evaluations']:5} evaluations, " if row["evaluations"] else " " * 19)
        + f"F {row['energy']:.8g}"
        for row in found["results"]
    ]
    emit({"name": "df90", **where, **found}, as_json=as_json, text="\n".join(rows))


def amortiser(
    kind: Annotated[str, typer.Option(help="Random graphs: convex or rugged.")] = "convex",
    modules: Annotated[int, typer.Option(min=4, help="Modules of the graphs that it learns from.")] = 16,
    graphs: Annotated[int, typer.Option(min=2, help="Graphs that it learns from.")] = 64,
    held_out: Annotated[int, typer.Option(min=4, help="Graphs that it is judged on.")] = 64,
    seed: SeedOption = 0,
    quick: QuickOption = False,
    as_json: JsonOption = False,
) -> None:
    """Steps that a learnt first state saves on graphs it has not seen; exit code 1 where it saves none.

    Example: fieldgraph bench amortiser --held-out 64 --json
    """
    from dataclasses import replace

    from nvp.coordinator.scenarios import KINDS
    from resolvers.benches import coord_amortiser as bench

    if kind not in KINDS:
        fail(
            FieldError("BAD_CONFIG", f"expected a kind out of {', '.join(KINDS)}, got {kind!r}.", next_step="Name it.")
        )
    config = bench.AmortiserConfig(kind=kind, modules=modules, graphs=graphs, held_out=held_out, seed=seed)
    if quick:
        config = replace(bench.QUICK, kind=kind, seed=seed)
    measured("amortiser", lambda progress: bench.bench_amortiser(config, progress), as_json=as_json)
