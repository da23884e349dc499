"""Experiments as they go: the stages of a run in order and its members' votes.

    spawn → compose → plan → schedule → execute → verify → report → retire
              ↑________________________________________│  (the next round)

    (ACERun)-[:STAGE]->(Stage)-[:THEN]->(Stage)      (ACERun)-[:VOTE]->(Vote)

A stage is begun behind the one before it, once that is done, and in no other order; an unfinished one is begun again
by whoever takes the run over. Each write is behind the run's fence, which also makes two writers take turns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, LiteralString, Protocol

from neo4j import AsyncManagedTransaction

from graph.errors import GraphError
from graph.gateway import Gateway
from graph.identity import canonical_json, stage_uid, vote_uid
from graph.queries.leases import Lease, fence
from graph.queries.numbers import finite
from graph.queries.rows import native, parsed

STAGES = ("spawn", "compose", "plan", "schedule", "execute", "verify", "report", "retire")
AFTER: Mapping[str | None, tuple[tuple[str, int], ...]] = {
    None: (("spawn", 1),),
    "spawn": (("compose", 0),),
    "compose": (("plan", 0),),
    "plan": (("schedule", 0),),
    "schedule": (("execute", 0),),
    "execute": (("verify", 0),),
    "verify": (("compose", 1), ("report", 0)),
    "report": (("retire", 0),),
    "retire": (),
}
"""By the last stage that is done (None: there is none): what may follow, and by how many rounds that is later."""


class Spent(Protocol):
    """What a stage took, and how that is known; None where nobody can say.

    `joules` and their `source` are for who reads; sums are made of what was measured and what was estimated, apart.
    """

    @property
    def joules(self) -> float | None: ...
    @property
    def seconds(self) -> float | None: ...
    @property
    def source(self) -> str | None: ...
    @property
    def measured(self) -> float | None: ...
    @property
    def estimated(self) -> float | None: ...
    # parts of whose energy nothing is known
    @property
    def unmetered(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """A stage as it was when it was read."""

    uid: str
    run: str
    name: str
    # its place among STAGES, from 1
    position: int
    # from 1
    round: int
    # RUNNING or DONE
    state: str
    # of the run, when it was last begun: beyond the first where a worker was lost in it
    attempt: int
    inputs: dict[str, Any]
    # {} until it is done
    outputs: dict[str, Any]
    started_at: datetime
    finished_at: datetime | None
    energy_joules: float | None
    energy_source: str | None
    energy_measured: float | None
    energy_estimated: float | None
    unmetered: int
    seconds: float | None

    @property
    def done(self) -> bool:
        """What came out is there."""
        return self.state == "DONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVote:
    """What a member of a shadow ensemble said in a round."""

    member: int
    # of its parameters
    sha256: str
    agrees: bool
    round: int = 1
    # predictions that it voted on, and those where it was one of the quorum
    starts: int | None = None
    agreed: int | None = None


def following(last: StageRow | None) -> tuple[tuple[str, int], ...]:
    """(name, round) of what may be begun behind `last`, which is itself as long as it is not done."""
    if last is None:
        return AFTER[None]
    if not last.done:
        return ((last.name, last.round),)
    return tuple((name, last.round + later) for name, later in AFTER[last.name])


async def begin_stage(gateway: Gateway, lease: Lease, *, name: str, round: int, inputs: Mapping[str, Any]) -> StageRow:
    """Begin a stage behind the last one; an unfinished one of this name and round is returned as it was begun.

    To retire again finds the stage that is there. Raises GraphError (ILLEGAL_STAGE) for any other order, LeaseLost.
    """
    parameters = {
        "run": lease.run,
        "uid": stage_uid(lease.run, round, name),
        "name": name,
        "round": round,
        "position": STAGES.index(name) + 1 if name in STAGES else 0,
        # (stage that must be done, its round); the first has none before it
        "before": [
            {"name": done, "round": round - later}
            for done, next_ones in AFTER.items()
            for each, later in next_ones
            if done is not None and each == name
        ],
        "first": (name, round) in AFTER[None],
        "inputs_json": canonical_json(finite(dict(inputs))).decode(),
    }

    async def work(tx: AsyncManagedTransaction) -> StageRow:
        await fence(tx, lease)
        begun = await (await tx.run(BEGIN, parameters)).single()
        if begun is None:
            raise await _illegal(tx, lease.run, f"{name} of round {round}")
        return _stage(begun["stage"])

    return await gateway.transact(work)


async def end_stage(
    gateway: Gateway, lease: Lease, stage: StageRow, *, outputs: Mapping[str, Any], spent: Spent | None
) -> StageRow:
    """Write what came out of a stage and what it took.

    To say the same again changes nothing, and a run retires once. Raises GraphError (ILLEGAL_STAGE) for a stage that is
    done otherwise, or is another run's, LeaseLost.
    """
    parameters = {
        "run": lease.run,
        "uid": stage.uid,
        "outputs_json": canonical_json(finite(dict(outputs))).decode(),
        "spent": {
            "energy_joules": None if spent is None else spent.joules,
            "energy_source": None if spent is None else spent.source,
            "energy_measured": None if spent is None else spent.measured,
            "energy_estimated": None if spent is None else spent.estimated,
            "unmetered": None if spent is None else spent.unmetered,
            "seconds": None if spent is None else spent.seconds,
        },
    }

    async def work(tx: AsyncManagedTransaction) -> StageRow:
        await fence(tx, lease)
        ended = await (await tx.run(END, parameters)).single()
        if ended is None:
            raise await _illegal(tx, lease.run, f"the end of {stage.name} of round {stage.round}")
        return _stage(ended["stage"])

    return await gateway.transact(work)


async def stages(gateway: Gateway, run: str) -> list[StageRow]:
    """The stages of a run in order."""
    return [_stage(row["stage"]) for row in await gateway.read(OF_RUN, run=run, limit=10_000)]


async def elapsed(gateway: Gateway, run: str) -> float:
    """Seconds since a run was first worked on, by the graph's clock."""
    rows = await gateway.read(ELAPSED, run=run)
    return float(rows[0]["seconds"]) if rows else 0.0


async def record_votes(gateway: Gateway, lease: Lease, votes: Sequence[NewVote]) -> None:
    """Write what members said; who votes again in the same round overwrites it. Raises LeaseLost."""
    rows = [{**asdict(vote), "uid": vote_uid(lease.run, vote.round, vote.member)} for vote in votes]

    async def work(tx: AsyncManagedTransaction) -> None:
        await fence(tx, lease)
        await (await tx.run(VOTE, run=lease.run, votes=rows)).consume()

    await gateway.transact(work)


def _stage(row: Mapping[str, Any]) -> StageRow:
    values = native(row)
    return StageRow(inputs=parsed(values.pop("inputs_json")), outputs=parsed(values.pop("outputs_json")), **values)


async def _illegal(tx: AsyncManagedTransaction, run: str, got: str) -> GraphError:
    rows = [record["stage"] async for record in await tx.run(OF_RUN, run=run, limit=10_000)]
    last = _stage(rows[-1]) if rows else None
    may = " or ".join(f"{name} of round {round}" for name, round in following(last)) or "nothing more"
    before = "at first" if last is None else f"behind {last.name} of round {last.round} ({last.state})"
    return GraphError(
        "ILLEGAL_STAGE",
        f"expected {may} {before} in run {run}, got {got}.",
        next_step="Read the run's stages and go on from the last.",
    )


_STAGE_ROW: LiteralString = """
RETURN s {.uid, .run, .name, .position, .round, .state, .attempt, .inputs_json, .outputs_json, .started_at,
  .finished_at, .energy_joules, .energy_source, .energy_measured, .energy_estimated, .seconds,
  unmetered: coalesce(s.unmetered, 0)} AS stage
"""

BEGIN: LiteralString = (
    """
MATCH (r:Run {uid: $run})
CALL (r) {
  OPTIONAL MATCH (s:Stage) WHERE s.run = $run AND s.round >= 1 AND s.position >= 1
  RETURN s AS last ORDER BY s.round DESC, s.position DESC LIMIT 1
}
WITH r, last
WHERE CASE
  WHEN last IS NULL THEN $first
  WHEN last.uid = $uid THEN last.state = 'RUNNING' OR last.name = 'retire'
  ELSE last.state = 'DONE' AND any(each IN $before WHERE each.name = last.name AND each.round = last.round)
END
MERGE (s:Stage {uid: $uid})
ON CREATE SET s.run = $run, s.name = $name, s.round = $round, s.position = $position, s.state = 'RUNNING',
  s.inputs_json = $inputs_json, s.started_at = datetime()
MERGE (r)-[:STAGE]->(s)
FOREACH (before IN CASE WHEN last IS NULL OR last.uid = $uid THEN [] ELSE [last] END | MERGE (before)-[:THEN]->(s))
FOREACH (_ IN CASE WHEN s.state = 'RUNNING' THEN [1] ELSE [] END | SET s.attempt = r.attempt, r.seq = r.seq + 1)
"""
    + _STAGE_ROW
)

END: LiteralString = (
    """
MATCH (r:Run {uid: $run})
MATCH (s:Stage {uid: $uid})
WHERE s.run = $run AND (s.state = 'RUNNING' OR s.outputs_json = $outputs_json OR s.name = 'retire')
FOREACH (_ IN CASE WHEN s.state = 'RUNNING' THEN [1] ELSE [] END |
  SET s.state = 'DONE', s.outputs_json = $outputs_json, s.finished_at = datetime(), s += $spent, r.seq = r.seq + 1)
"""
    + _STAGE_ROW
)

OF_RUN: LiteralString = (
    "MATCH (s:Stage) WHERE s.run = $run AND s.round >= 1 AND s.position >= 1"
    + _STAGE_ROW
    + "ORDER BY s.round, s.position LIMIT $limit"
)

ELAPSED: LiteralString = """
MATCH (r:Run {uid: $run})
RETURN duration.inSeconds(coalesce(r.started_at, datetime()), datetime()).milliseconds / 1000.0 AS seconds LIMIT 1
"""

VOTE: LiteralString = """
MATCH (r:Run {uid: $run})
UNWIND $votes AS vote
MERGE (v:Vote {uid: vote.uid})
ON CREATE SET v.at = datetime()
SET v += vote, v.run = $run
MERGE (r)-[:VOTE]->(v)
"""
