"""Models: the graph's nodes and relations as neomodel classes, for reading and writing single nodes.

They declare; the migrations create. Lists, bulk and whatever is contended go through `graph.queries`.
"""

from __future__ import annotations

from graph.models.ace import ACERun, Hypothesis, Stage, Vote
from graph.models.certificate import Certificate
from graph.models.coordination import CouplingGraph, Delta, ModuleEvent, OrderParameter
from graph.models.domain import Domain
from graph.models.expansion import ExpansionCandidate, ExpansionRun
from graph.models.model import Checkpoint, Epoch, Model
from graph.models.outcome import PredictionLog, Violation
from graph.models.prediction import Evaluation, Prediction
from graph.models.relaxation import GateEvent, RelaxationRun, RelaxationStep
from graph.models.run import EvaluationRun, GenerationRun, PredictionRun, Run, ShadowRun, TrainingRun
from graph.models.sequence import Segment, Sequence, Split
from graph.models.snapshot import EnergySnapshot, Observed, Predicted, Simulated
from graph.models.sweep import SweepPoint, SweepRun

__all__ = [
    "ACERun",
    "Certificate",
    "Checkpoint",
    "CouplingGraph",
    "Delta",
    "Domain",
    "EnergySnapshot",
    "Epoch",
    "Evaluation",
    "EvaluationRun",
    "ExpansionCandidate",
    "ExpansionRun",
    "GateEvent",
    "GenerationRun",
    "Hypothesis",
    "Model",
    "ModuleEvent",
    "Observed",
    "OrderParameter",
    "Predicted",
    "Prediction",
    "PredictionLog",
    "PredictionRun",
    "RelaxationRun",
    "RelaxationStep",
    "Run",
    "Segment",
    "Sequence",
    "ShadowRun",
    "Simulated",
    "Split",
    "Stage",
    "SweepPoint",
    "SweepRun",
    "TrainingRun",
    "Violation",
    "Vote",
]
