"""The eight stages: what each does with an inquiry. Outputs are plain values; whoever resumes goes on from them."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from graph.queries import ace, hypotheses
from nvp.dynamics.domain import domain
from resolvers.ace.successors import successors
from resolvers.ace.verdicts import SUREST, Verdict
from resolvers.ace.words import counted
from resolvers.services.ace import atlas_indexer, ballot, executing, samples
from resolvers.services.ace.composing import ensemble_of, works_of
from resolvers.services.ace.inquiry import Inquiry, StageOutputs
from resolvers.services.ace.scheduling import Work, affordable, order, would_do
from resolvers.services.shadows import read_said

UNKNOWN_PRIOR = 0.5


async def spawn(inquiry: Inquiry) -> StageOutputs:
    """Take the hypothesis up: what it says, how much it is believed, what may be spent on it."""
    run, checkpoint, gateway = inquiry.run, inquiry.checkpoint, inquiry.services.gateway
    taken = await hypotheses.take_up(gateway, inquiry.task.lease, run.config["hypothesis"])
    # each experiment looks at all evidence again: what earlier ones made of it must not count twice
    prior = await hypotheses.first_prior(gateway, taken.uid)
    return {
        "hypothesis": taken.uid,
        "text": run.config["text"],
        "claim": inquiry.claim.to_json(),
        "prior": min(max(UNKNOWN_PRIOR if prior is None else prior, SUREST), 1 - SUREST),
        "budget": str(inquiry.account.budget),
        "checkpoint": checkpoint.uid,
        "model": {"uid": checkpoint.model.uid, "name": checkpoint.model.name, "split": checkpoint.model.split},
        "said": f"{inquiry.claim.sentence()}: tested on {checkpoint.model.name}, for at most {inquiry.account.budget}.",
    }


async def compose(inquiry: Inquiry) -> StageOutputs:
    """SocratesAgent: the sub-hypotheses with their nulls, what testing them takes, and why it is asked again."""
    earlier = inquiry.every("verify")
    asked = {} if not earlier else {"again": earlier[-1]["why"]}
    parts = inquiry.plan.parts
    return {
        **inquiry.plan.to_json(),
        **asked,
        "said": f"{counted(len(parts), 'question')}: {'; '.join(one.name for one in parts)}.",
    }


async def plan(inquiry: Inquiry) -> StageOutputs:
    """AtlasIndexer: which sequences there are to look at, none of them learnt, and which to simulate."""
    return await atlas_indexer.index(inquiry)


async def schedule(inquiry: Inquiry) -> StageOutputs:
    """What is to be done, in which order and where, and why."""
    works = await works_of(inquiry)
    missing = inquiry.plan.fewest - len(atlas_indexer.used_sequences(inquiry))
    placed = affordable(works, order(works, inquiry.account), inquiry.account, missing=missing)
    first = next((one for one in placed if one.left_out is None), None)
    nothing = f"nothing is begun: {placed[0].left_out}" if placed else "there is nothing more to look at"
    return {
        "works": [one.to_json() for one in placed],
        "left": inquiry.account.left,
        "unit": inquiry.account.budget.unit,
        "said": f"first {first.why}." if first else f"{nothing}.",
    }


async def execute(inquiry: Inquiry) -> StageOutputs:
    """Work it, each thing a run of its own, until the test has decided or the budget is gone."""
    return await executing.execute(inquiry)


async def verify(inquiry: Inquiry) -> StageOutputs:
    """The shadow ensemble's ballot, and PlatoSynthesizer: what all evidence so far says, and whether to go on."""
    gateway, rounds = inquiry.services.gateway, inquiry.every("execute")
    gone = bool(rounds[-1]["budget_gone"])
    table = await looked_at(inquiry)
    verdict = samples.judged(inquiry.plan, table, prior=inquiry.prior, budget_gone=gone)
    counted = await _ballot(inquiry)
    if isinstance(counted, ballot.Ballot):
        await ace.record_votes(gateway, inquiry.task.lease, counted.votes)
        report, quorum = counted.report, counted.quorum
    else:
        report, quorum = counted, False
    final = _without_quorum(verdict, report) if not quorum else verdict.to_json()
    again, why = _again(inquiry, verdict, quorum=quorum, gone=gone)
    return {
        "verdict": final,
        "ensemble": {**report, "trained": ensemble_of(inquiry.run.config)},
        "quorum": quorum,
        "laws": {
            "predictions": report["accepted"],
            "violations": counted.violations if isinstance(counted, ballot.Ballot) else 0,
        },
        "again": again,
        "why": why,
        "said": f"{final['verdict']}: {final['reading']}",
    }


async def report(inquiry: Inquiry) -> StageOutputs:
    """Settle the hypothesis in the graph, with what it rests on, and propose what to ask next."""
    gateway, lease = inquiry.services.gateway, inquiry.task.lease
    hypothesis, found = inquiry.output("spawn", "hypothesis"), inquiry.output("verify", "verdict")
    evaluations = [uid for outputs in inquiry.every("execute") for uid in outputs["evaluations"]]
    await hypotheses.settle(
        gateway,
        lease,
        hypothesis=hypothesis,
        verdict=found["verdict"],
        credence=found["credence"],
        prior=found["prior"],
        weight=_weight(found["prior"], found["credence"]),
        evidence=evaluations,
        result=found,
    )
    proposed = []
    table = await looked_at(inquiry)
    if found["verdict"] != "undetermined" and table:
        judged = samples.judged(inquiry.plan, table, prior=inquiry.prior)
        for claim in successors(inquiry.claim, judged):
            row = await hypotheses.propose(
                gateway,
                text=claim.sentence(),
                claim=claim.to_json(),
                key=claim.key(),
                credence=UNKNOWN_PRIOR,
                about=claim.domain,
                refines=hypothesis,
                lease=lease,
            )
            proposed.append({"uid": row.uid, "sentence": claim.sentence()})
    return {
        "hypothesis": hypothesis,
        "verdict": found["verdict"],
        "credence": found["credence"],
        "evidence": evaluations,
        "next": proposed,
        "said": f"credence {found['prior']:.3g} → {found['credence']:.3g}; {_follow(len(proposed))}.",
    }


async def retire(inquiry: Inquiry) -> StageOutputs:
    """Close the books: what was spent, and whether the run is to be certified once it has ended."""
    account, reasons = inquiry.account, []
    if not inquiry.output("verify", "quorum"):
        reasons.append("no quorum of the shadow ensemble agreed on anything")
    if account.unknown:
        reasons.append(
            f"of some of the work no meter saw the joules; a budget in seconds would do, not {account.budget}"
        )
    elif any(outputs["budget_gone"] for outputs in inquiry.every("execute")) or account.gone:
        reasons.append(f"the budget of {account.budget} was used up; {would_do(_undone(inquiry), account)}")
    if (broken := inquiry.output("verify", "laws")["violations"]) > 0:
        reasons.append(f"{broken} predictions that were accepted break a law of their domain")
    return {
        "certificate": {"due": not reasons, "reasons": reasons},
        "spent": {"amount": account.spent, "unit": account.budget.unit, "of": account.budget.amount},
        "said": f"no certificate: {'; '.join(reasons)}." if reasons else "a certificate is due.",
    }


WORK: Mapping[str, Callable[[Inquiry], Awaitable[StageOutputs]]] = {
    "spawn": spawn,
    "compose": compose,
    "plan": plan,
    "schedule": schedule,
    "execute": execute,
    "verify": verify,
    "report": report,
    "retire": retire,
}
"""By name, in order."""


async def looked_at(inquiry: Inquiry) -> samples.Table:
    """The samples of all rounds, in the order that was drawn."""
    rounds = inquiry.every("execute")
    table = await samples.read(inquiry.services.gateway, [uid for one in rounds for uid in one["evaluations"]])
    return samples.in_order(table, samples.drawn(rounds))


async def _ballot(inquiry: Inquiry) -> ballot.Ballot | dict[str, Any]:
    """The count of the last vote of any round; what to report instead where there was none."""
    rounds = inquiry.every("execute")
    voted = [one["vote"] for one in rounds if one["vote"] is not None]
    if not voted:
        failed = [one["ensemble_failure"] for one in rounds if one["ensemble_failure"] is not None]
        return ballot.abstention(failed[-1] if failed else "the ensemble was not asked")
    said = read_said(inquiry.services.store, voted[-1])
    return ballot.count(said, domain(inquiry.claim.domain), round=inquiry.round)


def _without_quorum(verdict: Verdict, report: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing is decided where the ensemble agrees on nothing."""
    said = report.get("reason", "no quorum of the shadow ensemble agreed on any prediction")
    return {
        **verdict.to_json(),
        "verdict": "undetermined",
        "credence": verdict.prior,
        "reading": f"the evidence alone says {verdict.verdict}, but {said}.",
        "caveats": [*verdict.caveats, f"{said}: the verdict stays open."],
    }


def _again(inquiry: Inquiry, verdict: Verdict, *, quorum: bool, gone: bool) -> tuple[bool, str]:
    """Whether another round may tell more."""
    if gone:
        return False, "the budget is gone"
    if not quorum:
        return False, "the ensemble agrees on nothing, which more sequences do not change"
    if verdict.stopped_by == "decision":
        return False, "the test has decided"
    if inquiry.round >= inquiry.max_rounds:
        return False, f"no round is left of {inquiry.max_rounds}"
    if len(atlas_indexer.used_sequences(inquiry)) >= inquiry.plan.sequences:
        return False, "as many sequences as were planned have been looked at"
    planned, looked = inquiry.outputs("plan"), inquiry.outputs("execute")["sequences"]
    waiting = {one["sequence"] for one in planned["evidence"]} - set(looked)
    if not looked or not (planned["renewable"] or waiting):
        return False, "there is nothing more to look at"
    return True, f"undecided after {counted(len(verdict.cited), 'sequence')}: more are looked for"


def _undone(inquiry: Inquiry) -> list[Work]:
    """What the last schedule had in it and was not begun for want of means."""
    done, left_out = inquiry.output("execute", "children"), inquiry.output("execute", "left_out")
    works = [Work.from_json(one["work"]) for one in inquiry.output("schedule", "works")]
    return [work for work in works if work.name not in done and left_out.get(work.name) != executing.DECIDED]


def _follow(n: int) -> str:
    return f"{counted(n, 'hypothesis')} follow{'s' * (n == 1)} from it"


def _weight(prior: float, credence: float) -> float:
    """log10 of the Bayes factor by which the odds have changed."""
    return math.log10(credence / (1 - credence)) - math.log10(prior / (1 - prior))
