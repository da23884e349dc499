"""From the graph's maps to the API's types: the same names, with enumerations made of their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import strawberry

from graph.queries import leaks
from graph.queries.run_rows import RunRow
from schema.certificates import Certificate
from schema.coordination import ModuleEvent
from schema.enums import Forcing, Law, RunKind, RunState, SnapshotKind, Verdict
from schema.expansion import ExpansionCandidate, ExpansionOutcome
from schema.fields import Domain, Leak, Part, Segment, Sequence, Split
from schema.hypotheses import Evidence, Hypothesis, HypothesisTest, Stage, Vote
from schema.models import Checkpoint, Epoch, Model
from schema.outcomes import PredictionLog, Violation
from schema.predictions import Estimate, Evaluation, Evolution, LeadScore, Prediction, Step, Stretch
from schema.relaxation import EnergyBudget, GateEvent, GatingMetrics, RelaxationOutcome, RelaxationStep, Term
from schema.runs import NODE_TYPES, RUN_TYPES, Run, RunProgress, Use
from schema.snapshots import EnergySnapshot
from schema.sweep import SweepOutcome, SweepPoint

Present = Callable[[Mapping[str, Any]], Any]


def sequence(row: Mapping[str, Any]) -> Sequence:
    """A Sequence; its kind is that of its snapshots."""
    return Sequence(**{**row, "kind": SnapshotKind(row["kind"])})


def snapshot(row: Mapping[str, Any]) -> EnergySnapshot:
    """An EnergySnapshot of any kind."""
    return EnergySnapshot(**{**row, "kind": SnapshotKind(row["kind"])})


def run(row: Mapping[str, Any]) -> Run:
    """A Run, of the type of its kind."""
    return RUN_TYPES[row["kind"]](**{**row, "kind": RunKind(row["kind"]), "state": RunState(row["state"])})


def prediction(row: Mapping[str, Any]) -> Prediction:
    """A Prediction."""
    return Prediction(**{**row, "forcing": Forcing(row["forcing"])})


def lead_score(row: Mapping[str, Any]) -> LeadScore:
    """A LeadScore."""
    return LeadScore(**{**row, "forcing": Forcing(row["forcing"])})


def violation(row: Mapping[str, Any]) -> Violation:
    """A Violation."""
    return Violation(**{**row, "law": Law(row["law"])})


def hypothesis(row: Mapping[str, Any]) -> Hypothesis:
    """A Hypothesis."""
    return Hypothesis(**{**row, "verdict": Verdict(row["verdict"])})


def test(row: Mapping[str, Any]) -> HypothesisTest:
    """What one experiment made of one hypothesis."""
    return HypothesisTest(**{**row, "verdict": Verdict(row["verdict"]) if row["verdict"] else None})


def use(row: Mapping[str, Any]) -> Use:
    """A link from a run to what it works on; the label that has a type of its own says which."""
    label = next(label for label in row["labels"] if label in NODE_TYPES)
    return Use(role=row["role"], label=label, key=row["key"])


def energy_budget(row: Mapping[str, Any]) -> EnergyBudget:
    """An EnergyBudget, its terms by name."""
    terms = zip(row["names"], row["term_energy"], row["term_norm"], strict=True)
    kept = ("energy", "gain", "scale", "accepted", "backtracks", "margin", "noise")
    return EnergyBudget(
        step=row["index"],
        terms=[Term(name=name, energy=energy, gradient_norm=norm) for name, energy, norm in terms],
        **{name: row[name] for name in kept},
    )


def leak(found: leaks.Leak) -> Leak:
    """What leaks, with a line for people."""
    return Leak(
        kind=found.kind,
        message=str(found),
        roles=list(found.roles),
        sequence_uids=[strawberry.ID(uid) for uid in found.sequences],
        t_index=list(found.t_index),
    )


def plain(cls: type[Any]) -> Present:
    """A type whose fields are the map's as they are."""
    return lambda row: cls(**row)


NODES: Mapping[type[Any], tuple[str, Present]] = {
    Domain: ("Domain", plain(Domain)),
    Sequence: ("Sequence", sequence),
    Split: ("Split", plain(Split)),
    EnergySnapshot: ("EnergySnapshot", snapshot),
    Run: ("Run", run),
    **dict.fromkeys(RUN_TYPES.values(), ("Run", run)),
    Model: ("Model", plain(Model)),
    Checkpoint: ("Checkpoint", plain(Checkpoint)),
    Prediction: ("Prediction", prediction),
    Evaluation: ("Evaluation", plain(Evaluation)),
    Violation: ("Violation", violation),
    PredictionLog: ("PredictionLog", plain(PredictionLog)),
    Hypothesis: ("Hypothesis", hypothesis),
}
"""By type: the label to look under, and how to present it."""

RELATIONS: Mapping[str, Present] = {
    "next": snapshot,
    "previous": snapshot,
    "predictions_from": prediction,
    "evolves_to": plain(Evolution),
    "estimates": plain(Estimate),
    "estimated_by": plain(Estimate),
    "segments": plain(Segment),
    "sequence_run": run,
    "parts_of_sequence": plain(Part),
    "parts_of_split": plain(Part),
    "inputs": use,
    "epochs": plain(Epoch),
    "sequences_of_run": sequence,
    "certificate_of_run": plain(Certificate),
    "models_of_run": plain(Model),
    "checkpoints_of_run": plain(Checkpoint),
    "predictions_of_run": prediction,
    "evaluations_of_run": plain(Evaluation),
    "outcome_of_relaxation": plain(RelaxationOutcome),
    "gates_of_relaxation": plain(GateEvent),
    "gating_metrics": plain(GatingMetrics),
    "outcome_of_sweep": plain(SweepOutcome),
    "outcome_of_expansion": plain(ExpansionOutcome),
    "candidates_of_expansion": plain(ExpansionCandidate),
    "parent_run": run,
    "children": run,
    "stages": plain(Stage),
    "votes": plain(Vote),
    "tests_of_run": test,
    "cited": plain(Evaluation),
    "refines": hypothesis,
    "refined_by": hypothesis,
    "tests_of_hypothesis": test,
    "evidence": plain(Evidence),
    "checkpoints": plain(Checkpoint),
    "parent": plain(Checkpoint),
    "start": snapshot,
    "checkpoint": plain(Checkpoint),
    "steps": plain(Step),
    "prediction_run": run,
    "violations_of_prediction": violation,
    "logs_of_prediction": plain(PredictionLog),
    "violating_prediction": prediction,
    "violation_state": snapshot,
    "logged_prediction": prediction,
    "logged_truth": snapshot,
    "scored_checkpoint": plain(Checkpoint),
    "stretches": plain(Stretch),
    "evaluation_run": run,
    "leads": lead_score,
}
"""By relation: how to present what it leads to."""

LISTINGS: Mapping[str, Present] = {
    "domains": plain(Domain),
    "sequences": sequence,
    "snapshots": snapshot,
    "runs": run,
    "models": plain(Model),
    "checkpoints": plain(Checkpoint),
    "predictions": prediction,
    "evaluations": plain(Evaluation),
    "violations": violation,
    "prediction_logs": plain(PredictionLog),
    "relaxation_steps": plain(RelaxationStep),
    "energy_budget": energy_budget,
    "sweep_points": plain(SweepPoint),
    "module_events": plain(ModuleEvent),
    "hypotheses": hypothesis,
}
"""By listing: how to present its nodes."""


def submitted(row: RunRow) -> Run:
    """The Run of a row that `graph.queries.runs` has returned."""
    return run({field.name: getattr(row, field.name) for field in fields(Run) if field.init})


def progress(row: RunRow) -> RunProgress:
    """What a watcher sees of a row."""
    values = {field.name: getattr(row, field.name) for field in fields(RunProgress)}
    return RunProgress(**{**values, "state": RunState(row.state)})
