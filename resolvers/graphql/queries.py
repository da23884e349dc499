"""Root fields that read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import strawberry
from strawberry import relay

from graph.queries import similarity, vector_logs
from resolvers.graphql import present
from resolvers.graphql.ace import AceQuery
from resolvers.graphql.context import Info
from resolvers.graphql.coordination import CouplingQuery
from schema import ports
from schema.connection import DEFAULT_PAGE, MAX_PAGE, Connection
from schema.described import described
from schema.enums import Law, LogGroup, RunKind, RunState, SnapshotKind
from schema.fields import Domain, Sequence, Split
from schema.models import Checkpoint, Model
from schema.outcomes import PredictionLog, PredictionLogSummary, Violation
from schema.predictions import Evaluation, Prediction
from schema.results import SimilarResult
from schema.runs import Run
from schema.snapshots import EnergySnapshot, SimilarSnapshot, SimilarSnapshots


@strawberry.type(description="Reads; each list is a keyset page of up to 200 nodes.")
class Query(CouplingQuery, AceQuery):
    node: relay.Node | None = relay.node(description="Anything by its Relay id.")

    @described("One domain by name.")
    async def domain(self, info: Info, name: str) -> Domain | None:
        return await info.context.catalog.one(Domain, name)

    @described("All domains by name.")
    async def domains(self, info: Info, first: int = DEFAULT_PAGE, after: str | None = None) -> Connection[Domain]:
        return await info.context.catalog.page(ports.DOMAINS, first=first, after=after)

    @described("One sequence.")
    async def sequence(self, info: Info, uid: strawberry.ID) -> Sequence | None:
        return await info.context.catalog.one(Sequence, uid)

    @described("Sequences of one domain or of all.")
    async def sequences(
        self, info: Info, domain: str | None = None, first: int = DEFAULT_PAGE, after: str | None = None
    ) -> Connection[Sequence]:
        return await info.context.catalog.page(ports.SEQUENCES, first=first, after=after, domain=domain)

    @described("One split.")
    async def split(self, info: Info, uid: strawberry.ID) -> Split | None:
        return await info.context.catalog.one(Split, uid)

    @described("One snapshot of any kind.")
    async def snapshot(self, info: Info, uid: strawberry.ID) -> EnergySnapshot | None:
        return await info.context.catalog.one(EnergySnapshot, uid)

    @described("Snapshots of a domain or of a sequence in order of t; predicted ones only where `kind` asks for them.")
    async def snapshots(
        self,
        info: Info,
        domain: str | None = None,
        sequence: strawberry.ID | None = None,
        kind: SnapshotKind | None = None,
        first: int = DEFAULT_PAGE,
        after: str | None = None,
    ) -> Connection[EnergySnapshot]:
        return await info.context.catalog.page(
            ports.SNAPSHOTS, first=first, after=after, domain=domain, sequence=sequence, kind=kind
        )

    @described("The snapshots most like one, by their descriptors; predicted ones only where `kind` asks for them.")
    async def similar_snapshots(
        self,
        info: Info,
        uid: strawberry.ID,
        first: int = 10,
        kind: SnapshotKind | None = None,
        domain: str | None = None,
        other_sequences: Annotated[
            bool, strawberry.argument(description="Leave out its own sequence, whose next frames are nearly equal.")
        ] = False,
    ) -> SimilarResult:
        found = await similarity.similar(
            info.context.services.gateway,
            uid,
            first=min(first, MAX_PAGE),
            kind=kind.value if kind else None,
            domain=domain,
            other_sequences=other_sequences,
        )
        return SimilarSnapshots(
            hits=[SimilarSnapshot(score=hit.score, snapshot=present.snapshot(hit.snapshot)) for hit in found]
        )

    @described("One model.")
    async def model(self, info: Info, uid: strawberry.ID) -> Model | None:
        return await info.context.catalog.one(Model, uid)

    @described("Models of one domain or of all.")
    async def models(
        self, info: Info, domain: str | None = None, first: int = DEFAULT_PAGE, after: str | None = None
    ) -> Connection[Model]:
        return await info.context.catalog.page(ports.MODELS, first=first, after=after, domain=domain)

    @described("One checkpoint.")
    async def checkpoint(self, info: Info, uid: strawberry.ID) -> Checkpoint | None:
        return await info.context.catalog.one(Checkpoint, uid)

    @described("Checkpoints: of one model, latest step first, or of all.")
    async def checkpoints(
        self, info: Info, model: strawberry.ID | None = None, first: int = DEFAULT_PAGE, after: str | None = None
    ) -> Connection[Checkpoint]:
        return await info.context.catalog.page(ports.ALL_CHECKPOINTS, first=first, after=after, model=model)

    @described("One run of any kind.")
    async def run(self, info: Info, uid: strawberry.ID) -> Run | None:
        return await info.context.catalog.one(Run, uid)

    @described("Runs, latest first.")
    async def runs(
        self,
        info: Info,
        kind: RunKind | None = None,
        state: RunState | None = None,
        first: int = DEFAULT_PAGE,
        after: str | None = None,
    ) -> Connection[Run]:
        return await info.context.catalog.page(ports.RUNS, first=first, after=after, kind=kind, state=state)

    @described("One prediction.")
    async def prediction(self, info: Info, uid: strawberry.ID) -> Prediction | None:
        return await info.context.catalog.one(Prediction, uid)

    @described("Predictions, latest first: of one domain, by one checkpoint, or all.")
    async def predictions(
        self,
        info: Info,
        domain: str | None = None,
        checkpoint: strawberry.ID | None = None,
        first: int = DEFAULT_PAGE,
        after: str | None = None,
    ) -> Connection[Prediction]:
        return await info.context.catalog.page(
            ports.PREDICTIONS, first=first, after=after, domain=domain, checkpoint=checkpoint
        )

    @described("One evaluation.")
    async def evaluation(self, info: Info, uid: strawberry.ID) -> Evaluation | None:
        return await info.context.catalog.one(Evaluation, uid)

    @described("Evaluations, latest first: of one domain, of one checkpoint, or all.")
    async def evaluations(
        self,
        info: Info,
        domain: str | None = None,
        checkpoint: strawberry.ID | None = None,
        first: int = DEFAULT_PAGE,
        after: str | None = None,
    ) -> Connection[Evaluation]:
        return await info.context.catalog.page(
            ports.EVALUATIONS, first=first, after=after, domain=domain, checkpoint=checkpoint
        )

    @described("What predictions violate, latest first: in one domain, of one law, or all.")
    async def violations(
        self,
        info: Info,
        domain: str | None = None,
        law: Law | None = None,
        first: int = DEFAULT_PAGE,
        after: str | None = None,
    ) -> Connection[Violation]:
        return await info.context.catalog.page(ports.VIOLATIONS, first=first, after=after, domain=domain, law=law)

    @described("Energy vectors of predictions whose truth is known, latest first: of one domain or regime, or all.")
    async def prediction_logs(
        self,
        info: Info,
        domain: str | None = None,
        regime: str | None = None,
        first: int = DEFAULT_PAGE,
        after: str | None = None,
    ) -> Connection[PredictionLog]:
        return await info.context.catalog.page(
            ports.PREDICTION_LOGS, first=first, after=after, domain=domain, regime=regime
        )

    @described("What these energy vectors add up to, by domain, by regime or by both.")
    async def prediction_log_summary(
        self,
        info: Info,
        by: list[LogGroup] | None = None,
        domain: str | None = None,
        regime: str | None = None,
    ) -> list[PredictionLogSummary]:
        names = [group.value for group in (tuple(LogGroup) if by is None else by)]
        rows = await vector_logs.summary(
            info.context.services.gateway, names, domain=domain, regime=regime, limit=MAX_PAGE
        )
        return [PredictionLogSummary(**asdict(row)) for row in rows]
