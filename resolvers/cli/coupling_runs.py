"""`fieldgraph coord sweep|expand|events|residuals`: coupling graphs on a grid, with candidates, of a prediction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from graph.queries import coupling, expansions, sweeps
from graph.queries.listings import LISTS, page
from nvp.coordinator.candidates import Candidate
from nvp.coordinator.grid import Axis
from nvp.errors import FieldError
from resolvers.cli.coupling import PAGE, ClientKey, EtaOption, Name, eta_of
from resolvers.cli.follow import finish, opened, queued, queued_text
from resolvers.cli.output import JsonOption, emit, fail, run
from resolvers.services.context import Services
from resolvers.services.expansion import ExpansionRequest, submit_expansion
from resolvers.services.residuals import TOLERANCE, draw_residuals
from resolvers.services.settings import parse_settings
from resolvers.services.sweep import MAX_POINTS, SweepRequest, submit_sweep

SettingOption = Annotated[
    list[str] | None, typer.Option("--set", help="A setting of the solver as NAME=VALUE; may be repeated.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Root of everything random.")]
ForceOption = Annotated[bool, typer.Option("--force", help="A new run, even if the same was done before.")]
DetachOption = Annotated[bool, typer.Option("--detach", help="Leave it to the workers.")]
SHOWN = 20


def sweep(
    name: Name,
    axis: Annotated[
        list[str],
        typer.Option(
            help="PATH=1,2,5 or PATH=FROM:TO:COUNT; paths are weights.TERM, deltas.KEY, start.KEY, modules.KEY.PARAM, "
            "couplings.FROM>TO.PARAM and gamma. May be repeated: every combination is a point."
        ),
    ],
    setting: SettingOption = None,
    eta: EtaOption = None,
    seed: SeedOption = 0,
    client_key: ClientKey = None,
    force: ForceOption = False,
    detach: DetachOption = False,
    as_json: JsonOption = False,
) -> None:
    """Relax a coupling graph at every point of a grid; where it settles stays in the graph database.

    Example: fieldgraph coord sweep storm --axis modules.experiment.net=-0.2:0.2:9 --axis "weights.coup:sum_hinge=0,1"
    """
    try:
        axes = [_axis(text) for text in axis]
        request = SweepRequest(
            graph=name,
            axes=axes,
            settings=parse_settings(setting or []),
            start=eta_of(eta or []),
            seed=seed,
            force=force,
        )
    except FieldError as error:
        fail(error)
    result = run(_sweep(request, client_key, detach))
    emit(result, as_json=as_json, text=queued_text(result) if detach else _sweep_text(result))


def expand(
    name: Name,
    candidates: Annotated[
        Path,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="JSON list of {key, module: {kind, params}, couplings: [{kind, from, to, params}], deltas}.",
        ),
    ],
    gamma: Annotated[float | None, typer.Option(help="What one module costs; by default as the graph says.")] = None,
    tau: Annotated[float | None, typer.Option(help="What it must gain beyond; by default as the graph says.")] = None,
    keep: Annotated[int, typer.Option(min=1, max=2, help="Survivors at most.")] = 2,
    apply: Annotated[bool, typer.Option("--apply", help="Write the survivors into the graph.")] = False,
    setting: SettingOption = None,
    eta: EtaOption = None,
    seed: SeedOption = 0,
    client_key: ClientKey = None,
    force: ForceOption = False,
    detach: DetachOption = False,
    as_json: JsonOption = False,
) -> None:
    """Weigh modules that a coupling graph might be given, by relaxing it with and without each.

    Example: fieldgraph coord expand storm --candidates new.json --gamma 0.01 --apply
    """
    try:
        request = ExpansionRequest(
            graph=name,
            candidates=_candidates(candidates),
            gamma=gamma,
            tau=tau,
            keep=keep,
            apply=apply,
            settings=parse_settings(setting or []),
            start=eta_of(eta or []),
            seed=seed,
            force=force,
        )
    except FieldError as error:
        fail(error)
    result = run(_expand(request, client_key, detach))
    emit(result, as_json=as_json, text=queued_text(result) if detach else _expansion_text(result))


def events(
    name: Name,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many, latest first.")] = SHOWN,
    as_json: JsonOption = False,
) -> None:
    """What happened to the order parameters of a coupling graph, latest first.

    Example: fieldgraph coord events storm --limit 5
    """
    found = run(_events(name, limit))
    rows = [
        f"{each['at']}  {each['event']:8} {each['key']}"
        + (f" v{each['version']}" if each["version"] is not None else "")
        + f"  by {each['source']}"
        for each in found
    ]
    emit({"graph": name, "events": found}, as_json=as_json, text="\n".join(rows) or "nothing yet")


def residuals(
    prediction: Annotated[str, typer.Argument(metavar="PREDICTION", help="A prediction.", show_default=False)],
    name: Annotated[str, typer.Option(help="What the coupling graph shall be called.")],
    tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="A state breaks a law wholly from this share on.")
    ] = TOLERANCE,
    as_json: JsonOption = False,
) -> None:
    """Draw a prediction as a coupling graph: how far each of its states keeps the laws of energy and entropy.

    Example: fieldgraph coord residuals 0199f3a0-… --name laws
    """
    result = run(_residuals(prediction, name, tolerance))
    rows = [f"{key:20} kept to {eta:.4f}" for key, eta in result["eta"].items()]
    emit(result, as_json=as_json, text="\n".join([*rows, f"Next: fieldgraph coord relax {name}"]))


async def _residuals(prediction: str, name: str, tolerance: float) -> dict[str, Any]:
    async with opened() as services:
        drawn = await draw_residuals(services, prediction, name, tolerance=tolerance)
    return {"graph": name, "version": drawn.version, "prediction": prediction, "eta": drawn.eta}


async def _sweep(request: SweepRequest, client_key: str | None, detach: bool) -> dict[str, Any]:
    async with opened() as services:
        row = await submit_sweep(services, request, client_key=client_key)
        if detach:
            return queued(row)
        row = row if row.finished else await finish(services, row)
        points = await _points(services, row.uid)
    return {
        "run": row.uid,
        "state": row.state,
        "graph": request.graph,
        "axes": [each.path for each in request.axes],
        "keys": [each["key"] for each in row.config["description"]["modules"]],
        "points": [asdict(point) for point in points],
    }


async def _points(services: Services, uid: str) -> list[sweeps.PointRow]:
    found: list[sweeps.PointRow] = []
    while part := await sweeps.points_of(services.gateway, uid, limit=PAGE, after=found[-1].index if found else -1):
        found += part
    return found


async def _expand(request: ExpansionRequest, client_key: str | None, detach: bool) -> dict[str, Any]:
    async with opened() as services:
        row = await submit_expansion(services, request, client_key=client_key)
        if detach:
            return queued(row)
        row = row if row.finished else await finish(services, row)
        rows = await expansions.candidates_of(services.gateway, row.uid)
        version = (await coupling.drawn(services.gateway, request.graph)).version
    return {
        "run": row.uid,
        "state": row.state,
        "graph": request.graph,
        "version": version,
        "gamma": row.config["gamma"],
        "tau": row.config["tau"],
        "applied": row.config["apply"] and any(each.survives for each in rows),
        "candidates": [asdict(each) for each in rows],
    }


async def _events(name: str, limit: int) -> list[dict[str, Any]]:
    async with opened() as services:
        await coupling.drawn(services.gateway, name)
        rows = await page(services.gateway, [LISTS["module_events"]], limit=limit, after=None, where={"graph": name})
    return [{**row.node, "at": row.node["at"].isoformat(timespec="seconds")} for row in rows]


def _axis(text: str) -> Axis:
    """`gamma=0,1,2` or `gamma=0:1:5`; the path may have any sign but `=`."""
    path, _, said = text.rpartition("=")
    try:
        if said.count(":") == 2:
            first, last, count = (kind(part) for kind, part in zip((float, float, int), said.split(":"), strict=True))
            if not 0 < count <= MAX_POINTS:
                raise ValueError
            values = [first + (last - first) * number / max(1, count - 1) for number in range(count)]
        else:
            values = [float(part) for part in said.split(",")]
    except ValueError:
        path = ""
    if not path:
        raise FieldError(
            "BAD_GRID",
            f"expected PATH=1,2,5 or PATH=FROM:TO:COUNT with 1 to {MAX_POINTS} values, got {text!r}.",
            next_step="Write it as gamma=0:1:5.",
        )
    return Axis(path=path, values=tuple(values))


def _candidates(file: Path) -> list[Candidate]:
    """The candidates of a JSON file."""
    try:
        listed = json.loads(file.read_text("utf-8"))
        return [_candidate(each) for each in listed]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise FieldError(
            "BAD_GRAPH",
            f"expected {file} as a JSON list of candidates, got {type(error).__name__}: {error}.",
            next_step="Write each as {key, module, couplings, deltas}.",
        ) from None


def _candidate(values: Mapping[str, Any]) -> Candidate:
    deltas = {str(name): float(value) for name, value in values.get("deltas", {}).items()}
    return Candidate(
        key=str(values["key"]),
        module=dict(values["module"]),
        couplings=[dict(each) for each in values.get("couplings", ())],
        deltas=deltas,
    )


def _sweep_text(result: dict[str, Any]) -> str:
    ranked = sorted(
        (point for point in result["points"] if point["energy"] is not None), key=lambda each: each["energy"]
    )
    rows = [
        f"F {point['energy']:+.6g} at "
        + ", ".join(f"{path} = {value:g}" for path, value in zip(result["axes"], point["at"], strict=True))
        for point in ranked[:SHOWN]
    ]
    left = len(ranked) - len(rows)
    return "\n".join([*rows, *([f"… and {left} more points"] if left > 0 else []), f"run {result['run']}"])


def _expansion_text(result: dict[str, Any]) -> str:
    rows = [
        f"{each['key']}: F {each['energy_before']:.6g} → {each['energy_after']:.6g}, "
        + ("survives" if each["survives"] else "accepted" if each["accepted"] else "refused")
        + (f", for {each['parent']}" if each["parent"] else "")
        for each in result["candidates"]
    ]
    last = f"written: version {result['version']}" if result["applied"] else "nothing written"
    return "\n".join([*rows, f"{last}; run {result['run']}"])
