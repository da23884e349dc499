"""Models, their checkpoints and how training went."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry.scalars import JSON

from schema import ports
from schema.connection import DEFAULT_PAGE, Connection, page_size
from schema.described import described
from schema.fields import Domain, Split
from schema.node import Identified
from schema.ports import Info

if TYPE_CHECKING:
    from schema.predictions import Evaluation, Prediction


@strawberry.type(description="A predictor: configuration, data it may see, seed and code version.")
class Model(Identified):
    uid: strawberry.ID
    domain_name: strawberry.Private[str]
    split_uid: strawberry.Private[str]
    best_checkpoint_uid: strawberry.Private[str | None]
    name: str
    architecture: str = strawberry.field(description="ridge, unet, …")
    config: JSON
    rng_seed: int
    code_version: str
    recipe: str | None = strawberry.field(description="How it was trained: default or seeds; null where it is solved.")
    data_digest: str | None = strawberry.field(
        description="sha256 over the hashes of the frames it was trained on, in order."
    )
    parameter_count: int | None
    created_at: datetime

    @strawberry.field
    async def split(self, info: Info) -> Split | None:
        return await info.context.catalog.one(Split, self.split_uid)

    @strawberry.field
    async def domain(self, info: Info) -> Domain | None:
        return await info.context.catalog.one(Domain, self.domain_name)

    @described("The checkpoint that validated best, once training has finished.")
    async def best_checkpoint(self, info: Info) -> Checkpoint | None:
        uid = self.best_checkpoint_uid
        return await info.context.catalog.one(Checkpoint, uid) if uid else None

    @described("Its checkpoints, latest step first.")
    async def checkpoints(self, info: Info, first: int = 10) -> list[Checkpoint]:
        return await info.context.catalog.related(ports.CHECKPOINTS, self.uid, page_size(first))


@strawberry.type(description="A model's parameters after a number of updates.")
class Checkpoint(Identified):
    uid: strawberry.ID
    model_uid: strawberry.Private[str]
    step: int
    epoch: int
    sha256: str = strawberry.field(description="Over the parameters in path order.")
    val_fidelity: float | None
    metrics: JSON
    created_at: datetime
    removed_at: datetime | None = strawberry.field(
        description="When its files were removed: others of its training validated better, and nothing refers to it."
    )

    @strawberry.field
    async def model(self, info: Info) -> Model | None:
        return await info.context.catalog.one(Model, self.model_uid)

    @described("The checkpoint that its training went on from.")
    async def derived_from(self, info: Info) -> Annotated[Checkpoint, strawberry.lazy("schema.models")] | None:
        found = await info.context.catalog.related(ports.PARENT, self.uid)
        return found[0] if found else None

    @described("Predictions by it, latest first.")
    async def predictions(
        self, info: Info, first: int = DEFAULT_PAGE, after: str | None = None
    ) -> Connection[Annotated["Prediction", strawberry.lazy("schema.predictions")]]:
        return await info.context.catalog.page(ports.PREDICTIONS, first=first, after=after, checkpoint=self.uid)

    @described("Evaluations of it, latest first.")
    async def evaluations(
        self, info: Info, first: int = DEFAULT_PAGE, after: str | None = None
    ) -> Connection[Annotated["Evaluation", strawberry.lazy("schema.predictions")]]:
        return await info.context.catalog.page(ports.EVALUATIONS, first=first, after=after, checkpoint=self.uid)


@strawberry.type(description="One pass over the training data.")
class Epoch:
    epoch: int
    step: int
    train_loss: float | None
    val_loss: float | None
    val_fidelity: float | None
    learning_rate: float | None
    samples_per_second: float | None
    seconds: float | None
    metrics: JSON
    recorded_at: datetime
