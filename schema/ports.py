"""Ports: what the types need from whoever runs them. They hold data and know nothing of Neo4j.

A `Relation` is one step through the graph from a node to others, a `Listing` one list in a fixed order; both are only
names with a type. `resolvers/graphql` answers them, for each request by the `catalog` of `info.context`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from strawberry.types import Info as StrawberryInfo

if TYPE_CHECKING:
    from schema.certificates import Certificate
    from schema.connection import Connection
    from schema.coordination import ModuleEvent
    from schema.expansion import ExpansionCandidate, ExpansionOutcome
    from schema.fields import Domain, Leak, Part, Segment, Sequence
    from schema.hypotheses import Evidence, Hypothesis, HypothesisTest, Stage, Vote
    from schema.models import Checkpoint, Epoch, Model
    from schema.outcomes import PredictionLog, Violation
    from schema.predictions import Estimate, Evaluation, Evolution, LeadScore, Prediction, Step, Stretch
    from schema.relaxation import EnergyBudget, GateEvent, GatingMetrics, RelaxationOutcome, RelaxationStep
    from schema.runs import Run, Use
    from schema.snapshots import EnergySnapshot
    from schema.sweep import SweepOutcome, SweepPoint

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Relation(Generic[T_co]):
    """From a node's uid to some nodes (or links) of one type."""

    name: str


@dataclass(frozen=True, slots=True)
class Listing(Generic[T_co]):
    """A list of one type in a fixed order, narrowed by filters of its own."""

    name: str


class Catalog(Protocol):
    """Reads of one request; calls made together travel together."""

    async def one(self, of: type[T], key: str, /) -> T | None:
        """The node of this type under its uid (a Domain under its name)."""
        ...

    async def related(self, relation: Relation[T], uid: str, /, first: int = 1) -> list[T]:
        """Up to `first` nodes that are related to `uid`, in the relation's order."""
        ...

    async def leaks(self, split: str, /, first: int) -> list[Leak]:
        """What leaks between the roles of a split, up to `first` of each kind."""
        ...

    async def page(self, listing: Listing[T], /, *, first: int, after: str | None, **where: Any) -> Connection[T]:
        """The page of up to `first` nodes after the cursor; filters that are None do not narrow."""
        ...


class Context(Protocol):
    """What every resolver finds in `info.context`."""

    @property
    def catalog(self) -> Catalog: ...


Info: TypeAlias = StrawberryInfo[Context, None]

# from a snapshot
NEXT: Relation[EnergySnapshot] = Relation("next")
PREVIOUS: Relation[EnergySnapshot] = Relation("previous")
PREDICTIONS_FROM: Relation[Prediction] = Relation("predictions_from")
EVOLVES_TO: Relation[Evolution] = Relation("evolves_to")
ESTIMATES: Relation[Estimate] = Relation("estimates")
ESTIMATED_BY: Relation[Estimate] = Relation("estimated_by")
# from a sequence
SEGMENTS: Relation[Segment] = Relation("segments")
PARTS_OF_SEQUENCE: Relation[Part] = Relation("parts_of_sequence")
SEQUENCE_RUN: Relation[Run] = Relation("sequence_run")
# from a split
PARTS_OF_SPLIT: Relation[Part] = Relation("parts_of_split")
# from a run
INPUTS: Relation[Use] = Relation("inputs")
CERTIFICATE_OF_RUN: Relation[Certificate] = Relation("certificate_of_run")
EPOCHS: Relation[Epoch] = Relation("epochs")
SEQUENCES_OF_RUN: Relation[Sequence] = Relation("sequences_of_run")
MODELS_OF_RUN: Relation[Model] = Relation("models_of_run")
CHECKPOINTS_OF_RUN: Relation[Checkpoint] = Relation("checkpoints_of_run")
PREDICTIONS_OF_RUN: Relation[Prediction] = Relation("predictions_of_run")
EVALUATIONS_OF_RUN: Relation[Evaluation] = Relation("evaluations_of_run")
OUTCOME_OF_RELAXATION: Relation[RelaxationOutcome] = Relation("outcome_of_relaxation")
GATES_OF_RELAXATION: Relation[GateEvent] = Relation("gates_of_relaxation")
GATING_METRICS: Relation[GatingMetrics] = Relation("gating_metrics")
OUTCOME_OF_SWEEP: Relation[SweepOutcome] = Relation("outcome_of_sweep")
OUTCOME_OF_EXPANSION: Relation[ExpansionOutcome] = Relation("outcome_of_expansion")
CANDIDATES_OF_EXPANSION: Relation[ExpansionCandidate] = Relation("candidates_of_expansion")
PARENT_RUN: Relation[Run] = Relation("parent_run")
CHILDREN: Relation[Run] = Relation("children")
STAGES: Relation[Stage] = Relation("stages")
VOTES: Relation[Vote] = Relation("votes")
TESTS_OF_RUN: Relation[HypothesisTest] = Relation("tests_of_run")
CITED: Relation[Evaluation] = Relation("cited")
# from a hypothesis
REFINES: Relation[Hypothesis] = Relation("refines")
REFINED_BY: Relation[Hypothesis] = Relation("refined_by")
TESTS_OF_HYPOTHESIS: Relation[HypothesisTest] = Relation("tests_of_hypothesis")
EVIDENCE: Relation[Evidence] = Relation("evidence")
# from a model or checkpoint
CHECKPOINTS: Relation[Checkpoint] = Relation("checkpoints")
PARENT: Relation[Checkpoint] = Relation("parent")
# from a prediction
START: Relation[EnergySnapshot] = Relation("start")
CHECKPOINT: Relation[Checkpoint] = Relation("checkpoint")
STEPS: Relation[Step] = Relation("steps")
PREDICTION_RUN: Relation[Run] = Relation("prediction_run")
VIOLATIONS_OF_PREDICTION: Relation[Violation] = Relation("violations_of_prediction")
LOGS_OF_PREDICTION: Relation[PredictionLog] = Relation("logs_of_prediction")
# from a violation or log
VIOLATING_PREDICTION: Relation[Prediction] = Relation("violating_prediction")
VIOLATION_STATE: Relation[EnergySnapshot] = Relation("violation_state")
LOGGED_PREDICTION: Relation[Prediction] = Relation("logged_prediction")
LOGGED_TRUTH: Relation[EnergySnapshot] = Relation("logged_truth")
# from an evaluation
SCORED_CHECKPOINT: Relation[Checkpoint] = Relation("scored_checkpoint")
STRETCHES: Relation[Stretch] = Relation("stretches")
EVALUATION_RUN: Relation[Run] = Relation("evaluation_run")
LEADS: Relation[LeadScore] = Relation("leads")

DOMAINS: Listing[Domain] = Listing("domains")
SEQUENCES: Listing[Sequence] = Listing("sequences")
SNAPSHOTS: Listing[EnergySnapshot] = Listing("snapshots")
RUNS: Listing[Run] = Listing("runs")
MODELS: Listing[Model] = Listing("models")
ALL_CHECKPOINTS: Listing[Checkpoint] = Listing("checkpoints")
PREDICTIONS: Listing[Prediction] = Listing("predictions")
EVALUATIONS: Listing[Evaluation] = Listing("evaluations")
VIOLATIONS: Listing[Violation] = Listing("violations")
PREDICTION_LOGS: Listing[PredictionLog] = Listing("prediction_logs")
RELAXATION_STEPS: Listing[RelaxationStep] = Listing("relaxation_steps")
ENERGY_BUDGET: Listing[EnergyBudget] = Listing("energy_budget")
SWEEP_POINTS: Listing[SweepPoint] = Listing("sweep_points")
MODULE_EVENTS: Listing[ModuleEvent] = Listing("module_events")
HYPOTHESES: Listing[Hypothesis] = Listing("hypotheses")
