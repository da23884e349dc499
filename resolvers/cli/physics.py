"""`fieldgraph physics`: what the perturbations do to the laws, measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nvp.atlas.series import SIDE
from nvp.errors import FieldError
from resolvers.benches.machine import machine
from resolvers.cli.output import JsonOption, console, emit, fail


def command(
    report: Annotated[
        bool, typer.Option("--report", help="Both laws: the perturbations' data sheet (what is printed anyhow).")
    ] = True,
    maps: Annotated[int, typer.Option(min=1, help="Base maps per domain, for the second law.")] = 1000,
    scale: Annotated[int, typer.Option(min=SIDE, max=1024, help="Cells per side of these maps.")] = 32,
    map_scale: Annotated[int, typer.Option(min=16, max=1024, help="Cells per side, for the first law.")] = 256,
    seed: Annotated[int, typer.Option(min=0, help="Root of everything random.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure what perturbations do to ΣE (before and after it is mended) and to spatial entropy; needs no database.

    Exit code 1 where an operation breaks the first law by more than 5 % although its total was mended or its source is
    known. Entropy is reported, not judged: pictures know no second law.

    Example: fieldgraph physics --report --json
    """
    if scale % SIDE or map_scale % SIDE:
        fail(
            FieldError(
                "BAD_CONFIG",
                f"expected sides that are multiples of {SIDE}, got {scale} and {map_scale}.",
                next_step="Use 32 and 256.",
            )
        )
    from nvp.thermo.physics_report import physics_report  # scipy

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        line = bar.add_task("maps")
        found = physics_report(
            maps=maps,
            scale=scale,
            map_scale=map_scale,
            seed=seed,
            progress=lambda done, total: bar.update(line, completed=done, total=total),
        )
    result = {**found, "seed": seed, "maps": maps, **machine()}
    emit(result, as_json=as_json, text=_text(result))
    if found["failed"]:
        for said in found["failed"]:
            console.print(f"breaks the first law: {said}", style="red", soft_wrap=True, markup=False)
        raise typer.Exit(1)


def _text(result: Mapping[str, Any]) -> str:
    """Two tables: the worst pattern of each operation and boundary, and the rates by domain."""
    law, entropy = result["first_law"], result["second_law"]
    lines = [f"First law at {law['scale']}²: relative error of ΣE, worst of four patterns"]
    lines.append(f"  {'operation':22}{'boundary':10}{'before':>12}{'after mending':>16}")
    for name, modes in law["operations"].items():
        for mode, kinds in modes.items():
            before, after = (max(abs(e[key]) for e in kinds.values()) for key in ("pre_rescale", "post_rescale"))
            lines.append(f"  {name:22}{mode:10}{before:12.2e}{after:16.2e}")
    for name, kinds in law.items():
        if name.startswith("energy_scaling"):
            bare, known = (max(e[key] for e in kinds.values()) for key in ("without_source", "with_source"))
            lines.append(f"  {name:22}{'':10}{bare:12.2e}{known:16.2e}  (without and with its source Q)")
    lines.append(f"Second law at {entropy['scale']}²: share of steps whose entropy falls, and mean change in nats")
    for domain, operations in entropy["domains"].items():
        for name, said in operations.items():
            label = {"step": "first step", "sequence": "whole sequences"}.get(name, name)
            lines.append(f"  {domain:26}{label:18}{said['rate']:8.1%}{said['mean_change']:+12.4f}  n={said['n']}")
    return "\n".join(lines)
