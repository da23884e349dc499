"""What became of predictions: the laws that they violate, and how they compared with what came."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from schema import ports
from schema.described import described
from schema.enums import Law
from schema.fields import Domain
from schema.node import Identified
from schema.ports import Info
from schema.snapshots import EnergySnapshot

if TYPE_CHECKING:
    from schema.predictions import Prediction


@strawberry.type(description="A law that one step of a prediction breaks.")
class Violation(Identified):
    uid: strawberry.ID
    law: Law
    lead: int
    member: int | None = strawberry.field(description="Of an ensemble's member: its number; null for the mean.")
    value: float | None = strawberry.field(
        description="What was measured: relative to the energy for ENERGY, nats for ENTROPY; null where infinite."
    )
    limit: float = strawberry.field(description="What is allowed.")
    created_at: datetime
    domain_name: strawberry.Private[str]

    @strawberry.field
    async def domain(self, info: Info) -> Domain | None:
        return await info.context.catalog.one(Domain, self.domain_name)

    @strawberry.field
    async def prediction(self, info: Info) -> Annotated["Prediction", strawberry.lazy("schema.predictions")] | None:
        found = await info.context.catalog.related(ports.VIOLATING_PREDICTION, self.uid)
        return found[0] if found else None

    @described("The predicted state; null for a member whose states are not kept.")
    async def snapshot(self, info: Info) -> EnergySnapshot | None:
        found = await info.context.catalog.related(ports.VIOLATION_STATE, self.uid)
        return found[0] if found else None


@strawberry.type(description="The energy vector of a predicted state whose truth is known.")
class PredictionLog(Identified):
    uid: strawberry.ID
    regime: str = strawberry.field(description="Of the truth.")
    timestamp: datetime = strawberry.field(description="When it was predicted.")
    lead: int
    step: int = strawberry.field(description="t_index of the truth.")
    predicted_mean: float
    observed_mean: float
    rmse: float
    persistence_rmse: float | None
    fidelity: float | None = strawberry.field(description="1 - ||P - T|| / ||T - O||, of the change.")
    total_energy_fidelity: float | None = strawberry.field(description="1 - |sum T - sum P| / |sum T|, of the total.")
    field_fidelity: float | None = strawberry.field(description="1 - ||P - T|| / ||T||, of the field.")
    entropy_pred: float | None = strawberry.field(
        description="Spatial entropy in nats; null where the field is signed."
    )
    entropy_obs: float | None
    entropy_share_pred: float | None = strawberry.field(description="As a share of ln N, the largest there is.")
    entropy_share_obs: float | None
    model: str | None
    version: str | None
    checkpoint_sha256: str | None
    agent: str | None
    recorded_at: datetime
    domain_name: strawberry.Private[str]
    predicted_uid: strawberry.Private[str]

    @strawberry.field
    async def domain(self, info: Info) -> Domain | None:
        return await info.context.catalog.one(Domain, self.domain_name)

    @strawberry.field
    async def prediction(self, info: Info) -> Annotated["Prediction", strawberry.lazy("schema.predictions")] | None:
        found = await info.context.catalog.related(ports.LOGGED_PREDICTION, self.uid)
        return found[0] if found else None

    @strawberry.field
    async def predicted(self, info: Info) -> EnergySnapshot | None:
        return await info.context.catalog.one(EnergySnapshot, self.predicted_uid)

    @strawberry.field
    async def truth(self, info: Info) -> EnergySnapshot | None:
        found = await info.context.catalog.related(ports.LOGGED_TRUTH, self.uid)
        return found[0] if found else None


@strawberry.type(description="What the energy vectors of a group add up to.")
class PredictionLogSummary:
    domain: str | None = strawberry.field(description="Name; null where it is over all domains.")
    regime: str | None
    n: int
    moving: int = strawberry.field(description="Those whose field changed, of which the fidelities are.")
    mean: float | None
    median: float | None
    pooled: float | None = strawberry.field(description="1 - sqrt(sum of squared errors / sum of squared changes).")
    total_energy_fidelity: float | None = strawberry.field(description="Mean of those that have one.")
    field_fidelity: float | None
    rmse: float | None
    persistence_rmse: float | None = strawberry.field(description="Of predicting no change on the same pairs.")
