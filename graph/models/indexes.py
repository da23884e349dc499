"""Indexes over several properties, and over those a second label inherits, which neomodel cannot declare.

Each is (label, properties); its name is `index_{label}_{properties joined by _}`, as neomodel would call it.
Keyset pages walk (domain, t_index, uid) of one origin; time windows seek (sequence, t_index).
"""

from __future__ import annotations

COMPOSITE_INDEXES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("EnergySnapshot", ("sequence", "t_index")),
    ("Observed", ("domain", "t_index", "uid")),
    ("Simulated", ("domain", "t_index", "uid")),
    ("Predicted", ("domain", "t_index", "uid")),
    ("Observed", ("uid",)),
    ("Simulated", ("uid",)),
    ("Predicted", ("uid",)),
    ("Sequence", ("domain", "uid")),
    ("Run", ("state", "capability", "rank", "not_before")),
    ("Run", ("kind", "state", "finished_at")),
    ("Run", ("state", "lease_until")),
    ("Model", ("domain", "uid")),
    ("Checkpoint", ("model", "step")),
    ("Evaluation", ("domain", "uid")),
    ("Evaluation", ("domain", "fidelity")),
    ("Violation", ("domain", "uid")),
    ("Violation", ("law", "uid")),
    ("PredictionLog", ("domain", "uid")),
    ("PredictionLog", ("regime", "uid")),
    ("RelaxationStep", ("run", "index")),
    ("SweepPoint", ("run", "index")),
    ("ModuleEvent", ("graph", "uid")),
    ("Hypothesis", ("domain", "uid")),
    ("Hypothesis", ("verdict", "uid")),
    ("Stage", ("run", "round", "position")),
)


def index_name(label: str, properties: tuple[str, ...]) -> str:
    """The name under which a migration creates the index."""
    return f"index_{label}_{'_'.join(properties)}"
