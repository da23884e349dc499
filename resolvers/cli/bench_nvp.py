"""`fieldgraph bench nvp|apebench|literal`: the predictor's figures, each beside those of its peers in the same run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from nvp.errors import FieldError
from resolvers.benches.costs import accelerator
from resolvers.benches.machine import machine
from resolvers.benches.suites import SUITES, Report, SuiteConfig
from resolvers.cli.bars import Bars
from resolvers.cli.output import JsonOption, emit, fail


def nvp(
    suite: Annotated[str, typer.Option(help=f"What is measured: {', '.join(SUITES)}.")],
    seed: Annotated[
        list[int] | None, typer.Option(min=0, help="Rng seed of data and networks; may be repeated.")
    ] = None,
    domain: Annotated[list[str] | None, typer.Option(help="A domain; may be repeated. Default: the suite's.")] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="CPU-minutes of each training, compilation apart.")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="Folder in which checkpoints are left, and looked for.")] = None,
    file: Annotated[Path | None, typer.Option(help="Real fields, for suite real.")] = None,
    scale: Annotated[int, typer.Option(min=16, help="Cells of one side of a field.")] = 64,
    quick: Annotated[bool, typer.Option("--quick", help="A run of seconds that shows that everything works.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run one suite; exit code 1 where one of its criteria is missed.

    Example: fieldgraph bench nvp --suite pde5 --json
    """
    if suite not in SUITES:
        fail(
            FieldError(
                "BAD_SUITE", f"expected a suite out of {', '.join(SUITES)}, got {suite!r}.", next_step="Use speed."
            )
        )
    try:
        config = SuiteConfig(
            seeds=tuple(seed or (0,)),
            domains=tuple(domain) if domain else None,
            minutes=minutes,
            keep=keep,
            file=file,
            scale=scale,
            quick=quick,
        )
    except FieldError as error:
        fail(error)
    measured(suite, lambda progress: SUITES[suite](config, progress), as_json=as_json)


def apebench(
    scenario: Annotated[list[str] | None, typer.Option(help="A scenario; may be repeated. Default: both.")] = None,
    peer: Annotated[list[str] | None, typer.Option(help="A peer; may be repeated. Default: all four.")] = None,
    seed: Annotated[
        list[int] | None, typer.Option(min=0, help="Rng seed of data and networks; may be repeated.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="CPU seconds of each training, compilation apart.")] = 300.0,
    data: Annotated[Path | None, typer.Option(help="APEBench's own data, by bench/apebench/make_data.py.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Next-state networks of APEBench beside ours: the same data, the same CPU time, one step and rollouts of 50.

    Exit code 1 where a peer or persistence is better in one of both figures.

    Example: fieldgraph bench apebench --scenario diff_burgers --seed 0 --json
    """
    from resolvers.benches import apebench as bench
    from resolvers.benches.peers import PEERS
    from resolvers.benches.scenarios import SCENARIOS

    try:
        config = bench.ApebenchConfig(
            scenarios=tuple(scenario or SCENARIOS),
            peers=tuple(peer or PEERS),
            seeds=tuple(seed or (0,)),
            seconds=seconds,
            data=data,
        )
    except FieldError as error:
        fail(error)
    measured("apebench", lambda progress: bench.bench_apebench(config, progress), as_json=as_json)


def literal(
    scale: Annotated[int, typer.Option(min=8, help="Cells of one side; a multiple of 8.")] = 64,
    batch: Annotated[int, typer.Option(min=1, help="Examples per training step.")] = 8,
    steps: Annotated[int, typer.Option(min=3, help="Timed training steps.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Root of everything random.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """The layout that flattens its features into one dense layer: its parameters, memory and step time.

    Example: fieldgraph bench literal --json
    """
    from resolvers.benches import literal as bench

    config = bench.LiteralBenchConfig(scale=scale, batch=batch, steps=steps, seed=seed)
    measured("literal", lambda progress: bench.bench_literal(config, progress), as_json=as_json)


def measured(name: str, work: Callable[[Report], dict[str, Any]], *, as_json: bool) -> None:
    """Run a bench under progress bars, print what it found beside the machine, leave with 1 where it did not pass."""
    where = machine()  # the load before the work
    try:
        with Bars() as bars:
            found = work(bars.update)
    except FieldError as error:
        fail(error)
    where["versions"] |= found.pop("libraries", {})
    where["device"]["accelerator"] = accelerator()
    emit({"name": name, **where, **found}, as_json=as_json, text=_text(found))
    if not found["passed"]:
        raise typer.Exit(1)


def _text(found: Mapping[str, Any]) -> str:
    return orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode()
