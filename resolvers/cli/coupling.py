"""`fieldgraph coord show|relax|replay|plot`: coupling graphs that are drawn in Neo4j."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from graph.errors import GraphError
from graph.queries import coupling, relaxation, runs
from graph.queries.relaxation import ResultRow
from nvp.errors import FieldError
from resolvers.cli.follow import finish, opened, queued, queued_text
from resolvers.cli.output import JsonOption, emit, fail, run
from resolvers.services.context import Services
from resolvers.services.coupling import explain
from resolvers.services.relaxation import RelaxationRequest, compute, submit_relaxation
from resolvers.services.settings import parse_settings

Name = Annotated[str, typer.Argument(metavar="GRAPH", help="Name of a CouplingGraph.", show_default=False)]
RunUid = Annotated[str, typer.Argument(metavar="RUN", help="A relaxation's run.", show_default=False)]
EtaOption = Annotated[
    list[str] | None, typer.Option("--eta", help="Where an order parameter starts, as KEY=0.3; may be repeated.")
]
ClientKey = Annotated[
    str | None, typer.Option(help="Stands for this request: given again, it is answered with the same run.")
]
PAGE = 200
TOLD = ("primal_residual", "dual_residual", "switches")
"""What only some solvers say of themselves."""


def show(name: Name, eta: EtaOption = None, as_json: JsonOption = False) -> None:
    """The free energy of a coupling graph where it stands: term by term, and where each order parameter is pulled.

    Example: fieldgraph coord show baseline --eta gate=0.2
    """
    result = run(_show(name, eta or []))
    width = max(map(len, result["keys"]))
    rows = [
        f"{key:{width}}  eta {at:.4f}  dF/deta {slope:+.4g}"
        for key, at, slope in zip(result["keys"], result["eta"], result["gradient"], strict=True)
    ]
    terms = [f"{name}: {energy:+.6g}" for name, energy, _ in result["terms"]]
    bound = result["curvature_bound"]
    last = f"F = {result['energy']:.8g}; curvature at most {bound:.4g}" if bound else f"F = {result['energy']:.8g}"
    emit(result, as_json=as_json, text="\n".join([*rows, *terms, last]))


def relax(
    name: Name,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the solver as NAME=VALUE; may be repeated.")
    ] = None,
    eta: EtaOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Root of everything random.")] = 0,
    write_back: Annotated[
        bool, typer.Option("--write-back", help="Move the order parameters to where they settled.")
    ] = False,
    client_key: ClientKey = None,
    force: Annotated[bool, typer.Option("--force", help="Relax again, even if it was done before.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it to the workers.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Relax a coupling graph of the graph database; its trail stays there.

    Example: fieldgraph coord relax baseline --set mode=gradient --set steps=100 --write-back
    """
    try:
        request = RelaxationRequest(
            graph=name,
            settings=parse_settings(setting or []),
            start=eta_of(eta or []),
            seed=seed,
            write_back=write_back,
            force=force,
        )
    except FieldError as error:
        fail(error)
    result = run(_relax(request, detach, client_key))
    emit(result, as_json=as_json, text=queued_text(result) if detach else _told(result))


def replay(run_uid: RunUid, as_json: JsonOption = False) -> None:
    """Relax the graph that a run holds a copy of again; exit code 1 where any bit differs.

    Example: fieldgraph coord replay 0199f3a0-…
    """
    result = run(_replay(run_uid))
    said = "identical" if result["identical"] else f"{result['differ']} of {result['steps']} steps differ"
    emit(result, as_json=as_json, text=f"{said}: F = {result['energy']!r} after {result['steps']} kept steps")
    if not result["identical"]:
        raise typer.Exit(1)


def plot(
    run_uid: RunUid,
    out: Annotated[Path, typer.Option(help="Where to write the picture (.png, .pdf, .svg).")] = Path("relaxation.png"),
    as_json: JsonOption = False,
) -> None:
    """Draw the trail of a relaxation: free energy, its terms, and the order parameters.

    Example: fieldgraph coord plot 0199f3a0-… --out trail.png
    """
    result = run(_plot(run_uid, out))
    emit(result, as_json=as_json, text=f"wrote {result['path']} ({result['steps']} steps)")


async def _show(name: str, eta: list[str]) -> dict[str, Any]:
    async with opened() as services:
        found = await explain(services, name, eta_of(eta))
        version = (await coupling.drawn(services.gateway, name)).version
    return {"graph": name, "version": version, **asdict(found)}


async def _relax(request: RelaxationRequest, detach: bool, client_key: str | None) -> dict[str, Any]:
    async with opened() as services:
        row = await submit_relaxation(services, request, client_key=client_key)
        if detach:
            return queued(row)
        row = row if row.finished else await finish(services, row)
        return {"run": row.uid, "state": row.state, **asdict(await ended(services, row.uid))}


async def _replay(uid: str) -> dict[str, Any]:
    async with opened() as services:
        row = await runs.run(services.gateway, uid)
        result = await ended(services, uid)
        steps = await kept_steps(services, uid)
    found, account = compute(row.config, row.rng_seed)
    same = [
        (ours.index, ours.energy, list(ours.eta)) == (theirs.index, theirs.energy, theirs.eta)
        for ours, theirs in zip(account.steps, steps, strict=False)
    ]
    differ = same.count(False) + abs(len(account.steps) - len(steps))
    identical = differ == 0 and found.eta.tolist() == result.eta
    return {"run": uid, "identical": identical, "steps": len(steps), "differ": differ, "energy": result.energy}


async def _plot(uid: str, out: Path) -> dict[str, Any]:
    import numpy as np

    from nvp.pictures.files import require_figure, write_figure
    from nvp.pictures.relaxation import relaxation_figure

    require_figure(out)
    async with opened() as services:
        result = await ended(services, uid)
        steps = await kept_steps(services, uid)
    made = relaxation_figure(
        np.array([step.index for step in steps]),
        np.array([step.energy for step in steps]),
        np.array([step.accepted for step in steps]),
        np.array([step.term_energy for step in steps]),
        np.array([step.eta for step in steps]),
        term_names=result.terms or [],
        keys=result.keys or [],
        title=f"{result.graph_name}: F {result.initial_energy:.6g} → {result.energy:.6g}, {result.status}",
    )
    write_figure(out, made)
    return {"path": str(out), "steps": len(steps)}


async def ended(services: Services, uid: str) -> ResultRow:
    """How a relaxation ended; raises `GraphError` where it has not."""
    found = await relaxation.result_of(services.gateway, uid)
    if found is None or found.status is None:
        raise GraphError(
            "NOT_RELAXED",
            f"expected the run of a relaxation that has ended, got {uid!r}.",
            next_step="`fieldgraph runs list --kind relaxation` shows them.",
        )
    return found


async def kept_steps(services: Services, uid: str) -> list[relaxation.StepRow]:
    """All steps that are kept of a relaxation, page by page."""
    steps: list[relaxation.StepRow] = []
    while page := await relaxation.steps_of(services.gateway, uid, limit=PAGE, after=steps[-1].index if steps else -1):
        steps += page
    return steps


def eta_of(texts: list[str]) -> dict[str, float]:
    """`["gate=0.3"]` by key; keys may have dots, which settings may not."""
    found = {}
    for text in texts:
        key, equals, value = text.rpartition("=")
        try:
            found[key] = float(value)
        except ValueError:
            equals = ""
        if not (key and equals):
            raise FieldError("BAD_STATE", f"expected KEY=NUMBER, got {text!r}.", next_step="Write it as gate=0.3.")
    return found


def _told(result: dict[str, Any]) -> str:
    width = max(map(len, result["keys"]))
    rows = [f"{key:{width}}  eta {at:.6f}" for key, at in zip(result["keys"], result["eta"], strict=True)]
    return "\n".join(
        [
            *rows,
            f"F {result['initial_energy']:.8g} → {result['energy']:.8g} ({result['status']}, {result['accepted']} of "
            f"{result['steps']} steps accepted)",
            *(f"{name.replace('_', ' ')} {result[name]:.3g}" for name in TOLD if result[name] is not None),
            f"Next: fieldgraph coord plot {result['run']}",
        ]
    )
