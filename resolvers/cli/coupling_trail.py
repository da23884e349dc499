"""`fieldgraph coord export` and `budget`: the trail of a relaxation as a table, and what its terms had along it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from graph.queries import runs
from graph.queries.relaxation import StepRow
from nvp.coordinator.features import ALIKE
from nvp.coordinator.information import violation_rate
from resolvers.cli.coupling import RunUid, ended, kept_steps
from resolvers.cli.follow import opened
from resolvers.cli.output import JsonOption, emit, run
from resolvers.services.trail_table import TermTrail, read_table, rows_of, terms_of, write_table


class Metric(StrEnum):
    """What is drawn of each term."""

    ENERGY = "energy"
    GRADIENT = "gradient"
    SHARE = "share"


def export(
    run_uid: RunUid,
    csv: Annotated[Path, typer.Option(help="Where to write the table.")] = Path("relaxation.csv"),
    run_id: Annotated[str, typer.Option(help="What its rows are called; default: the run's uid.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Write the kept steps of a relaxation as a table; a row for each, its terms and order parameters in columns.

    Example: fieldgraph coord export 0199f3a0-… --csv trail.csv
    """
    result = run(_export(run_uid, csv, run_id or run_uid))
    lines = [f"wrote {result['path']} ({result['rows']} steps)"]
    if result["alike_features"]:
        lines.append(
            f"at {len(result['alike_features'])} steps the basis functions of a polynomial vary alike "
            f"(|corr| >= {ALIKE:g}): its coefficients cannot be told apart there"
        )
    emit(result, as_json=as_json, text="\n".join(lines))


def budget(
    source: Annotated[str, typer.Argument(metavar="RUN", help="A relaxation's run, or a table that `export` wrote.")],
    metric: Annotated[Metric, typer.Option(help="What to draw of each term.")] = Metric.ENERGY,
    smooth: Annotated[int, typer.Option(min=1, help="Mean over so many kept steps.")] = 1,
    out: Annotated[Path, typer.Option(help="Where to write the picture (.png, .pdf, .svg).")] = Path("budget.png"),
    as_json: JsonOption = False,
) -> None:
    """Draw what each term of the energy had, or how hard it pulled, along a relaxation.

    Example: fieldgraph coord budget 0199f3a0-… --metric gradient --smooth 5 --out budget.png
    """
    result = run(_budget(source, metric, smooth, out))
    emit(
        result, as_json=as_json, text=f"wrote {result['path']} ({result['steps']} steps, {len(result['terms'])} terms)"
    )


async def _export(uid: str, path: Path, run_id: str) -> dict[str, Any]:
    async with opened() as services:
        result = await ended(services, uid)
        steps = await kept_steps(services, uid)
        config = (await runs.run(services.gateway, uid)).config
    rows = rows_of(
        run_id,
        steps,
        terms=result.terms or [],
        keys=result.keys or [],
        seconds=result.wall_seconds / result.steps if result.wall_seconds and result.steps else None,
        beside=_beside(config, steps),
    )
    write_table(path, rows)
    violations = violation_rate(result.rejected or 0, result.steps or 0)
    alike = [row["step"] for row in rows if row["poly:correlation_warning"]]
    return {
        "path": str(path),
        "rows": len(rows),
        "columns": list(rows[0]),
        "violation_rate": violations,
        "alike_features": alike,
    }


def _beside(config: Mapping[str, Any], steps: Sequence[StepRow]) -> dict[str, Any]:
    """What follows from the steps and the graph that was relaxed."""
    import numpy as np

    from nvp.coordinator.description import graph_of
    from nvp.coordinator.diagnosis import diagnose
    from resolvers.services.coupling import settings_of

    return diagnose(
        graph_of(config["description"]),
        settings_of(config["settings"]),
        energies=np.array([step.energy for step in steps], np.float64),
        states=np.array([step.eta for step in steps], np.float64),
        steps=np.array([step.step for step in steps], np.float64),
        norms=np.array([step.term_norm for step in steps], np.float64),
        weights=np.array([step.weights for step in steps], np.float64) if steps[0].weights else None,
    )


async def _budget(source: str, metric: Metric, smooth: int, out: Path) -> dict[str, Any]:
    import numpy as np

    from nvp.pictures.files import require_figure, write_figure
    from nvp.pictures.term_budget import METRICS, budget_of, term_budget_figure

    require_figure(out)
    name, trail = await _trail(source)
    drawn = budget_of(np.array(trail.energies), np.array(trail.norms), metric.value)
    made = term_budget_figure(
        np.array(trail.index),
        np.array(trail.energy),
        drawn,
        names=trail.terms,
        metric=metric.value,
        smooth=smooth,
        title=f"{name}: {METRICS[metric.value]}",
    )
    write_figure(out, made)
    last = dict(zip(trail.terms, drawn[-1].tolist(), strict=True))
    return {"path": str(out), "steps": len(trail.index), "metric": metric.value, "terms": trail.terms, "last": last}


async def _trail(source: str) -> tuple[str, TermTrail]:
    """Of a table, which needs no database, or of a run."""
    if source.endswith(".csv"):
        return Path(source).stem, read_table(Path(source))
    async with opened() as services:
        result = await ended(services, source)
        return result.graph_name or source, terms_of(await kept_steps(services, source), result.terms or [])
