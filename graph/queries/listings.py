"""Lists of the API: keyset pages, each one Cypher that starts at a key, not at an offset.

Content is listed by uid, events latest first (a UUIDv7 sorts by time), snapshots by (t_index, uid), the checkpoints of
a model latest step first. A cursor holds the key of the last node seen; its page is the `$limit` nodes that follow.
"""

from __future__ import annotations

import base64
from asyncio import gather
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import orjson

from graph.errors import GraphError
from graph.gateway import Gateway
from graph.queries import projections as as_
from graph.queries.catalog import plain

LEAST, GREATEST = -(2**63), 2**63 - 1
"""Beyond all integers that a property can hold."""


@dataclass(frozen=True, slots=True)
class Keyset:
    """One list in one order; its queries take the key as parameters, and `start` is the key before the first node."""

    page: LiteralString
    count: LiteralString
    start: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """A node's map and the cursor that names it."""

    cursor: str
    node: dict[str, Any]


async def page(
    gateway: Gateway, lists: Sequence[Keyset], *, limit: int, after: str | None, where: Mapping[str, Any]
) -> list[Row]:
    """The `limit` rows after the cursor; `where` has every filter of the list, None where it does not narrow.

    Several lists must have the same ascending key; they are merged into one.

    Raises GraphError (BAD_CURSOR) for a cursor that this list has not given out.
    """
    start = lists[0].start
    key = start if after is None else _decode(after, start)
    answers = await gather(*(gateway.read(one.page, limit=limit, **key, **where) for one in lists))
    rows = [row for answer in answers for row in answer]
    if len(lists) > 1:
        rows.sort(key=lambda row: row["key"])
    return [Row(_encode(row["key"]), plain(row["row"])) for row in rows[:limit]]


async def count(gateway: Gateway, lists: Sequence[Keyset], *, where: Mapping[str, Any]) -> int:
    """How many nodes the lists have together."""
    answers = await gather(*(gateway.read(one.count, **where) for one in lists))
    return sum(answer[0]["count"] for answer in answers)


def select(name: str, where: Mapping[str, Any]) -> tuple[Keyset, ...]:
    """The lists that answer `name`, narrowed by the filters in `where` that are not None.

    Predicted snapshots are left out unless asked for. Raises GraphError (BAD_FILTER) for snapshots of neither a
    domain nor a sequence, or of both.
    """
    given = {key for key, value in where.items() if value is not None}
    if name == "snapshots":
        if ("domain" in given) == ("sequence" in given):
            raise GraphError(
                "BAD_FILTER",
                "expected either a domain or a sequence to list snapshots of.",
                next_step="Give `domain` or `sequence`.",
            )
        if "sequence" in given:
            return (OF_SEQUENCE,)
        return (OF_ORIGIN[where["kind"]],) if "kind" in given else (OF_ORIGIN["Observed"], OF_ORIGIN["Simulated"])
    narrowed = [NARROWED[name, key] for key in sorted(given) if (name, key) in NARROWED]
    return (narrowed[0] if narrowed else LISTS[name],)


def _encode(key: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(key)).decode()


def _decode(cursor: str, start: Mapping[str, Any]) -> dict[str, Any]:
    try:
        key = orjson.loads(base64.b64decode(cursor.encode(), altchars=b"-_", validate=True))
    except ValueError:
        key = None
    if (
        not isinstance(key, list)
        or [type(part) for part in key] != [type(part) for part in start.values()]
        or any(isinstance(part, int) and not LEAST <= part <= GREATEST for part in key)
    ):
        raise GraphError(
            "BAD_CURSOR",
            f"expected a cursor of this list, got {cursor[:40]!r}.",
            next_step="Take `endCursor` of the page before, or leave `after` out.",
        )
    return dict(zip(start, key, strict=True))


def _keyset(
    match: LiteralString,
    after: LiteralString,
    key: LiteralString,
    order: LiteralString,
    projection: LiteralString,
    start: Mapping[str, Any],
) -> Keyset:
    return Keyset(
        page=match
        + (" AND " + after + " RETURN [" + key + "] AS key, " + projection + " AS row")
        + (" ORDER BY " + order + " LIMIT $limit"),
        count=match + " RETURN count(node) AS count",
        start=start,
    )


def _by_uid(match: LiteralString, projection: LiteralString, order: LiteralString = "node.uid") -> Keyset:
    """Content in order of uid."""
    return _keyset(match, "node.uid > $uid", "node.uid", order, projection, {"uid": ""})


def _latest_first(match: LiteralString, projection: LiteralString, order: LiteralString = "node.uid DESC") -> Keyset:
    """Events in reverse order of their uid."""
    return _keyset(match, "node.uid < $uid", "node.uid", order, projection, {"uid": "~"})


def _of_run(label: LiteralString, projection: LiteralString) -> Keyset:
    """What a run has made beyond an index, in order."""
    return _keyset(
        "MATCH (node:" + label + ") WHERE node.run = $run AND node.index > $beyond",
        "node.index > $index",
        "node.index",
        "node.run, node.index",
        projection,
        {"index": LEAST},
    )


def _in_time(label: LiteralString, owner: LiteralString) -> Keyset:
    """Snapshots of one domain or sequence in order of (t_index, uid), straight off their index."""
    return _keyset(
        "MATCH (node:" + label + ") WHERE node." + owner + " = $" + owner,
        # an index over (…, t_index, uid) serves only where all three are known to be there; CASE keeps the planner
        # from making two seeks of an OR, which would lose the order
        "node.t_index >= $t_index AND node.uid IS NOT NULL"
        " AND CASE WHEN node.t_index > $t_index THEN true ELSE node.uid > $uid END",
        "node.t_index, node.uid",
        "node." + owner + ", node.t_index, node.uid",
        as_.SNAPSHOT,
        {"t_index": LEAST, "uid": ""},
    )


OF_SEQUENCE = _in_time("EnergySnapshot", "sequence")
OF_ORIGIN: Mapping[str, Keyset] = {
    "Observed": _in_time("Observed", "domain"),
    "Simulated": _in_time("Simulated", "domain"),
    "Predicted": _in_time("Predicted", "domain"),
}

_RUNS: LiteralString = """MATCH (node:Run)
WHERE ($kind IS NULL OR node.kind = $kind) AND ($state IS NULL OR node.state = $state)"""

LISTS: Mapping[str, Keyset] = {
    "domains": _keyset(
        "MATCH (node:Domain) WHERE true", "node.name > $name", "node.name", "node.name", as_.DOMAIN, {"name": ""}
    ),
    "sequences": _by_uid("MATCH (node:Sequence) WHERE true", as_.SEQUENCE),
    "models": _by_uid("MATCH (node:Model) WHERE true", as_.MODEL),
    "checkpoints": _by_uid("MATCH (node:Checkpoint) WHERE true", as_.CHECKPOINT),
    "runs": _latest_first(_RUNS, as_.RUN),
    "predictions": _latest_first(
        "MATCH (node:Prediction) WHERE ($domain IS NULL OR node.domain = $domain)", as_.PREDICTION
    ),
    "evaluations": _latest_first(
        "MATCH (node:Evaluation) WHERE ($domain IS NULL OR node.domain = $domain)", as_.EVALUATION
    ),
    "violations": _latest_first("MATCH (node:Violation) WHERE true", as_.VIOLATION),
    "prediction_logs": _latest_first("MATCH (node:PredictionLog) WHERE true", as_.PREDICTION_LOG),
    "relaxation_steps": _of_run("RelaxationStep", as_.RELAXATION_STEP),
    "energy_budget": _of_run("RelaxationStep", as_.ENERGY_BUDGET),
    "sweep_points": _of_run("SweepPoint", as_.SWEEP_POINT),
    "module_events": _latest_first(
        "MATCH (node:ModuleEvent) WHERE node.graph = $graph", as_.MODULE_EVENT, order="node.graph DESC, node.uid DESC"
    ),
    "hypotheses": _latest_first("MATCH (node:Hypothesis) WHERE true", as_.HYPOTHESIS),
}
"""By name: the list over all nodes of a label, walked along its key."""

NARROWED: Mapping[tuple[str, str], Keyset] = {
    ("sequences", "domain"): _by_uid(
        "MATCH (node:Sequence) WHERE node.domain = $domain", as_.SEQUENCE, order="node.domain, node.uid"
    ),
    ("models", "domain"): _by_uid(
        "MATCH (node:Model) WHERE node.domain = $domain", as_.MODEL, order="node.domain, node.uid"
    ),
    ("checkpoints", "model"): _keyset(
        "MATCH (node:Checkpoint) WHERE node.model = $model",
        "node.step <= $step AND CASE WHEN node.step < $step THEN true ELSE node.uid > $uid END",
        "node.step, node.uid",
        "node.model DESC, node.step DESC, node.uid",
        as_.CHECKPOINT,
        {"step": GREATEST, "uid": ""},
    ),
    ("violations", "domain"): _latest_first(
        "MATCH (node:Violation) WHERE node.domain = $domain AND ($law IS NULL OR node.law = $law)",
        as_.VIOLATION,
        order="node.domain DESC, node.uid DESC",
    ),
    ("violations", "law"): _latest_first(
        "MATCH (node:Violation) WHERE node.law = $law", as_.VIOLATION, order="node.law DESC, node.uid DESC"
    ),
    ("prediction_logs", "domain"): _latest_first(
        "MATCH (node:PredictionLog) WHERE node.domain = $domain AND ($regime IS NULL OR node.regime = $regime)",
        as_.PREDICTION_LOG,
        order="node.domain DESC, node.uid DESC",
    ),
    ("prediction_logs", "regime"): _latest_first(
        "MATCH (node:PredictionLog) WHERE node.regime = $regime",
        as_.PREDICTION_LOG,
        order="node.regime DESC, node.uid DESC",
    ),
    ("hypotheses", "domain"): _latest_first(
        "MATCH (node:Hypothesis) WHERE node.domain = $domain AND ($verdict IS NULL OR node.verdict = $verdict)",
        as_.HYPOTHESIS,
        order="node.domain DESC, node.uid DESC",
    ),
    ("hypotheses", "verdict"): _latest_first(
        "MATCH (node:Hypothesis) WHERE node.verdict = $verdict",
        as_.HYPOTHESIS,
        order="node.verdict DESC, node.uid DESC",
    ),
    ("predictions", "checkpoint"): _latest_first(
        "MATCH (:Checkpoint {uid: $checkpoint})<-[:BY]-(node:Prediction) WHERE true", as_.PREDICTION
    ),
    ("evaluations", "checkpoint"): _latest_first(
        "MATCH (:Checkpoint {uid: $checkpoint})<-[:SCORES]-(node:Evaluation) WHERE true", as_.EVALUATION
    ),
}
"""By name and filter: lists that start at the filter's index or node."""
