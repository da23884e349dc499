"""What a Run is: its states as data, its row, how queries project it, and the answer to a sign of life."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from graph.errors import GraphError
from graph.queries.leases import Lease
from graph.queries.rows import native, parsed

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
    "ace": "ACERun",
    "shadows": "ShadowRun",
}
CAPABILITIES = ("batch", "interactive", "orchestration")
"""Which worker may take a run. One of orchestration computes nothing: it makes runs for the others and waits."""
OUTCOME_FIELDS = frozenset(
    {"progress", "message", "error_code", "error_message", "device", "code_version", "energy_joules", "energy_source"}
)
"""What a transition may set beside the state; energy is that of the attempt that ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A Run as it was when it was read."""

    uid: str
    # one of RUN_LABELS
    kind: str
    state: str
    # which worker may claim it: one of CAPABILITIES
    capability: str
    config: dict[str, Any]
    dedup_key: str | None
    rng_seed: int
    # higher ones are claimed first
    priority: int
    # of a child: the run that asked for it, the first of them where several did
    parent: str | None
    # 1 for the first
    attempt: int
    # how many of those before ended with the loss of the worker, a crash or an outage, and not by being handed back
    losses: int
    # QUEUED: nobody claims it before
    not_before: datetime | None
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
    # RUNNING, over all attempts that have ended, and how much of that it may take
    seconds: float
    time_limit: float | None
    # over all attempts; None where their sources differ, for then there is no sum
    energy_joules: float | None
    # the one source, or "mixed"
    energy_source: str | None
    energy_measured: float | None
    energy_estimated: float | None
    # attempts of whose energy nothing is known
    unmetered: int
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

    @property
    def seconds_left(self) -> float | None:
        """What the time limit leaves to the next attempt; None without one."""
        return None if self.time_limit is None else self.time_limit - self.seconds


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The answer to a sign of life: the lease holds until `lease_until`, and somebody may want the run to stop."""

    cancel_requested: bool
    lease_until: datetime
    seq: int


def run_of(row: Mapping[str, Any]) -> RunRow:
    """The RunRow of what `RUN_ROW` returns."""
    values = native(row["run"])
    return RunRow(config=parsed(values.pop("config_json")), **values)


RUN_ROW: LiteralString = """
RETURN r {.uid, .kind, .state, .capability, .config_json, .dedup_key, .rng_seed, .attempt, .not_before, .lease_token,
  .lease_until, .worker, .cancel_requested, .progress, .message, .seq, .device, .code_version, .time_limit,
  .energy_joules, .energy_source, .energy_measured, .energy_estimated, .created_at, .started_at, .finished_at,
  .error_code, .error_message, priority: coalesce(r.priority, 0), seconds: coalesce(r.seconds, 0.0),
  losses: coalesce(r.losses, r.attempt - 1), unmetered: coalesce(r.unmetered, 0), offline: coalesce(r.offline, false),
  parent: head(COLLECT { MATCH (r)-[:PART_OF]->(parent:Run) RETURN parent.uid ORDER BY parent.uid LIMIT 1 })} AS run
"""
