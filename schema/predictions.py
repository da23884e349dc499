"""Predictions and how well they did: links from a state to the states that were thought to follow, and to the truth."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, cast

import strawberry
from strawberry.scalars import JSON

from schema import ports
from schema.connection import DEFAULT_PAGE, page_size
from schema.described import described
from schema.enums import Forcing
from schema.fields import Sequence
from schema.models import Checkpoint
from schema.node import Identified
from schema.outcomes import PredictionLog, Violation
from schema.ports import Info
from schema.snapshots import EnergySnapshot

if TYPE_CHECKING:
    from schema.runs import Run


@strawberry.type(description="One call of a forecaster from one start.")
class Prediction(Identified):
    uid: strawberry.ID
    steps_ahead: int = strawberry.field(description="How many steps it looks ahead.")
    members: int
    forcing: Forcing
    fidelity: float | None = strawberry.field(description="At lead 1, where the truth is known.")
    vrmse: float | None
    persistence: float | None = strawberry.field(description="VRMSE of persistence on the same pair.")
    violation_count: int | None = strawberry.field(
        description="Laws that its steps break, each counted; null where it was never checked."
    )
    created_at: datetime

    @described("The state it starts from.")
    async def start(self, info: Info) -> EnergySnapshot | None:
        found = await info.context.catalog.related(ports.START, self.uid)
        return found[0] if found else None

    @described("What made it; the first one of an ensemble.")
    async def checkpoint(self, info: Info) -> Checkpoint | None:
        found = await info.context.catalog.related(ports.CHECKPOINT, self.uid)
        return found[0] if found else None

    @described("All that made it, in order of uid; several are an ensemble.")
    async def checkpoints(self, info: Info, first: int = 20) -> list[Checkpoint]:
        return await info.context.catalog.related(ports.CHECKPOINT, self.uid, page_size(first))

    @described("The predicted states in order of lead.")
    async def steps(self, info: Info, first: int = DEFAULT_PAGE) -> list[Step]:
        return await info.context.catalog.related(ports.STEPS, self.uid, page_size(first))

    @described("The laws that its steps break, by lead.")
    async def violations(self, info: Info, first: int = DEFAULT_PAGE) -> list[Violation]:
        return await info.context.catalog.related(ports.VIOLATIONS_OF_PREDICTION, self.uid, page_size(first))

    @described("Energy vectors of the steps whose truth is known, by lead.")
    async def logs(self, info: Info, first: int = DEFAULT_PAGE) -> list[PredictionLog]:
        return await info.context.catalog.related(ports.LOGS_OF_PREDICTION, self.uid, page_size(first))

    @strawberry.field
    async def run(self, info: Info) -> Annotated["Run", strawberry.lazy("schema.runs")] | None:
        found = await info.context.catalog.related(ports.PREDICTION_RUN, self.uid)
        return found[0] if found else None


@strawberry.type(description="One predicted state.")
class Step:
    lead: int
    snapshot_uid: strawberry.Private[str]

    @strawberry.field
    async def snapshot(self, info: Info) -> EnergySnapshot | None:
        return await info.context.catalog.one(EnergySnapshot, self.snapshot_uid)


@strawberry.type(description="The link from a state to one that was predicted to follow it.")
class Evolution:
    lead: int
    prediction_uid: strawberry.Private[str]
    snapshot_uid: strawberry.Private[str]

    @strawberry.field
    async def snapshot(self, info: Info) -> EnergySnapshot | None:
        return await info.context.catalog.one(EnergySnapshot, self.snapshot_uid)

    @strawberry.field
    async def prediction(self, info: Info) -> Prediction | None:
        return await info.context.catalog.one(Prediction, self.prediction_uid)


@strawberry.type(description="How well a predicted state stands for the true one.")
class Estimate:
    lead: int
    fidelity: float | None = strawberry.field(description="1 - ||P - T|| / ||T - O||: persistence scores 0.")
    vrmse: float | None
    persistence: float | None = strawberry.field(description="VRMSE of persistence on the same pair.")
    rmse: float | None
    energy_error: float | None = strawberry.field(description="sum(P) - sum(T)")
    predicted_uid: strawberry.Private[str]
    truth_uid: strawberry.Private[str]

    @strawberry.field
    async def predicted(self, info: Info) -> EnergySnapshot | None:
        return await info.context.catalog.one(EnergySnapshot, self.predicted_uid)

    @strawberry.field
    async def truth(self, info: Info) -> EnergySnapshot | None:
        return await info.context.catalog.one(EnergySnapshot, self.truth_uid)


# of one evaluation: 1000 under each of two forcings
MOST_LEADS = 2000


@strawberry.type(description="Scores of a checkpoint on a stretch of a sequence, beside the baselines.")
class Evaluation(Identified):
    uid: strawberry.ID
    fidelity: float | None = strawberry.field(description="Pooled over all pairs; the whole is in `scores`.")
    fidelity_low: float | None = strawberry.field(description="Of its 95 % interval.")
    fidelity_high: float | None
    fidelity_mean: float | None
    fidelity_median: float | None
    n: int | None = strawberry.field(description="How many pairs.")
    vrmse: float | None
    persistence_vrmse: float | None
    linear_fidelity: float | None
    ridge_fidelity: float | None
    upwind_fidelity: float | None = strawberry.field(description="Of first-order transport in the known velocity.")
    frozen_fidelity: float | None = strawberry.field(description="Of the domain's own transport, its forcing frozen.")
    noise_ceiling: float | None = strawberry.field(description="Of the best prediction there is, where it is known.")
    rmse: float | None
    nrmse: float | None = strawberry.field(description="APEBench's: the sum over channels of ||P - T|| / ||T||.")
    gradient_cosine: float | None = strawberry.field(description="Of the gradients of P and T, flattened.")
    change_gradient_cosine: float | None = strawberry.field(description="Of the gradients of P - O and T - O.")
    closure: float | None = strawberry.field(description="Largest residual of the model's own first law.")
    second_law_violations: float | None = strawberry.field(description="Null where the law does not apply.")
    data_second_law_violations: float | None
    coverage90: float | None = strawberry.field(description="Share of the truth within the 90 % interval.")
    spread_skill: float | None
    crps: float | None
    drift: float | None = strawberry.field(description="Of the total after a long rollout, relative.")
    left_out: str | None = strawberry.field(description="The domain that the network never saw in training.")
    horizon: int | None = strawberry.field(description="Leads of the rollouts.")
    scores: JSON = strawberry.field(
        description="{fidelity, baselines: {persistence, linear_extrapolation, ridge, …}, vrmse, metrics, windows, …}; "
        "each score {mean, median, pooled, n, ci95}. Those of later leads are in `leads`."
    )
    created_at: datetime

    @described("VRMSE over windows of the rollouts, such as The Well's 6:12 and 13:30.")
    async def windows(self) -> JSON:
        return cast("JSON", cast("dict[str, object]", self.scores).get("windows") or [])

    @described("All scores of each lead of the rollouts, under each forcing.")
    async def leads(self, info: Info, first: int = DEFAULT_PAGE) -> list[LeadScore]:
        return await info.context.catalog.related(ports.LEADS, self.uid, page_size(first))

    @described("All scores of one lead; null where it was not scored.")
    async def at_lead(self, info: Info, lead: int, forcing: Forcing = Forcing.FROZEN) -> LeadScore | None:
        found = await info.context.catalog.related(ports.LEADS, self.uid, MOST_LEADS)
        return next((one for one in found if (one.lead, one.forcing) == (lead, forcing)), None)

    @described("What was scored.")
    async def checkpoint(self, info: Info) -> Checkpoint | None:
        found = await info.context.catalog.related(ports.SCORED_CHECKPOINT, self.uid)
        return found[0] if found else None

    @described("The stretches it was scored on.")
    async def on(self, info: Info, first: int = DEFAULT_PAGE) -> list[Stretch]:
        return await info.context.catalog.related(ports.STRETCHES, self.uid, page_size(first))

    @strawberry.field
    async def run(self, info: Info) -> Annotated["Run", strawberry.lazy("schema.runs")] | None:
        found = await info.context.catalog.related(ports.EVALUATION_RUN, self.uid)
        return found[0] if found else None


@strawberry.type(description="Scores of one lead of rollouts, against the field that they start from.")
class LeadScore:
    lead: int
    forcing: Forcing
    fidelity: float | None = strawberry.field(description="Pooled; persistence scores 0 at every lead.")
    vrmse: float | None
    persistence_vrmse: float | None
    scores: JSON = strawberry.field(description="As the evaluation's, of this lead.")


@strawberry.type(description="A stretch of a sequence that was looked at; t_index first … last, inclusive.")
class Stretch:
    first: int
    last: int
    sequence_uid: strawberry.Private[str]

    @strawberry.field
    async def sequence(self, info: Info) -> Sequence | None:
        return await info.context.catalog.one(Sequence, self.sequence_uid)
