"""Runs: work that was asked for, how far it is and what came of it; one type per kind, one interface for all."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeVar

import strawberry
from strawberry import relay
from strawberry.scalars import JSON

from schema import ports
from schema.certificates import Certificate
from schema.connection import DEFAULT_PAGE, MAX_PAGE, page_size
from schema.described import described
from schema.enums import RunKind, RunState, Verdict
from schema.expansion import ExpansionCandidate, ExpansionOutcome
from schema.fields import Domain, Sequence, Split
from schema.hypotheses import Hypothesis, HypothesisTest, Stage, Vote
from schema.models import Checkpoint, Epoch, Model
from schema.node import Identified
from schema.ports import Info, Listing
from schema.predictions import Evaluation, Prediction
from schema.relaxation import EnergyBudget, GateEvent, GatingMetrics, RelaxationOutcome, RelaxationStep
from schema.snapshots import EnergySnapshot
from schema.sweep import SweepOutcome, SweepPoint

T = TypeVar("T")


@strawberry.type(description="What a run worked on, and as what.")
class Use:
    role: str
    label: strawberry.Private[str]
    key: strawberry.Private[str]

    @strawberry.field
    async def node(self, info: Info) -> relay.Node | None:
        return await info.context.catalog.one(NODE_TYPES[self.label], self.key)


@strawberry.interface(description="Work that was asked for: durable, leased to one worker at a time, resumable.")
class Run(Identified):
    uid: strawberry.ID
    kind: RunKind
    state: RunState
    progress: float = strawberry.field(description="0 … 1")
    message: str
    seq: int = strawberry.field(description="Grows with every change; give the last one seen to `runProgress`.")
    attempt: int = strawberry.field(description="1 for the first; a lost worker costs one.")
    cancel_requested: bool
    config: JSON
    rng_seed: int
    device: str | None
    code_version: str | None
    priority: int = strawberry.field(description="Higher ones are claimed first.")
    not_before: datetime | None = strawberry.field(description="QUEUED: nobody claims it before.")
    seconds: float = strawberry.field(description="Worked for, over all attempts that have ended.")
    time_limit: float | None = strawberry.field(description="Seconds that it may be worked for, over all attempts.")
    energy_joules: float | None = strawberry.field(
        description="Over all attempts; null where nobody knows, or where they know it from different sources."
    )
    energy_source: str | None = strawberry.field(description="The meter, the formula of the estimate, or `mixed`.")
    energy_measured: float | None = strawberry.field(description="Joules of the attempts that were metered.")
    energy_estimated: float | None = strawberry.field(description="Joules of those that were not.")
    unmetered: int = strawberry.field(description="Attempts of whose energy nothing is known.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error_code: str | None
    error_message: str | None
    offline: bool = strawberry.field(description="It happened without this graph and was imported.")

    @described("What it works on.")
    async def inputs(self, info: Info, first: int = DEFAULT_PAGE) -> list[Use]:
        return await info.context.catalog.related(ports.INPUTS, self.uid, page_size(first))

    @described("What was attested of it; null until `fieldgraph certificate issue` has.")
    async def certificate(self, info: Info) -> Certificate | None:
        found = await info.context.catalog.related(ports.CERTIFICATE_OF_RUN, self.uid)
        return found[0] if found else None

    @described("The run that asked for it; null where a user did.")
    async def parent(self, info: Info) -> Annotated[Run, strawberry.lazy("schema.runs")] | None:
        found = await info.context.catalog.related(ports.PARENT_RUN, self.uid)
        return found[0] if found else None

    @described("The runs that it asked for, in that order.")
    async def children(
        self, info: Info, first: int = DEFAULT_PAGE
    ) -> list[Annotated[Run, strawberry.lazy("schema.runs")]]:
        return await info.context.catalog.related(ports.CHILDREN, self.uid, page_size(first))


@strawberry.type(description="Simulates sequences of a domain.")
class GenerationRun(Run):
    @described("The sequences it made.")
    async def sequences(self, info: Info, first: int = DEFAULT_PAGE) -> list[Sequence]:
        return await info.context.catalog.related(ports.SEQUENCES_OF_RUN, self.uid, page_size(first))


@strawberry.type(description="Trains a predictor of the next field.")
class TrainingRun(Run):
    @described("Its epochs in order.")
    async def epochs(self, info: Info, first: int = DEFAULT_PAGE) -> list[Epoch]:
        return await info.context.catalog.related(ports.EPOCHS, self.uid, page_size(first))

    @strawberry.field
    async def model(self, info: Info) -> Model | None:
        found = await info.context.catalog.related(ports.MODELS_OF_RUN, self.uid)
        return found[0] if found else None

    @described("The checkpoints it wrote, latest step first.")
    async def checkpoints(self, info: Info, first: int = 10) -> list[Checkpoint]:
        return await info.context.catalog.related(ports.CHECKPOINTS_OF_RUN, self.uid, page_size(first))


@strawberry.type(description="Predicts the fields that follow a snapshot.")
class PredictionRun(Run):
    @described("The predictions it made.")
    async def predictions(self, info: Info, first: int = 10) -> list[Prediction]:
        return await info.context.catalog.related(ports.PREDICTIONS_OF_RUN, self.uid, page_size(first))


@strawberry.type(description="Scores a checkpoint on a sequence, beside the baselines.")
class EvaluationRun(Run):
    @described("The evaluations it made.")
    async def evaluations(self, info: Info, first: int = 10) -> list[Evaluation]:
        return await info.context.catalog.related(ports.EVALUATIONS_OF_RUN, self.uid, page_size(first))


async def _beyond(info: Info, listing: Listing[T], run: str, first: int, after: int) -> list[T]:
    """What a run has made beyond an index, in order."""
    page = await info.context.catalog.page(listing, first=first, after=None, run=run, beyond=after)
    return [edge.node for edge in page.edges]


@strawberry.type(description="Relaxes a coupling graph as it was when it was asked for.")
class RelaxationRun(Run):
    @described("How it ended; null until it has.")
    async def outcome(self, info: Info) -> RelaxationOutcome | None:
        found = await info.context.catalog.related(ports.OUTCOME_OF_RELAXATION, self.uid)
        return found[0] if found else None

    @described("The steps that are kept, in order; `after` is the index of the last one seen.")
    async def steps(self, info: Info, first: int = MAX_PAGE, after: int = -1) -> list[RelaxationStep]:
        return await _beyond(info, ports.RELAXATION_STEPS, self.uid, first, after)

    @described("At each kept step: which terms have the energy, and which pull.")
    async def energy_budget(self, info: Info, first: int = MAX_PAGE, after: int = -1) -> list[EnergyBudget]:
        return await _beyond(info, ports.ENERGY_BUDGET, self.uid, first, after)

    @described("What became of each gate, by key.")
    async def gates(self, info: Info, first: int = MAX_PAGE) -> list[GateEvent]:
        return await info.context.catalog.related(ports.GATES_OF_RELAXATION, self.uid, page_size(first))

    @described("All gates together; null without gates.")
    async def gating_metrics(self, info: Info) -> GatingMetrics | None:
        found = await info.context.catalog.related(ports.GATING_METRICS, self.uid)
        return found[0] if found else None


@strawberry.type(description="Relaxes a coupling graph at every point of a grid.")
class SweepRun(Run):
    @described("What it found as a whole; null until it has.")
    async def outcome(self, info: Info) -> SweepOutcome | None:
        found = await info.context.catalog.related(ports.OUTCOME_OF_SWEEP, self.uid)
        return found[0] if found else None

    @described("Its points in order, as far as it is; `after` is the index of the last one seen.")
    async def points(self, info: Info, first: int = MAX_PAGE, after: int = -1) -> list[SweepPoint]:
        return await _beyond(info, ports.SWEEP_POINTS, self.uid, first, after)


@strawberry.type(description="Weighs modules that a coupling graph might be given.")
class ExpansionRun(Run):
    @described("What it found as a whole; null until it has.")
    async def outcome(self, info: Info) -> ExpansionOutcome | None:
        found = await info.context.catalog.related(ports.OUTCOME_OF_EXPANSION, self.uid)
        return found[0] if found else None

    @described("The candidates in their order.")
    async def candidates(self, info: Info, first: int = MAX_PAGE) -> list[ExpansionCandidate]:
        return await info.context.catalog.related(ports.CANDIDATES_OF_EXPANSION, self.uid, page_size(first))


@strawberry.type(description="Tests a hypothesis by experiments, which are its children, and gives a verdict.")
class ACERun(Run):
    @described("Its stages in order, as far as it is.")
    async def stages(self, info: Info, first: int = MAX_PAGE) -> list[Stage]:
        return await info.context.catalog.related(ports.STAGES, self.uid, page_size(first))

    @described("What the members of its shadow ensemble said, by round.")
    async def votes(self, info: Info, first: int = MAX_PAGE) -> list[Vote]:
        return await info.context.catalog.related(ports.VOTES, self.uid, page_size(first))

    @described("What it tests, the first of it first: several where it went on to what follows from a verdict.")
    async def tests(self, info: Info, first: int = DEFAULT_PAGE) -> list[HypothesisTest]:
        return await info.context.catalog.related(ports.TESTS_OF_RUN, self.uid, page_size(first))

    @described("What it was asked to test; null until it has begun.")
    async def hypothesis(self, info: Info) -> Hypothesis | None:
        found = await info.context.catalog.related(ports.TESTS_OF_RUN, self.uid)
        return await info.context.catalog.one(Hypothesis, found[0].hypothesis_uid) if found else None

    @described("What it found of that; null until it has settled it.")
    async def verdict(self, info: Info) -> Verdict | None:
        found = await info.context.catalog.related(ports.TESTS_OF_RUN, self.uid)
        return found[0].verdict if found else None

    @described("The evaluations that it looked at.")
    async def evidence(self, info: Info, first: int = DEFAULT_PAGE) -> list[Evaluation]:
        return await info.context.catalog.related(ports.CITED, self.uid, page_size(first))


@strawberry.type(description="Trains the members of a shadow ensemble, or lets them say what comes next.")
class ShadowRun(Run):
    pass


RUN_TYPES: dict[str, type[Run]] = {
    "generation": GenerationRun,
    "training": TrainingRun,
    "prediction": PredictionRun,
    "evaluation": EvaluationRun,
    "relaxation": RelaxationRun,
    "sweep": SweepRun,
    "expansion": ExpansionRun,
    "ace": ACERun,
    "shadows": ShadowRun,
}
"""The type of a run by its kind."""

NODE_TYPES: dict[str, type[Identified]] = {
    cls.__name__: cls for cls in (Domain, Sequence, Split, Model, Checkpoint, EnergySnapshot, Evaluation)
}
"""What a run may work on, by label."""


@strawberry.type(description="A change of a watched run.")
class RunProgress:
    uid: strawberry.ID
    state: RunState
    progress: float
    message: str
    seq: int
    attempt: int
    error_code: str | None
    error_message: str | None
