"""`fieldgraph ace run` and `ace show`: a hypothesis tested by experiment, stage by stage, to a verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from graph.errors import GraphError
from graph.queries import ace, certificates, runs
from graph.queries.ace import StageRow
from graph.queries.runs import RunRow
from resolvers.ace.claims import Claim
from resolvers.ace.metrics import METRICS
from resolvers.cli.follow import finish, opened, queued, queued_text
from resolvers.cli.output import JsonOption, console, emit, run
from resolvers.services.ace.certifying import certify_due
from resolvers.services.ace.composing import SIZE, STEPS
from resolvers.services.ace_request import AceRequest, claimed, submit_ace
from resolvers.services.context import Services

TranslateOption = Annotated[
    bool, typer.Option("--translate", help="Let the model that FIELDGRAPH_LLM_MODEL names read what we do not.")
]
WIDTH = 60
LOOK_SECONDS = 0.5


def run_(
    sentence: Annotated[str, typer.Argument(metavar="SENTENCE", help="A claim in plain words.")],
    budget: Annotated[str, typer.Option(help="What it may spend, with all it asks for: 500J, 2kJ or 90s.")] = "5kJ",
    shadows: Annotated[int, typer.Option(min=2, max=12, help="Members of the shadow ensemble.")] = 3,
    shadow_size: Annotated[
        str, typer.Option(help="Their networks: tiny, small, base, or same as the model under test.")
    ] = SIZE,
    shadow_steps: Annotated[int, typer.Option(min=1, help="Steps for which each is trained.")] = STEPS,
    rounds: Annotated[int, typer.Option(min=1, max=10, help="How often more evidence is looked for.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Root of everything random.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Test it again, even if it was tested before.")] = False,
    translate: TranslateOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="What it is taken to claim is what you mean.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it to the workers.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Test a claim by experiment: a verdict with its evidence and, where all is in order, a certificate.

    Exit code 1 where the claim is refuted, 2 where it is asked back what is meant.

    Example: fieldgraph ace run "on fluid_dynamics the tiny model keeps fidelity above 0.3" --budget 5kJ --json
    """
    from resolvers.cli.ace import claim_or_question
    from resolvers.cli.translating import confirm, proposed

    if (proposal := proposed(sentence, as_json=as_json) if translate else None) is None:
        claim_or_question(sentence, as_json=as_json)
    else:
        confirm(proposal, yes=yes, as_json=as_json)
    request = AceRequest(
        text=sentence,
        claim=None if proposal is None else proposal.claim.to_json(),
        budget=budget,
        shadows=shadows,
        shadow_size=shadow_size,
        shadow_steps=shadow_steps,
        max_rounds=rounds,
        seed=seed,
        force=force,
    )
    found = run(_tested(request, detach=detach))
    emit(found, as_json=as_json, text=queued_text(found) if "verdict" not in found else told(found))
    if found.get("verdict") == "refuted":
        raise typer.Exit(1)


def show(
    uid: Annotated[str, typer.Argument(metavar="RUN", help="An experiment.")],
    as_json: JsonOption = False,
) -> None:
    """Show an experiment as far as it is: stages, votes, verdict, evidence and certificate.

    Example: fieldgraph ace show 019aa5f2-7c1e-7b52-9d0e-1f7a4c2b8e11 --json
    """
    found = run(_shown(uid))
    emit(found, as_json=as_json, text=told(found))


async def _tested(request: AceRequest, *, detach: bool) -> dict[str, Any]:
    claimed(request)
    async with opened() as services:
        submitted = await submit_ace(services, request)
        if detach:
            return queued(submitted)
        telling = asyncio.create_task(_tell(services, submitted.uid))
        try:
            done = await finish(services, submitted)
        finally:
            telling.cancel()
        # whoever worked it does so too; the first wins
        await certify_due(services.gateway, services.settings)
        return await _found(services, done)


async def _shown(uid: str) -> dict[str, Any]:
    async with opened() as services:
        row = await runs.run(services.gateway, uid)
        if row.kind != "ace":
            raise GraphError(
                "NOT_AN_EXPERIMENT",
                f"expected an experiment, got a run of kind {row.kind}.",
                next_step=f"`fieldgraph runs show {uid}` shows it.",
            )
        return await _found(services, row)


async def _tell(services: Services, uid: str) -> None:
    """Say what came of each stage, once."""
    said = 0
    while True:
        done = [stage for stage in await ace.stages(services.gateway, uid) if stage.done]
        for stage in done[said:]:
            console.print(f"{stage.name:9} {stage.outputs.get('said', '')}", soft_wrap=True, markup=False)
        said = len(done)
        await asyncio.sleep(LOOK_SECONDS)


async def _found(services: Services, row: RunRow) -> dict[str, Any]:
    """What the commands print of an experiment: plain values."""
    stages = await ace.stages(services.gateway, row.uid)
    done: dict[str, Mapping[str, Any]] = {stage.name: stage.outputs for stage in stages if stage.done}
    verdict = done.get("verify", {}).get("verdict")
    certificate = await certificates.of_run(services.gateway, row.uid)
    children = await runs.children(services.gateway, row.uid)
    return {
        "run": row.uid,
        "state": row.state,
        "hypothesis": row.config["hypothesis"],
        "sentence": Claim.from_json(row.config["claim"]).sentence(),
        "claim": row.config["claim"],
        "checkpoint": row.config["checkpoint"],
        "verdict": verdict and verdict["verdict"],
        "finding": verdict,
        "rounds": max((stage.round for stage in stages), default=0),
        "ensemble": done.get("verify", {}).get("ensemble"),
        "evidence": done.get("report", {}).get("evidence", []),
        "proof": done.get("plan", {}).get("proof"),
        "next": done.get("report", {}).get("next", []),
        "certificate": certificate and {"number": certificate.number, "digest": certificate.digest},
        "no_certificate": done.get("retire", {}).get("certificate", {}).get("reasons", []),
        "budget": row.config["compute_budget"],
        "spent": _spent(stages),
        "seconds": _seconds(row),
        "children": [{"uid": one.uid, "kind": one.kind, "state": one.state} for one in children],
        "stages": [_stage(stage) for stage in stages],
    }


def _stage(stage: StageRow) -> dict[str, Any]:
    return {
        "name": stage.name,
        "round": stage.round,
        "state": stage.state,
        "said": stage.outputs.get("said"),
        "joules": stage.energy_joules,
        "energy_source": stage.energy_source,
        "seconds": stage.seconds,
    }


def _spent(stages: Sequence[StageRow]) -> dict[str, Any]:
    """Joules by source: different sources have no sum."""
    by: dict[str, float] = {}
    for stage in stages:
        if stage.energy_joules is not None and stage.energy_source is not None:
            by[stage.energy_source] = by.get(stage.energy_source, 0.0) + stage.energy_joules
    return {"joules": by, "seconds": sum(stage.seconds or 0.0 for stage in stages)}


def _seconds(row: RunRow) -> float | None:
    """From the first attempt's start to the end."""
    if row.started_at is None or row.finished_at is None:
        return None
    return (row.finished_at - row.started_at).total_seconds()


def told(found: Mapping[str, Any]) -> str:
    """Lines for people: the verdict in words, its picture, what it rests on and what it took."""
    lines = [f"{found['sentence']}", f"run {found['run']} · {found['state'].lower()}"]
    finding = found["finding"]
    if finding is None:
        return "\n".join([*lines, *(_line(stage) for stage in found["stages"])])
    lines.append(f"{finding['verdict']}: {finding['reading']}")
    claim = Claim.from_json(found["claim"])
    lines += [picture(one, claim) for one in finding["findings"] if one["role"] == "necessary"]
    lines += [
        f"{one['decision']:12} {one['name']}, {one['on_its_side']} of {one['n']} on its side"
        for one in finding["findings"]
        if one["role"] != "necessary"
    ]
    lines.append(f"credence {finding['prior']:.3g} → {finding['credence']:.3g}")
    lines += [f"but {one}" for one in finding["caveats"]]
    ensemble = found["ensemble"]
    if ensemble is not None:
        silent = f"silent at {100 * ensemble['abstention']:.0f} % of the starts"
        lines.append(f"ensemble: {_trained(ensemble)}{silent}{_reduced(ensemble)}")
    spent = ", ".join(f"{joules:.4g} J ({source})" for source, joules in found["spent"]["joules"].items())
    lines.append(f"spent {spent or 'nothing'} of {found['budget']}, {found['spent']['seconds']:.0f} s")
    certificate = found["certificate"]
    if certificate is not None:
        lines.append(f"certificate {certificate['number']}: {certificate['digest']}")
    lines += [f"no certificate: {one}" for one in found["no_certificate"]]
    lines += [f"next: {one['sentence']}" for one in found["next"]]
    return "\n".join(lines)


def _trained(ensemble: Mapping[str, Any]) -> str:
    made = ensemble.get("trained")
    return "" if made is None else f"{made['members']} {made['size']} networks after {made['steps']} steps, "


def _reduced(ensemble: Mapping[str, Any]) -> str:
    wrong, single = ensemble.get("ensemble"), ensemble.get("single")
    if wrong is None or single is None:
        return ""
    return f"; {100 * wrong:.0f} % of what it accepts is wrong, of one member as often silent {100 * single:.0f} %"


def picture(finding: Mapping[str, Any], claim: Claim) -> str:
    """The interval of the median on a line, with the threshold: ├──●──┤ and │, ‹ › where an end is open."""
    low, high = finding["interval"]
    middle = finding["median"]
    title = METRICS[claim.metric].title
    if middle is None:
        return f"{finding['decision']:12} {finding['name']}: nothing could be scored"
    marks: list[float] = [claim.threshold, middle, *(one for one in (low, high) if one is not None)]
    left, right = min(marks), max(marks)
    margin = 0.1 * (right - left) or 0.1 * max(abs(left), 0.1)
    left, right = left - margin, right + margin

    def at(value: float) -> int:
        return min(max(int((value - left) / (right - left) * (WIDTH - 1) + 0.5), 0), WIDTH - 1)

    line = [" "] * WIDTH
    first, last = 0 if low is None else at(low), WIDTH - 1 if high is None else at(high)
    line[first : last + 1] = "─" * (last + 1 - first)
    line[first], line[last] = "‹" if low is None else "├", "›" if high is None else "┤"
    line[at(middle)] = "●"
    line[at(claim.threshold)] = "│"
    said = f"{finding['decision']:12} {finding['name']}: {finding['on_its_side']} of {finding['n']} on its side"
    scale = f"{left:.3g}".ljust(WIDTH - 8) + f"{right:.3g}".rjust(8)
    return f"{said}\n  {''.join(line)}\n  {scale}  {title}; │ is {claim.threshold:g}, ● the median {middle:.4g}"


def _line(stage: Mapping[str, Any]) -> str:
    return f"{stage['round']:2} {stage['name']:9} {stage['state'].lower():8} {stage['said'] or ''}"
