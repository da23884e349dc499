"""What the faults left: runs that were lost, things that are there twice, states of trainings that differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, LiteralString

from graph.gateway import Gateway
from resolvers.benches.faults_watch import Watch

# what each run made: a training one model, its epochs once each and at most one checkpoint per step; a prediction one
# Prediction with one field per lead; a generation its sequences
_OUTPUTS: LiteralString = """
MATCH (r:Run) WHERE r.uid IN $runs
RETURN r.uid AS run, r.kind AS kind, r.state AS state,
  COUNT { (r)<-[:WAS_GENERATED_BY]-(:Model) } AS models,
  COUNT { (r)-[:EPOCH]->(:Epoch) } AS epochs,
  COUNT { (r)<-[:WAS_GENERATED_BY]-(:Sequence) } AS sequences,
  COUNT { (r)<-[:WAS_GENERATED_BY]-(:Prediction) } AS predictions,
  COUNT { (r)<-[:WAS_GENERATED_BY]-(:Prediction)-[:PREDICTS]->() } AS fields,
  [(r)-[:EPOCH]->(e) | e.epoch] AS numbers,
  [(r)<-[:WAS_GENERATED_BY]-(:Model)-[:HAS_CHECKPOINT]->(c) | c.step] AS steps
LIMIT $limit
"""
_RUNS: LiteralString = "MATCH (r:Run) RETURN count(r) AS runs"
_STRAY: LiteralString = "MATCH (e:Epoch) WHERE e.epoch = 999 RETURN count(e) AS stray"


async def check(
    gateway: Gateway, watch: Watch, *, anew: Mapping[str, str], store: Path, epochs: int, before: int
) -> dict[str, Any]:
    """What is wrong, by name.

    `anew`: the undisturbed training beside each that was taken over; `before`: how many runs there were at the start.
    """
    asked = watch.asked
    rows = await gateway.read(_OUTPUTS, runs=list(asked), limit=len(asked))
    duplicates = [f"{row['run']}: {what}" for row in rows for what in twice(row, asked[row["run"]].given, epochs)]
    (counted,) = await gateway.read(_RUNS)
    extra = counted["runs"] - before - len(asked) - len(anew)
    if extra:
        duplicates.append(f"{extra} runs that nobody was told of")
    (stray,) = await gateway.read(_STRAY)
    ends = {uid: watch.ends.get(uid, set()) for uid in asked}
    states, unequal = compared(store, anew)
    return {
        "lost": sum(len(states) != 1 for states in ends.values()),
        "failed": sum(states == {"FAILED"} for states in ends.values()),
        "duplicated": len(duplicates),
        "duplicates": duplicates,
        "stale_writes": len(watch.stale_written) + stray["stray"],
        "stale_tried": watch.stale_tried,
        "resumed": len(anew),
        "compared_states": states,
        "unequal": unequal,
        "states": {uid: len(_states(store / "runs" / uid)) for uid in asked},
    }


def twice(row: Mapping[str, Any], given: Mapping[str, Any], epochs: int) -> list[str]:
    """What of a run's outputs is there more or less often than once."""
    if row["state"] != "SUCCEEDED":
        return []
    expected: dict[str, int] = {
        "training": {"models": 1, "epochs": epochs},
        "prediction": {"predictions": 1, "fields": given.get("steps", 1)},
        "generation": {"sequences": given.get("sequences", 1)},
    }[row["kind"]]
    wrong = [f"{row[name]} {name} for {number}" for name, number in expected.items() if row[name] != number]
    for name in ("numbers", "steps"):
        if len(set(row[name])) != len(row[name]):
            wrong.append(f"{name} {sorted(row[name])}")
    return wrong


def compared(store: Path, anew: Mapping[str, str]) -> tuple[int, list[str]]:
    """How many states of both trainings lie on disk, and which of them differ: parameters, optimizer, rng, position."""
    compared, unequal = 0, []
    for disturbed, undisturbed in anew.items():
        theirs, ours = _digests(store / "runs" / disturbed), _digests(store / "runs" / undisturbed)
        both = theirs.keys() & ours.keys()
        compared += len(both)
        unequal += [f"{disturbed}/{name}" for name in sorted(both) if theirs[name] != ours[name]]
        if not _states(store / "runs" / undisturbed).keys() & both:
            unequal.append(f"{disturbed}: no state in common")
    return compared, unequal


def _states(directory: Path) -> dict[str, str]:
    """The same of the checkpoints that a training goes on from."""
    return {name: digest for name, digest in _digests(directory).items() if name.startswith("resume-")}


def _digests(directory: Path) -> dict[str, str]:
    """sha256 of the arrays of each checkpoint of a training."""
    manifests = directory.glob("*/config.json")
    return {path.parent.name: json.loads(path.read_text("utf-8"))["sha256"] for path in manifests}
