"""Execute: each work of the schedule as a run of its own, charged to the budget, until nothing more is to be decided.

A run is found again by its dedup key, which holds the experiment, the round and the work, so that an attempt that takes
over waits for what is under way and repeats nothing. The training of the ensemble is shared by all experiments on the
same split and recipe: its key holds neither. It is charged to the one that it was made for, and who can pay no more
leaves it to the others. A work that would not fit into the budget is not begun, and one that takes more is stopped.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace

from graph.errors import GraphError
from graph.identity import digest
from graph.queries import costs, evaluation, run_family, runs
from graph.queries.ace import STAGES
from graph.queries.evaluation import Stretch
from graph.queries.runs import RunRow
from resolvers.ace.words import counted
from resolvers.energy.budget import BudgetGone
from resolvers.energy.spent import Ledger
from resolvers.poke import poke
from resolvers.services.ace import atlas_indexer, samples
from resolvers.services.ace.composing import SIMULATE, TRAIN, VOTE, left_out, shared_key, vote_starts
from resolvers.services.ace.inquiry import Inquiry, StageOutputs, own_children, spent_by, time_limit
from resolvers.services.ace.scheduling import Work
from resolvers.services.shadows import members_folder
from resolvers.services.version import code_version

LOOK_SECONDS = 0.2
METER_SECONDS = 2.0
"""Between two looks at what a run has taken."""
DECIDED = "the test has decided"
STOPPED = "TIME_LIMIT"
"""Error code of a run that took longer than it may."""


class ChildFailed(GraphError):
    """A run that the experiment needs has failed, or was cancelled."""

    exit_code = 1

    def __init__(self, work: Work, run: RunRow) -> None:
        super().__init__(
            "CHILD_FAILED",
            f"expected to {work.name}, got run {run.uid} {run.state}: {run.error_message or 'cancelled'}.",
            next_step=f"`fieldgraph runs show {run.uid}` says more.",
        )
        self.run = run


@dataclass(slots=True)
class Progress:
    """What has come of the works so far."""

    # by work: the run that does it
    children: dict[str, str] = field(default_factory=dict)
    evaluations: list[str] = field(default_factory=list)
    # in the order in which they were to be looked at
    sequences: list[str] = field(default_factory=list)
    vote: str | None = None
    ensemble_failure: str | None = None
    fresh: list[Stretch] | None = None
    # works that were not done, and why
    left_out: dict[str, str] = field(default_factory=dict)
    budget_gone: bool = False

    def to_json(self, inquiry: Inquiry) -> StageOutputs:
        done = f"{counted(len(self.children), 'run')}, {counted(len(self.sequences), 'sequence')} looked at"
        return {
            "children": self.children,
            "evaluations": self.evaluations,
            "sequences": self.sequences,
            "vote": self.vote,
            "ensemble_failure": self.ensemble_failure,
            "simulated": sorted({one.sequence for one in self.fresh or ()}),
            "left_out": self.left_out,
            "budget_gone": self.budget_gone,
            "spent": inquiry.account.spent,
            "said": f"{done}{', the budget is gone' if self.budget_gone else ''}.",
        }


async def execute(inquiry: Inquiry) -> StageOutputs:
    """The works in order; raises `ChildFailed` where one that the verdict needs fails."""
    placed = inquiry.outputs("schedule")["works"]
    progress = Progress()
    progress.left_out = {one["work"]["name"]: one["left_out"] for one in placed if one["left_out"] is not None}
    todo = [Work.from_json(one["work"]) for one in placed if one["left_out"] is None]
    # what does not fit is a budget that is gone
    progress.budget_gone = bool(progress.left_out)
    table = await _earlier(inquiry)
    for number, work in enumerate(todo):
        if any(name in progress.left_out for name in work.needs):
            progress.left_out[work.name] = f"{work.needs[-1]} was left out"
            continue
        if work.kind == "evaluation" and table and _decided(inquiry, table, progress):
            progress.left_out[work.name] = DECIDED
            continue
        try:
            child = await _done(inquiry, await _ready(inquiry, work, progress), number, len(todo))
        except BudgetGone as gone:
            progress.budget_gone = True
            progress.left_out |= {each.name: str(gone) for each in todo[number:]}
            break
        progress.children[work.name] = child.uid
        if child.state != "SUCCEEDED":
            if child.error_code == STOPPED or (child.state == "CANCELLED" and await _used_up(inquiry, child)):
                progress.budget_gone = True
                progress.left_out[work.name] = "it was stopped: the budget was used up"
            elif work.kind == "shadows":
                progress.ensemble_failure = child.error_message or child.state
                progress.left_out[work.name] = progress.ensemble_failure
            else:
                raise ChildFailed(work, child)
        else:
            table = await _learnt(inquiry, work, child, progress, table)
        try:
            # what was only found is paid for by another
            if await _paid(inquiry, child):
                inquiry.account.charge(spent_by(child))
        except BudgetGone as gone:
            progress.budget_gone = True
            progress.left_out |= {each.name: str(gone) for each in todo[number + 1 :]}
            break
    return progress.to_json(inquiry)


async def _earlier(inquiry: Inquiry) -> samples.Table:
    uids = [uid for outputs in inquiry.every("execute") for uid in outputs["evaluations"]]
    return await samples.read(inquiry.services.gateway, uids)


def _decided(inquiry: Inquiry, table: samples.Table, progress: Progress) -> bool:
    looked = [*samples.drawn(inquiry.every("execute")), *progress.sequences]
    judged = samples.judged(inquiry.plan, samples.in_order(table, looked), prior=inquiry.prior)
    return judged.stopped_by == "decision"


async def _ready(inquiry: Inquiry, work: Work, progress: Progress) -> Work:
    """The work with what only those before it could say."""
    config = dict(work.config)
    if work.kind == "evaluation" and SIMULATE in work.needs:
        uids = list(work.sequences)
        progress.fresh = await atlas_indexer.prove_fresh(inquiry, uids)
        config = samples.evaluation_config(
            inquiry.plan,
            checkpoint=inquiry.checkpoint.uid,
            stretches=progress.fresh,
            left_out=await left_out(inquiry),
        )
    if work.name == VOTE:
        config["shadows"] = progress.children[TRAIN]
        if not config["starts"]:
            uids, _ = atlas_indexer.fresh_sequences(inquiry.outputs("plan")["fresh"])
            progress.fresh = progress.fresh or await atlas_indexer.prove_fresh(inquiry, uids)
            config["starts"] = vote_starts(progress.fresh)
    inputs = list(work.inputs)
    if SIMULATE in work.needs and progress.fresh is not None:
        inputs = [*inputs, *((one.sequence, "sequence") for one in progress.fresh)]
    return replace(work, config=config, inputs=tuple(dict.fromkeys(inputs)))


async def _done(inquiry: Inquiry, work: Work, number: int, of: int) -> RunRow:
    """The run that does the work, at its end. Raises BudgetGone before it is begun, or where it goes on for others."""
    services, run = inquiry.services, inquiry.run
    key = shared_key(work)
    if work.name != TRAIN:
        key = digest({"work": key, "ace": run.uid, "round": inquiry.round, "name": work.name})
    child = await _ended(inquiry, work, await _submitted(inquiry, work, key), number, of)
    if work.name != TRAIN or await _paid(inquiry, child):
        return child
    if child.state == "CANCELLED":  # for another
        return await _ended(inquiry, work, await _submitted(inquiry, work, key), number, of)
    if child.state == "SUCCEEDED" and not members_folder(services.store, child.uid).exists():
        again = digest({"work": key, "ace": run.uid, "why": "its files are gone"})
        return await _ended(inquiry, work, await _submitted(inquiry, work, again), number, of)
    return child


async def _ended(inquiry: Inquiry, work: Work, child: RunRow, number: int, of: int) -> RunRow:
    """The run once it has ended."""
    services = inquiry.services
    began = (STAGES.index("execute") + (number / max(of, 1))) / len(STAGES)
    looked = time.monotonic()
    while not child.finished:
        await inquiry.task.report(began, f"execute · {work.name}: {child.message or child.state.lower()}")
        await asyncio.sleep(LOOK_SECONDS)
        if time.monotonic() - looked > METER_SECONDS:
            looked = time.monotonic()
            await _hold(inquiry, work, child)
        child = await runs.run(services.gateway, child.uid)
    return child


async def _used_up(inquiry: Inquiry, child: RunRow) -> bool:
    """Whether what a run took is all that was left."""
    return inquiry.account.after(spent_by(child) if await _paid(inquiry, child) else Ledger()).gone


async def _paid(inquiry: Inquiry, child: RunRow) -> bool:
    """Whether the run is charged to this experiment."""
    return any(one.uid == child.uid for one in await own_children(inquiry.services, inquiry.run))


async def _hold(inquiry: Inquiry, work: Work, child: RunRow) -> None:
    """Stop a run that has taken all that is left; where others wait for it, it goes on for them (BudgetGone)."""
    gateway, account = inquiry.services.gateway, inquiry.account
    if account.budget.unit == "J":
        if not await _paid(inquiry, child):
            return
        taken = await costs.spending(gateway, child.uid)
        account = account.after(Ledger(measured=taken.measured, estimated=taken.estimated))
    if account.gone and await run_family.leave(gateway, child.uid, inquiry.run.uid):
        raise BudgetGone(
            "BUDGET_GONE",
            f"expected to {work.name} within {account.budget}, got {account.spent:.3g} {account.budget.unit}.",
            next_step="Allow more: it goes on for another experiment.",
        )


async def _submitted(inquiry: Inquiry, work: Work, key: str) -> RunRow:
    services, run = inquiry.services, inquiry.run
    inquiry.account.check(work)
    child = await runs.submit(
        services.gateway,
        kind=work.kind,
        config=work.config,
        capability=work.capability,
        dedup_key=key,
        rng_seed=work.rng_seed,
        inputs=work.inputs,
        code_version=code_version(),
        parent=run.uid,
        priority=run.priority,
        # others may wait for a training that is found: it is left, not stopped
        time_limit=None if work.name == TRAIN else time_limit(inquiry.account),
    )
    poke(services.settings, work.capability)
    return child


async def _learnt(
    inquiry: Inquiry, work: Work, child: RunRow, progress: Progress, table: samples.Table
) -> samples.Table:
    """What a run that has succeeded adds."""
    if work.name == VOTE:
        progress.vote = child.uid
    if work.kind != "evaluation":
        return table
    found = await evaluation.evaluations_of_run(inquiry.services.gateway, child.uid)
    progress.evaluations += [row.uid for row in found]
    progress.sequences += work.sequences
    return {**table, **await samples.read(inquiry.services.gateway, [row.uid for row in found])}
