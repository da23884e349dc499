"""Provenance: what a run took in, what it left and what that was made of, each with the hash of what it holds.

    (Run)-[:USED {role}]->(input)      (output)-[:WAS_GENERATED_BY]->(Run)
    (Run)-[:WAS_INFORMED_BY]->(Run)    (child Run)-[:PART_OF]->(parent Run)

Files have the sha256 of their bytes; a node that stands for no file has that of a record of what cannot change
any more once its run has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, LiteralString

from graph import identity
from graph.gateway import Gateway
from graph.queries import runs
from graph.queries.catalog import plain
from graph.queries.run_rows import RunRow

MOST = 10_000
"""Nodes of one kind of one run that are looked at; `Provenance.cut` says where there were more."""
OUTCOME = "outcome"
"""Role of what a run knows of its own end: epochs, steps, points, candidates, gates, stages, votes, verdicts."""
_EXPERIMENT = ("tested", "staged", "voted")
"""Parts of that which only some runs have: they count where they are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """A node that a run took in or left."""

    label: str
    uid: str
    # of an input: as what; of an output: made, found or outcome
    role: str
    sha256: str
    # what its kind is filtered and compared by
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A predicted state: what it follows from, and what came of it."""

    uid: str
    prediction: str
    lead: int
    member: int | None
    sha256: str
    # uid of the state one lead before, which is the start at lead 1
    previous: str | None
    truth: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A prediction: one call of checkpoints from one state."""

    uid: str
    start: str | None
    start_sha256: str | None
    checkpoints: tuple[tuple[str, str], ...]
    # laws that its steps break; None where they were never checked
    violation_count: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """A run and all around it, in an order of its own: twice the same where nothing has changed."""

    run: RunRow
    inputs: tuple[Thing, ...]
    outputs: tuple[Thing, ...]
    calls: tuple[Call, ...]
    states: tuple[State, ...]
    # (later, earlier) by uid: what an output was derived from
    derived: tuple[tuple[str, str], ...]
    # (collection, member) by uid: sequences of a split
    members: tuple[tuple[str, str], ...]
    informed_by: tuple[str, ...]
    parent: str | None
    # of an ACE run: attempts of whose energy nothing is known, of the runs that were made for it
    unmetered_parts: int
    # of an ACE run: what it found of each hypothesis, its stages in order, and the votes of its last round
    hypotheses: tuple[Mapping[str, Any], ...]
    stages: tuple[Mapping[str, Any], ...]
    votes: tuple[Mapping[str, Any], ...]
    # labels of which there were more than MOST
    cut: tuple[str, ...]


async def provenance(gateway: Gateway, uid: str) -> Provenance:
    """All that the graph knows of where a run's outputs come from; raises NotFound."""
    run = await runs.run(gateway, uid)
    inputs = await gateway.read(_INPUTS, run=uid, limit=MOST)
    outputs = await gateway.read(_OUTPUTS, run=uid, limit=MOST)
    parts = await runs.children(gateway, uid, own=True) if run.kind == "ace" else ()
    (around,) = await gateway.read(_AROUND, run=uid, limit=MOST)
    states = await gateway.read(_STATES, run=uid, limit=MOST)
    things = tuple(_thing(row) for row in outputs)
    outcome = {name: value for name, value in plain(around["outcome"]).items() if value or name not in _EXPERIMENT}
    if any(value not in (None, []) for value in outcome.values()):
        things += (Thing(label="Run", uid=uid, role=OUTCOME, sha256=identity.digest(outcome)),)
    named = {
        "inputs": inputs,
        "outputs": outputs,
        "states": states,
        **{k: v for k, v in outcome.items() if type(v) is list},
    }
    return Provenance(
        run=run,
        inputs=tuple(_thing(row) for row in inputs),
        outputs=things,
        calls=tuple(_call(row) for row in around["calls"]),
        states=tuple(State(**row["state"]) for row in states),
        derived=tuple((later, earlier) for later, earlier in around["derived"]),
        members=tuple((whole, part) for whole, part in around["members"]),
        informed_by=tuple(around["informed_by"]),
        parent=around["parent"],
        unmetered_parts=sum(part.unmetered for part in parts),
        hypotheses=tuple(plain(row) for row in around["hypotheses"]),
        stages=tuple(plain(row) for row in around["stages"]),
        votes=tuple(plain(row) for row in around["votes"]),
        cut=tuple(name for name, rows in named.items() if len(rows) >= MOST),
    )


def _thing(row: Mapping[str, Any]) -> Thing:
    return Thing(
        label=row["label"],
        uid=row["uid"],
        role=row["role"],
        sha256=row["sha256"] or identity.digest(plain(row["record"])),
        properties=plain(row["properties"]),
    )


def _call(row: Mapping[str, Any]) -> Call:
    checkpoints = tuple((uid, sha256) for uid, sha256 in row["checkpoints"])
    return Call(**{**row, "checkpoints": checkpoints})


# `record` is what the hash of a node is taken of where it has none of its own
_THING: LiteralString = """
RETURN head([label IN labels(n) WHERE NOT label IN ['Observed', 'Simulated', 'Predicted']]) AS label,
  coalesce(n.uid, n.name) AS uid, role,
  coalesce(n.sha256, CASE WHEN n:Sequence THEN n.digest WHEN n:CouplingGraph THEN r.graph_digest END) AS sha256,
  CASE
    WHEN n:Split THEN n {.uid, .kind, .gap,
      parts: COLLECT { MATCH (n)-[part:HAS_PART]->(s:Sequence) RETURN [part.role, s.uid, part.first, part.last]
        ORDER BY part.role, s.uid, part.first LIMIT $limit }}
    WHEN n:Model THEN n {.uid, .architecture, .domain, .split, .config_json, .rng_seed, .code_version, .data_digest}
    WHEN n:Domain THEN n {.name, .closed, .second_law, .boundary_x, .boundary_y, .units, .dx, .dy, .dt, .source_model}
    WHEN n:Prediction THEN n {.uid, .steps, .members, .forcing,
      states: COLLECT { MATCH (n)-[link:PREDICTS]->(e:Predicted)
        RETURN [link.lead, e.member, e.sha256, e.spread_sha256] ORDER BY link.lead, e.member LIMIT $limit }}
    WHEN n:Evaluation THEN n {.uid, .domain, .scores_json, .rollout_json}
    ELSE n {.uid, .name}
  END AS record,
  n {.name, .kind, .gap, .domain, .source, .generator, .origin, .length, .height, .width, .uri, .step, .epoch,
    .model, .val_fidelity, .architecture, .parameter_count, .data_digest, .best_checkpoint, .steps, .members, .forcing,
    .fidelity, .vrmse, .persistence, .n, .t_index, .t, .valid_time, .removed_at, .created_at} AS properties
ORDER BY label, role, uid LIMIT $limit
"""

_INPUTS: LiteralString = "MATCH (r:Run {uid: $run})-[link:USED]->(n) WITH r, n, link.role AS role" + _THING

_OUTPUTS: LiteralString = (
    """
MATCH (r:Run {uid: $run})<-[link:WAS_GENERATED_BY]-(n)
WITH r, n, CASE WHEN coalesce(link.found, false) THEN 'found' ELSE 'made' END AS role
"""
    + _THING
)

_AROUND: LiteralString = """
MATCH (r:Run {uid: $run})
RETURN
  COLLECT { MATCH (r)<-[:WAS_GENERATED_BY]-(p:Prediction)
    RETURN p {.uid, .violation_count,
      start: COLLECT { MATCH (p)-[:FROM]->(s) RETURN s.uid LIMIT 1 }[0],
      start_sha256: COLLECT { MATCH (p)-[:FROM]->(s) RETURN s.sha256 LIMIT 1 }[0],
      checkpoints: COLLECT { MATCH (p)-[:BY]->(c) RETURN [c.uid, c.sha256] ORDER BY c.uid LIMIT $limit }}
    ORDER BY p.uid LIMIT $limit } AS calls,
  COLLECT { MATCH (r)<-[:WAS_GENERATED_BY]-(n)-[:WAS_DERIVED_FROM]->(earlier)
    RETURN [n.uid, earlier.uid] ORDER BY n.uid LIMIT $limit } AS derived,
  COLLECT { MATCH (r)-[:USED]->(p:Split)-[:HAS_PART]->(s:Sequence)
    RETURN DISTINCT [p.uid, s.uid] AS pair ORDER BY pair LIMIT $limit } AS members,
  COLLECT { MATCH (r)-[:WAS_INFORMED_BY]->(o:Run) RETURN o.uid ORDER BY o.uid LIMIT $limit } AS informed_by,
  COLLECT { MATCH (r)-[:PART_OF]->(o:Run) RETURN o.uid LIMIT 1 }[0] AS parent,
  COLLECT { MATCH (r)<-[test:TESTED_BY]-(h:Hypothesis)
    RETURN h {.uid, .text, .claim_json, prior: test.prior, weight: test.weight, settled_at: test.settled_at,
      credence: coalesce(test.credence, h.credence), verdict: coalesce(test.verdict, h.verdict)}
    ORDER BY h.uid LIMIT $limit } AS hypotheses,
  COLLECT { MATCH (r)-[:STAGE]->(s:Stage)
    RETURN s {.uid, .name, .round, .state, .started_at, .finished_at, .energy_joules, .energy_source, .seconds,
      .outputs_json}
    ORDER BY s.round, s.position, s.started_at, s.name LIMIT $limit } AS stages,
  COLLECT { MATCH (r)-[:VOTE]->(v:Vote)
    WITH collect(v) AS votes, max(v.round) AS last
    UNWIND votes AS v
    WITH v, last WHERE last IS NULL OR v.round = last
    RETURN v {.uid, .member, .round, .sha256, .agrees} ORDER BY v.member LIMIT $limit } AS votes,
  r {.status, .initial_energy, .energy, .residual, .steps, .accepted, .rejected, .backtracks, .delta_f90, .written_back,
    .spent, .budget, .snapped_energy, .keys, .terms, .eta, .axes, .points, .best, .gamma, .tau, .survivors, .applied,
    epochs: COLLECT { MATCH (r)-[:EPOCH]->(e:Epoch)
      RETURN [e.epoch, e.step, e.train_loss, e.val_loss, e.val_fidelity, e.learning_rate]
      ORDER BY e.epoch, e.step LIMIT $limit },
    trail: COLLECT { MATCH (s:RelaxationStep {run: $run}) WHERE s.index >= 0
      RETURN [s.index, s.energy, s.gradient_norm, s.accepted, s.eta] ORDER BY s.index LIMIT $limit },
    grid: COLLECT { MATCH (p:SweepPoint {run: $run}) WHERE p.index >= 0
      RETURN [p.index, p.status, p.energy, p.at, p.eta] ORDER BY p.index LIMIT $limit },
    candidates: COLLECT { MATCH (r)-[:WEIGHS]->(c:ExpansionCandidate)
      RETURN [c.index, c.key, c.energy_before, c.energy_after, c.accepted] ORDER BY c.index LIMIT $limit },
    gates: COLLECT { MATCH (r)-[:DECIDED]->(g:GateEvent)
      RETURN [g.key, g.eta, g.net, g.opened, g.refusal] ORDER BY g.key LIMIT $limit },
    tested: COLLECT { MATCH (r)<-[t:TESTED_BY]-(h:Hypothesis) WHERE t.settled_at IS NOT NULL
      RETURN [h.uid, h.text, h.claim_json, t.verdict, t.prior, t.credence, t.weight, t.verdict_json]
      ORDER BY h.uid LIMIT $limit },
    staged: COLLECT { MATCH (r)-[:STAGE]->(s:Stage) WHERE s.round >= 1
      RETURN [s.round, s.name, s.state, s.inputs_json, s.outputs_json, s.energy_joules, s.energy_source]
      ORDER BY s.round, s.position LIMIT $limit },
    voted: COLLECT { MATCH (r)-[:VOTE]->(v:Vote) WHERE v.round >= 1
      RETURN [v.round, v.member, v.sha256, v.agrees, v.starts, v.agreed] ORDER BY v.round, v.member LIMIT $limit }
  } AS outcome
LIMIT 1
"""

_STATES: LiteralString = """
MATCH (:Run {uid: $run})<-[:WAS_GENERATED_BY]-(p:Prediction)-[link:PREDICTS]->(e:Predicted)
RETURN e {.uid, .sha256, .member, prediction: p.uid, lead: link.lead,
  previous: COLLECT { MATCH (e)<-[step:EVOLVES_TO {prediction: p.uid}]-(b) RETURN b.uid LIMIT 1 }[0],
  truth: COLLECT { MATCH (e)-[:ESTIMATES]->(t) RETURN t.uid LIMIT 1 }[0]} AS state
ORDER BY state.prediction, state.lead, state.member LIMIT $limit
"""
