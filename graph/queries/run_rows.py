"""What a Run is: its states as data, its row, and the answer to a sign of life."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graph.errors import GraphError
from graph.queries.leases import Lease

TRANSITIONS: Mapping[str, frozenset[str]] = {
    "QUEUED": frozenset({"LEASED", "CANCELLED"}),
    "LEASED": frozenset({"RUNNING", "QUEUED", "FAILED", "CANCELLED"}),
    "RUNNING": frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "QUEUED"}),
    "SUCCEEDED": frozenset(),
    "FAILED": frozenset(),
    "CANCELLED": frozenset(),
}
TERMINAL_STATES = frozenset(state for state, after in TRANSITIONS.items() if not after)
RUN_LABELS: Mapping[str, str] = {
    "generation": "GenerationRun",
    "training": "TrainingRun",
    "evaluation": "EvaluationRun",
    "prediction": "PredictionRun",
    "relaxation": "RelaxationRun",
    "sweep": "SweepRun",
    "expansion": "ExpansionRun",
}
CAPABILITIES = ("batch", "interactive")
OUTCOME_FIELDS = frozenset(
    {"progress", "message", "error_code", "error_message", "device", "code_version", "energy_joules", "energy_source"}
)
"""What a transition may set beside the state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A Run as it was when it was read."""

    uid: str
    # one of RUN_LABELS
    kind: str
    state: str
    # which worker may claim it: batch or interactive
    capability: str
    config: dict[str, Any]
    dedup_key: str | None
    rng_seed: int
    # 1 for the first
    attempt: int
    # the fence; None unless LEASED or RUNNING
    lease_token: str | None
    lease_until: datetime | None
    worker: str | None
    cancel_requested: bool
    # 0 … 1
    progress: float
    message: str
    # grows with every change that a watcher should see
    seq: int
    device: str | None
    code_version: str | None
    energy_joules: float | None
    energy_source: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error_code: str | None
    error_message: str | None
    # it happened without this graph and was imported
    offline: bool

    @property
    def finished(self) -> bool:
        """No state follows."""
        return self.state in TERMINAL_STATES

    @property
    def lease(self) -> Lease:
        """The right to write for this run; only whoever claimed it has one."""
        if self.lease_token is None:
            raise GraphError("NOT_LEASED", f"expected a leased run, got {self.uid!r} in state {self.state}.")
        return Lease(self.uid, self.lease_token)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The answer to a sign of life: the lease holds until `lease_until`, and somebody may want the run to stop."""

    cancel_requested: bool
    lease_until: datetime
    seq: int
