"""AtlasIndexer: which sequences bear on a claim, none of which taught the model under test, and what may be simulated.

Evidence is of the claim's domain (and regime), on the grid, time step and kind of the model's own test part, which
comes first. Its order is drawn, never chosen: a test that may stop after any sequence is fair only to an order that
knows nothing of the outcomes. How near each comes to what was learnt is said (cosine of descriptors), not acted upon.

Where the atlas has too little, sequences of the same recipe are to be simulated from a root that nobody has used.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from graph.errors import GraphError
from graph.identity import digest
from graph.queries import sequences, similarity, splits, timeline, unlearnt
from graph.queries.evaluation import Stretch
from graph.queries.timeline import SequenceRow
from nvp.dynamics.kinds import settings_of
from nvp.model.ridge import RidgeConfig
from resolvers.ace.words import counted
from resolvers.services.ace import samples
from resolvers.services.ace.inquiry import Inquiry, StageOutputs
from resolvers.services.recipes import GENERATORS, configuration, plan
from resolvers.services.requests import GenerationRequest

FRESH = 12
"""Sequences that are simulated at once, unless more are needed to decide anything."""
RIVAL_HISTORY = RidgeConfig().history
"""Frames that the baseline with the longest memory looks back on."""
LOOKED_AT = 2000
"""Stretches that are considered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One sequence that may be looked at: its stretches, and how near the nearest frame of the training part comes."""

    sequence: str
    stretches: tuple[tuple[int, int], ...]
    # (1 + cosine) / 2 of the descriptors of its middle frame and of the nearest frame that was learnt; None: unknown
    nearest_learnt: float | None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "stretches": [list(one) for one in self.stretches]}


async def index(inquiry: Inquiry) -> StageOutputs:
    """What is there that no earlier round has looked at, the proof that none of it was learnt, and what to simulate."""
    gateway, checkpoint = inquiry.services.gateway, inquiry.checkpoint
    used = used_sequences(inquiry)
    found = await unlearnt.stretches(
        gateway,
        checkpoint=checkpoint.uid,
        domain=inquiry.claim.domain,
        regime=inquiry.claim.regime,
        horizon=reach(inquiry),
        limit=LOOKED_AT,
    )
    own = await splits.split(gateway, checkpoint.model.split)
    tests = {part.sequence for part in own.of("test")}
    rows = await _rows(inquiry, [*dict.fromkeys([*(one.sequence for one in found), *sorted(tests)])])
    alike = {_kind(rows[uid]) for uid in tests if uid in rows}
    usable = [one for one in found if one.sequence not in used and (not alike or _kind(rows[one.sequence]) in alike)]
    wanted = inquiry.plan.sequences - len(used)
    chosen = _drawn(inquiry, usable, tests)[:wanted]
    stretches = [one for one in usable if one.sequence in set(chosen)]
    leaked = await unlearnt.leaked(gateway, checkpoint=checkpoint.uid, stretches=stretches)
    near = await _nearest(inquiry, stretches, {part.sequence for part in (*own.of("train"), *own.of("val"))})
    evidence = [
        Evidence(
            sequence=uid,
            stretches=tuple((one.first, one.last) for one in stretches if one.sequence == uid),
            nearest_learnt=near.get(uid),
        )
        for uid in chosen
    ]
    have = len(chosen)
    missing = max(inquiry.plan.fewest - len(used) - have, FRESH if inquiry.round > 1 and not have else 0)
    own_rows = [rows[uid] for uid in sorted(tests) if uid in rows]
    fresh = await _unmade(inquiry, own_rows, min(missing, wanted - have))
    return {
        "evidence": [one.to_json() for one in evidence],
        "proof": {
            "frames": sum(one.last - one.first + 1 for one in stretches),
            "learnt": leaked,
            "query": "graph.queries.unlearnt.LEAKED",
        },
        "fresh": fresh,
        # whether another round may simulate more
        "renewable": _fresh(inquiry, own_rows, 1) is not None,
        "said": _said(inquiry, evidence, fresh),
    }


def used_sequences(inquiry: Inquiry) -> set[str]:
    """Those that an earlier round has looked at."""
    return set(samples.drawn(inquiry.every("execute")))


async def prove_fresh(inquiry: Inquiry, uids: Sequence[str]) -> list[Stretch]:
    """Sequences that were just simulated, as evidence; those that turn out to have been learnt are left out."""
    gateway = inquiry.services.gateway
    found = []
    for uid in uids:
        row = await timeline.sequence(gateway, uid)
        stretch = Stretch(uid, row.first, row.last)
        if not await unlearnt.leaked(gateway, checkpoint=inquiry.checkpoint.uid, stretches=[stretch]):
            found.append(stretch)
    if inquiry.claim.regime is None:
        return found
    # only its frames count, and only the graph knows them
    known = await unlearnt.stretches(
        gateway,
        checkpoint=inquiry.checkpoint.uid,
        domain=inquiry.claim.domain,
        regime=inquiry.claim.regime,
        horizon=reach(inquiry),
        limit=LOOKED_AT,
    )
    fresh = {one.sequence for one in found}
    return [one for one in known if one.sequence in fresh]


def reach(inquiry: Inquiry) -> int:
    """Steps from the first to the last frame of one start: shorter stretches have none that could be scored.

    Every forecaster of an evaluation starts from the same frames, so the longest history counts.
    """
    config = inquiry.checkpoint.model.config
    own = [part.get("history") or 0 for part in config.values() if isinstance(part, Mapping)]
    return max([RIVAL_HISTORY, *own]) + inquiry.claim.horizon - 1


async def _rows(inquiry: Inquiry, uids: Sequence[str]) -> dict[str, SequenceRow]:
    rows = await asyncio.gather(*(timeline.sequence(inquiry.services.gateway, uid) for uid in uids))
    return {row.uid: row for row in rows}


def _kind(row: SequenceRow) -> tuple[Any, ...]:
    return row.height, row.width, row.dt, row.generator


def _drawn(inquiry: Inquiry, stretches: Sequence[Stretch], tests: set[str]) -> list[str]:
    """Sequences in the order in which they will be looked at: the model's own test part first, each drawn.

    Drawn once for a checkpoint: who may ask again in another order, asks until the test decides as he likes.
    """

    def place(uid: str) -> tuple[bool, str]:
        return uid not in tests, digest({"checkpoint": inquiry.checkpoint.uid, "sequence": uid})

    return sorted({one.sequence for one in stretches}, key=place)


async def _nearest(inquiry: Inquiry, stretches: Sequence[Stretch], learnt: set[str]) -> dict[str, float]:
    gateway = inquiry.services.gateway
    near: dict[str, float] = {}
    for one in stretches:
        if one.sequence in near:
            continue
        middle = (one.first + one.last) // 2
        (frame,) = await timeline.frames(gateway, one.sequence, middle, middle)
        try:
            hits = await similarity.similar(
                gateway, frame.uid, first=similarity.MOST, domain=inquiry.claim.domain, other_sequences=True
            )
        except GraphError:  # a frame without a descriptor
            continue
        scores = [hit.score for hit in hits if hit.snapshot["sequence_uid"] in learnt]
        if scores:
            near[one.sequence] = max(scores)
    return near


async def _unmade(inquiry: Inquiry, rows: Sequence[SequenceRow], count: int) -> dict[str, Any] | None:
    """A request for fresh sequences, none of which the graph has: those are chosen already, or were looked at."""
    for again in itertools.count():
        fresh = _fresh(inquiry, rows, count, again=again)
        if fresh is None or not await sequences.known(inquiry.services.gateway, fresh_sequences(fresh)[0]):
            return fresh
    raise AssertionError("roots never end")


def _fresh(inquiry: Inquiry, rows: Sequence[SequenceRow], count: int, *, again: int = 0) -> dict[str, Any] | None:
    """A request for sequences of the same recipe; None where none are wanted or nobody can simulate them.

    `again`: how many roots of the split and round are used already.
    """
    kinds = {generator: kind for kind, (generator, _, _) in GENERATORS.items()}
    made = [row for row in rows if row.generator in kinds and "config" in row.recipe]
    if count < 1 or not made:
        return None
    kind = kinds[made[0].generator]
    root = {"split": inquiry.checkpoint.model.split, "fresh": inquiry.round}
    return {
        "domain": inquiry.claim.domain,
        "kind": kind,
        "sequences": count,
        # of the split, so that the next claim about it finds them in the atlas
        "seed": int(digest(root if again == 0 else {**root, "again": again})[:8], 16),
        "settings": settings_of(kind, made[0].recipe["config"]),
    }


def fresh_sequences(request: Mapping[str, Any]) -> tuple[list[str], int]:
    """The sequences that a request for fresh ones stands for, and the frames of each."""
    wanted = GenerationRequest(**request)
    return [sequence.uid for sequence in plan(wanted)], int(configuration(wanted).steps)


def _said(inquiry: Inquiry, evidence: Sequence[Evidence], fresh: Mapping[str, Any] | None) -> str:
    of = f" in the {inquiry.claim.regime} regime" if inquiry.claim.regime else ""
    there = f"to look at, not learnt from: {counted(len(evidence), 'sequence')} of {inquiry.claim.domain}{of}"
    return f"{there}." if fresh is None else f"{there}; to simulate: {fresh['sequences']} more of the same recipe."
