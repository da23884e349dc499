"""`fieldgraph coord NAME`: one command for each experiment; its settings are its options.

`EXPERIMENTS` maps the name of a command to the class of its settings. The experiment itself is the module of that name
in `nvp.coordinator.experiments`: `run(config, progress) -> Finding`. `nvp.pictures.experiments` has a module of that
name, `finding_figure(finding) -> Figure`, where a picture of its own says more than the effects with their intervals.
"""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from nvp.coordinator.experiments import config as settings
from nvp.coordinator.experiments.config import ExperimentConfig
from nvp.errors import FieldError
from resolvers.benches.machine import machine
from resolvers.cli.bars import Bars
from resolvers.cli.output import JsonOption, emit, fail
from resolvers.services.trail_table import write_table

if TYPE_CHECKING:
    from nvp.coordinator.experiments.finding import Finding

EXPERIMENTS: Mapping[str, type[ExperimentConfig]] = {
    "landau": settings.LandauConfig,
    "percolation": settings.PercolationConfig,
    "percolation-gates": settings.PercolationGatesConfig,
    "dilution": settings.DilutionConfig,
    "redemption": settings.RedemptionConfig,
    "gating": settings.GatingConfig,
    "stage-gates": settings.StageGatesConfig,
    "branching": settings.BranchingConfig,
    "nash": settings.NashConfig,
    "chain": settings.ChainConfig,
    "maps": settings.MapsConfig,
    "closed-gates": settings.ClosedGatesConfig,
    "reactivity": settings.ReactivityConfig,
    "attention": settings.AttentionConfig,
    "bases": settings.BasesConfig,
    "adapters": settings.AdaptersConfig,
    "energy-wars": settings.EnergyWarsConfig,
    "escape": settings.EscapeConfig,
    "curvature": settings.CurvatureConfig,
}

# options that all experiments have beside their settings
_QuickOption = Annotated[bool, typer.Option("--quick", help="A run of seconds: all works, its figures mean little.")]
_PlotOption = Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw it (.png, .pdf, .svg).")]
_TablesOption = Annotated[
    Path | None, typer.Option("--tables", metavar="DIR", help="Write what was measured row by row, as .csv.")
]
_QUICK = "A quick run shows that all works; its figures and verdict mean little."
_MET = {True: "met   ", False: "missed"}
_RunIdOption = Annotated[str, typer.Option("--run-id", help="What its rows are called, in the tables.")]


def register(app: typer.Typer) -> None:
    """Add a command for each experiment."""
    for name in EXPERIMENTS:
        app.command(name)(_command(name))


def experiment(name: str, given: Mapping[str, Any], *, quick: bool = False) -> tuple[Finding, ExperimentConfig]:
    """Run one with the settings that were given; raises `FieldError` for one that makes no sense."""
    kind = EXPERIMENTS[name]
    config = kind(**{**(kind.quick if quick else {}), **given})
    module = import_module(f"nvp.coordinator.experiments.{name.replace('-', '_')}")
    with Bars() as bars:
        found: Finding = module.run(config, bars.update)
    return found, config


def _command(name: str) -> Callable[..., None]:
    """The function behind `fieldgraph coord NAME`, its parameters made from the fields of the settings."""
    kind = EXPERIMENTS[name]

    def command(
        *, quick: bool, plot: Path | None, tables: Path | None, run_id: str, as_json: bool, **options: Any
    ) -> None:
        given = {option: value for option, value in options.items() if value is not None}
        started, worked = time.perf_counter(), time.process_time()
        try:
            if plot is not None:
                _require_figure(plot)
            found, config = experiment(name, {key: _plain(value) for key, value in given.items()}, quick=quick)
            if plot is not None:
                _draw(name, found, plot)
            if tables is not None:
                for table, rows in found.tables.items():
                    write_table(tables / f"{table}.csv", [{"run_id": run_id or name, **row} for row in rows])
        except FieldError as error:
            fail(error)
        used = {each.name: getattr(config, each.name) for each in fields(config)}
        result = {
            "name": f"coord {name}",
            **machine(),
            "backend": _backend(),
            "seed": config.seed,
            "settings": used,
            "quick": quick,
            "seconds": round(time.perf_counter() - started, 2),
            "processor_seconds": round(time.process_time() - worked, 2),
            **found.to_json(),
        }
        emit(result, as_json=as_json, text=_text(found, quick=quick))
        if not found.passed:
            raise typer.Exit(1)

    command.__doc__ = inspect.getdoc(kind)
    command.__signature__ = inspect.Signature([*_options(kind), *_SHARED])  # type: ignore[attr-defined]
    command.__annotations__ = {}
    return command


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


_SHARED = (
    _parameter("quick", _QuickOption, False),
    _parameter("plot", _PlotOption, None),
    _parameter("tables", _TablesOption, None),
    _parameter("run_id", _RunIdOption, ""),
    _parameter("as_json", JsonOption, False),
)


def _options(kind: type[ExperimentConfig]) -> list[inspect.Parameter]:
    """An option for each setting; None where it was not given, so that --quick knows."""
    hints = get_type_hints(kind)
    made = []
    for each in fields(kind):
        hint: Any = hints[each.name]
        arguments = getattr(hint, "__args__", ())
        if arguments[1:] == (Ellipsis,):
            hint = list[arguments[0]]  # type: ignore[valid-type]
        usual = each.default
        shown = " ".join(f"{number:g}" for number in usual) if isinstance(usual, tuple) else f"{usual:g}"
        quick = f", quick: {kind.quick[each.name]}" if each.name in kind.quick else ""
        option = typer.Option(help=f"{each.metadata['about']} [default: {shown}{quick}]", show_default=False)
        made.append(_parameter(each.name, Annotated[hint | None, option], None))
    return made


def _plain(value: Any) -> Any:
    """What a repeated or many-valued option holds, as the settings want it."""
    return tuple(value) if isinstance(value, list | tuple) else value


def _backend() -> str | None:
    """Where JAX computed; None where it was not asked."""
    jax = sys.modules.get("jax")
    return None if jax is None else jax.devices()[0].device_kind


def _require_figure(path: Path) -> None:
    """Before the experiment, not after it."""
    from nvp.pictures.files import require_figure

    require_figure(path)


def _draw(name: str, found: Finding, path: Path) -> None:
    from nvp.pictures.files import write_figure

    own = f"nvp.pictures.experiments.{name.replace('-', '_')}"
    module = import_module(own if find_spec(own) else "nvp.pictures.experiments.effects")
    write_figure(path, module.finding_figure(found))


def _text(found: Finding, *, quick: bool) -> str:
    lines = [_QUICK] if quick else []
    lines += [found.hypothesis, f"{found.verdict}: {found.reading}", *(each.text() for each in found.effects)]
    for name, arm in found.arms.items():
        lines += [f"{name}", *(f"    {each.text()}" for each in arm)]
    lines += [
        f"{'met   ' if each.met else 'missed'} {each.name}: {each.value:.4g} {each.bound}" for each in found.checks
    ]
    return "\n".join(lines)
