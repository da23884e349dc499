"""Enumerations of the API; their values are what the graph stores."""

from __future__ import annotations

from enum import Enum

import strawberry


@strawberry.enum(description="Where a snapshot comes from.")
class SnapshotKind(Enum):
    OBSERVED = "Observed"
    SIMULATED = "Simulated"
    PREDICTED = "Predicted"


@strawberry.enum(description="What a run does.")
class RunKind(Enum):
    GENERATION = "generation"
    TRAINING = "training"
    EVALUATION = "evaluation"
    PREDICTION = "prediction"
    RELAXATION = "relaxation"
    SWEEP = "sweep"
    EXPANSION = "expansion"
    ACE = "ace"
    SHADOWS = "shadows"


@strawberry.enum(description="Where a run is in its life; nothing follows SUCCEEDED, FAILED and CANCELLED.")
class RunState(Enum):
    QUEUED = "QUEUED"
    LEASED = "LEASED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        """No state follows."""
        return self in (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)


@strawberry.enum(description="A law that a prediction may break; ENERGY_DRIFT is of a whole rollout.")
class Law(Enum):
    NOT_FINITE = "not finite"
    NEGATIVE = "negative"
    ENERGY = "energy"
    ENERGY_DRIFT = "energy drift"
    ENTROPY = "entropy"


@strawberry.enum(description="How large the networks of a shadow ensemble are; SAME: as the model under test.")
class ShadowSize(Enum):
    TINY = "tiny"
    SMALL = "small"
    BASE = "base"
    SAME = "same"


@strawberry.enum(description="What became of a hypothesis.")
class Verdict(Enum):
    UNTESTED = "untested"
    SUPPORTED = "supported"
    REFUTED = "refuted"
    UNDETERMINED = "undetermined"


@strawberry.enum(description="What energy vectors are added up by.")
class LogGroup(Enum):
    DOMAIN = "domain"
    REGIME = "regime"


@strawberry.enum(
    description="External inputs of a rollout: FROZEN as at its start, or RECORDED as they came later (an oracle)."
)
class Forcing(Enum):
    FROZEN = "frozen"
    RECORDED = "recorded"
