"""Snapshots: one state E_t of a field, what came before and after it, and what was thought to follow."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from schema import ports
from schema.connection import page_size
from schema.described import described
from schema.enums import SnapshotKind
from schema.fields import Domain, Sequence
from schema.node import Identified
from schema.ports import Info

if TYPE_CHECKING:
    from schema.predictions import Estimate, Evolution, Prediction


@strawberry.type(description="Where an array is: GraphQL never carries the numbers themselves.")
class Array:
    sha256: str = strawberry.field(description="Over the canonical .npy bytes, which the URL returns.")

    @described("Path on this server; GET with Range and ETag.")
    def url(self) -> str:
        return f"/arrays/{self.sha256}"


@strawberry.type(description="Fields known beside the energy at the same time (velocity, source, …), stacked along C.")
class ContextFields:
    names: list[str]
    array: Array


@strawberry.type(description="One state E_t of a field with its statistics.")
class EnergySnapshot(Identified):
    uid: strawberry.ID
    domain_name: strawberry.Private[str]
    sequence_uid: strawberry.Private[str | None]
    context_sha256: strawberry.Private[str | None]
    spread_sha256: strawberry.Private[str | None]
    kind: SnapshotKind
    t_index: int
    t: float
    valid_time: datetime | None
    sha256: str
    height: int
    width: int
    total_energy: float
    mean: float
    variance: float
    minimum: float
    maximum: float
    entropy: float | None = strawberry.field(description="Spatial entropy in nats; null where the field is signed.")
    gradient_energy: float
    regime: str | None
    context_names: list[str]
    lead: int | None = strawberry.field(description="Of a predicted state: steps after the start of its prediction.")
    member: int | None = strawberry.field(description="Of an ensemble's member: its number.")
    source_total: float | None = strawberry.field(description="What entered during the step that led here.")
    outflow_total: float | None

    @strawberry.field
    async def domain(self, info: Info) -> Domain | None:
        return await info.context.catalog.one(Domain, self.domain_name)

    @described("Null for a predicted snapshot.")
    async def sequence(self, info: Info) -> Sequence | None:
        return await info.context.catalog.one(Sequence, self.sequence_uid) if self.sequence_uid else None

    @described("The true states that follow, nearest first: E_t+1, E_t+2, …")
    async def next(
        self, info: Info, first: int = 1
    ) -> list[Annotated[EnergySnapshot, strawberry.lazy("schema.snapshots")]]:
        return await info.context.catalog.related(ports.NEXT, self.uid, page_size(first))

    @described("The true state before.")
    async def previous(self, info: Info) -> Annotated[EnergySnapshot, strawberry.lazy("schema.snapshots")] | None:
        found = await info.context.catalog.related(ports.PREVIOUS, self.uid)
        return found[0] if found else None

    @described("Predictions that start here, latest first.")
    async def predictions(
        self, info: Info, first: int = 10
    ) -> list[Annotated["Prediction", strawberry.lazy("schema.predictions")]]:
        return await info.context.catalog.related(ports.PREDICTIONS_FROM, self.uid, page_size(first))

    @described("The states that were predicted to follow, latest prediction first.")
    async def evolves_to(
        self, info: Info, first: int = 10
    ) -> list[Annotated["Evolution", strawberry.lazy("schema.predictions")]]:
        return await info.context.catalog.related(ports.EVOLVES_TO, self.uid, page_size(first))

    @described("Of a predicted state: the truth it stands for, with its scores.")
    async def estimates(
        self, info: Info, first: int = 10
    ) -> list[Annotated["Estimate", strawberry.lazy("schema.predictions")]]:
        return await info.context.catalog.related(ports.ESTIMATES, self.uid, page_size(first))

    @described("Of a true state: the predicted states that stand for it, with their scores.")
    async def estimated_by(
        self, info: Info, first: int = 10
    ) -> list[Annotated["Estimate", strawberry.lazy("schema.predictions")]]:
        return await info.context.catalog.related(ports.ESTIMATED_BY, self.uid, page_size(first))

    @described("The field itself, (H, W, C) float32.")
    def array(self) -> Array:
        return Array(sha256=self.sha256)

    @strawberry.field
    def context(self) -> ContextFields | None:
        if self.context_sha256 is None:
            return None
        return ContextFields(names=self.context_names, array=Array(sha256=self.context_sha256))

    @described("Of a predicted state: standard deviation per cell, where the model gives one.")
    def spread(self) -> Array | None:
        return Array(sha256=self.spread_sha256) if self.spread_sha256 else None

    @described("Path of a heat map (PNG) on this server.")
    def image_url(self) -> str:
        return f"/snapshots/{self.uid}.png"


@strawberry.type(description="A snapshot that looks like another.")
class SimilarSnapshot:
    score: float = strawberry.field(description="(1 + cosine of the descriptors) / 2: 1 for the same shape.")
    snapshot: EnergySnapshot


@strawberry.type(description="The snapshots that look most like one, which is not among them, best first.")
class SimilarSnapshots:
    hits: list[SimilarSnapshot]
