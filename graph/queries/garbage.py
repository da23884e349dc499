"""What may be removed, by reference: which files the graph names, which runs go on, which checkpoints nobody needs.

A node whose files are removed stays as a tombstone with the time and who did it (`removed_at`, `removed_by`): what was
derived from it can still be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

from graph.gateway import Gateway


@dataclass(frozen=True, slots=True, kw_only=True)
class Unneeded:
    """A checkpoint that is not its model's best and that nothing refers to."""

    uid: str
    model: str
    step: int
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A run as far as its folder in the store is concerned."""

    kind: str
    finished: bool
    succeeded: bool
    # what checkpoints that are not removed say of where they lie
    named: frozenset[str]
    # its files may go, whatever it is
    removed: bool


async def objects_named(gateway: Gateway, uris: Sequence[str]) -> set[str]:
    """Those of these objects (uri) that a snapshot names as its state, its context or its spread."""
    # an object's hash is its name, and hashes are indexed
    objects = [{"uri": uri, "sha256": uri.rpartition("/")[2].removesuffix(".npy")} for uri in uris]
    return {row["uri"] for row in await gateway.read(_OBJECTS_NAMED, objects=objects, limit=len(objects))}


async def folder(gateway: Gateway, run: str) -> Folder | None:
    """What a run's folder may hold; None for a run that the graph does not know."""
    rows = await gateway.read(_FOLDER, run=run)
    return Folder(**rows[0] | {"named": frozenset(rows[0]["named"])}) if rows else None


async def unneeded(gateway: Gateway, *, days: float) -> list[Unneeded]:
    """Checkpoints that may go: made before so many days by runs that have ended."""
    found: list[Unneeded] = []
    after = ""
    while rows := await gateway.read(_UNNEEDED, days=days, after=after, limit=MODELS):
        found += [Unneeded(**one) for row in rows for one in row["checkpoints"]]
        after = rows[-1]["model"]
    return found


async def bury(gateway: Gateway, uids: Sequence[str], *, by: str) -> set[str]:
    """Mark checkpoints as removed, unless something refers to them by now; those that are."""
    return {row["uid"] for row in await gateway.write(_BURY, uids=list(uids), by=by)}


async def unneeded_shadows(gateway: Gateway, *, days: float) -> list[str]:
    """Runs of shadow ensembles whose members and votes may go: ended before so many days, evidence of nothing.

    What an experiment that goes on, is certified or is due to be looks back on stays.
    """
    found: list[str] = []
    after = ""
    while rows := await gateway.read(_UNNEEDED_SHADOWS, days=days, after=after, limit=MODELS):
        found += [row["uid"] for row in rows]
        after = rows[-1]["uid"]
    return found


async def bury_shadows(gateway: Gateway, uids: Sequence[str], *, by: str) -> set[str]:
    """Mark runs of shadow ensembles as without files, unless something needs them by now; those that are.

    Nobody finds such a run by its dedup key any more: who wants its members trains them again.
    """
    return {row["uid"] for row in await gateway.write(_BURY_SHADOWS, uids=list(uids), by=by)}


MODELS = 200
"""Models whose checkpoints one query looks at."""

_OBJECTS_NAMED: LiteralString = """
UNWIND $objects AS object
WITH object WHERE EXISTS { MATCH (e:EnergySnapshot {sha256: object.sha256}) WHERE e.uri = object.uri }
  OR EXISTS { MATCH (e:EnergySnapshot {context_sha256: object.sha256}) WHERE e.context_uri = object.uri }
  OR EXISTS { MATCH (e:Predicted {spread_sha256: object.sha256}) WHERE e.spread_uri = object.uri }
RETURN object.uri AS uri LIMIT $limit
"""

# checkpoints are the outputs of their run, or of one that it took over from
_FOLDER: LiteralString = """
MATCH (r:Run {uid: $run})
RETURN r.kind AS kind, r.state IN ['SUCCEEDED', 'FAILED', 'CANCELLED'] AS finished,
  r.state = 'SUCCEEDED' AS succeeded, r.files_removed_at IS NOT NULL AS removed,
  COLLECT { MATCH (r)<-[:WAS_GENERATED_BY]-(c:Checkpoint) WHERE c.removed_at IS NULL RETURN c.uri } AS named
LIMIT 1
"""

_UNNEEDED: LiteralString = """
MATCH (m:Model) WHERE m.uid > $after
WITH m ORDER BY m.uid LIMIT $limit
RETURN m.uid AS model, COLLECT {
  MATCH (m)-[:HAS_CHECKPOINT]->(c:Checkpoint)
  WHERE m.best_checkpoint IS NOT NULL AND c.uid <> m.best_checkpoint AND c.removed_at IS NULL
    AND c.created_at < datetime() - duration({milliseconds: toInteger($days * 86400000)})
    AND NOT EXISTS { (c)<-[:BY|SCORES|USED]-() }
    AND NOT EXISTS { MATCH (c)-[:WAS_GENERATED_BY]->(r:Run) WHERE NOT r.state IN ['SUCCEEDED', 'FAILED', 'CANCELLED'] }
  RETURN c {.uid, .step, .uri, model: m.uid} ORDER BY c.step
} AS checkpoints
ORDER BY model
"""

# the property is set before anybody looks for references: who wants to refer to the node waits for its lock, or was
# there before
_BURY: LiteralString = """
UNWIND $uids AS uid
MATCH (c:Checkpoint {uid: uid}) WHERE c.removed_at IS NULL
SET c.removed_at = datetime(), c.removed_by = $by
WITH c, EXISTS { (c)<-[:BY|SCORES|USED]-() } AS needed
FOREACH (_ IN CASE WHEN needed THEN [1] ELSE [] END | REMOVE c.removed_at, c.removed_by)
WITH c WHERE NOT needed
RETURN c.uid AS uid
"""

# the same before and behind the mark: an experiment that may find the run takes its lock
_LOOKED_BACK_ON: LiteralString = """EXISTS {
  MATCH (r)-[:PART_OF]->(a:Run)
  WHERE NOT a.state IN ['SUCCEEDED', 'FAILED', 'CANCELLED'] OR EXISTS { (a)-[:CERTIFIED_BY]->(:Certificate) }
    OR EXISTS { MATCH (a)-[:STAGE]->(s:Stage {name: 'retire'})
                WHERE a.state = 'SUCCEEDED' AND s.outputs_json CONTAINS '"due":true' }
}"""

_UNNEEDED_SHADOWS: LiteralString = (
    """
MATCH (r:Run {kind: 'shadows', state: 'SUCCEEDED'}) USING INDEX SEEK r:Run(kind, state, finished_at)
WHERE r.uid > $after AND r.files_removed_at IS NULL
  AND r.finished_at < datetime() - duration({milliseconds: toInteger($days * 86400000)})
  AND NOT """
    + _LOOKED_BACK_ON
    + """
RETURN r.uid AS uid ORDER BY uid LIMIT $limit
"""
)

_BURY_SHADOWS: LiteralString = (
    """
UNWIND $uids AS uid
MATCH (r:Run {uid: uid}) WHERE r.files_removed_at IS NULL
SET r.files_removed_at = datetime(), r.files_removed_by = $by
WITH r, """
    + _LOOKED_BACK_ON
    + """ AS needed
FOREACH (_ IN CASE WHEN needed THEN [1] ELSE [] END | REMOVE r.files_removed_at, r.files_removed_by)
WITH r WHERE NOT needed
REMOVE r.dedup_key
RETURN r.uid AS uid
"""
)
