"""An inquiry: all that the stages of one experiment share, read again from the graph at the beginning of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from graph.queries import ace, runs, training
from graph.queries.ace import StageRow
from graph.queries.runs import RunRow
from graph.queries.training import CheckpointRow
from resolvers.ace.claims import Claim
from resolvers.ace.expansion import Plan, plan
from resolvers.energy import budget
from resolvers.energy.budget import Account
from resolvers.energy.spent import Ledger, Spent
from resolvers.services.context import Services
from resolvers.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """One experiment as it stands before a stage."""

    services: Services
    run: RunRow
    task: Task
    # of the stage that is to be worked
    round: int
    claim: Claim
    plan: Plan
    checkpoint: CheckpointRow
    # stages so far, in order
    stages: tuple[StageRow, ...]
    account: Account

    @property
    def prior(self) -> float:
        """Credence before this experiment."""
        return float(self.output("spawn", "prior"))

    @property
    def max_rounds(self) -> int:
        """Rounds after which it is given up."""
        return int(self.run.config["max_rounds"])

    def outputs(self, name: str, round: int | None = None) -> Mapping[str, Any]:
        """What came out of a stage, in this round or another; {} before it is done."""
        wanted = self.round if round is None else round
        found = [one for one in self.stages if one.name == name and one.round == wanted and one.done]
        return found[-1].outputs if found else {}

    def output(self, name: str, key: str) -> Any:
        """One entry of the last stage of that name."""
        return next(one.outputs[key] for one in reversed(self.stages) if one.name == name and one.done)

    def every(self, name: str) -> list[Mapping[str, Any]]:
        """What came out of a stage in each round, in order."""
        return [one.outputs for one in self.stages if one.name == name and one.done]


async def inquiry(services: Services, run: RunRow, task: Task, *, round: int, stages: Sequence[StageRow]) -> Inquiry:
    """As the graph has it now."""
    claim = Claim.from_json(run.config["claim"])
    return Inquiry(
        services=services,
        run=run,
        task=task,
        round=round,
        claim=claim,
        plan=plan(claim),
        checkpoint=await training.checkpoint(services.gateway, run.config["checkpoint"]),
        stages=tuple(stages),
        account=Account(
            budget.parse(run.config["compute_budget"]),
            [Ledger.read(one) for one in stages if one.done],
            elapsed=await ace.elapsed(services.gateway, run.uid),
        ),
    )


async def own_children(services: Services, run: RunRow) -> list[RunRow]:
    """Runs that were made for this one; what it only found is paid for by another."""
    return await runs.children(services.gateway, run.uid, own=True)


def spent_by(child: RunRow) -> Ledger:
    """What a run took, over all attempts: nothing where it never ran."""
    return Ledger() if child.started_at is None else Ledger.read(child)


def together(own: Spent, children: Iterable[Ledger]) -> Ledger:
    """What a stage took with all that worked for it, in its own time."""
    return replace(sum(children, Ledger.of(own)), seconds=own.seconds)


def time_limit(account: Account) -> float | None:
    """Seconds after which a run that is charged to the account is stopped; joules are watched instead."""
    return max(account.left, 1e-3) if account.budget.unit == "s" else None


StageOutputs = dict[str, Any]
"""What a stage says when it is done: plain values."""
