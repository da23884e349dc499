"""Composing: the works that a round could do, with what each is expected to say and to take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from graph.identity import digest
from graph.queries import runs, splits, timeline
from graph.queries.evaluation import Stretch
from resolvers.ace.shadows import TAU
from resolvers.ace.words import counted
from resolvers.services.ace import atlas_indexer, samples
from resolvers.services.ace.costing import cost_of
from resolvers.services.ace.inquiry import Inquiry
from resolvers.services.ace.scheduling import CHUNK, Work, information
from resolvers.services.shadows import members_folder
from resolvers.services.version import code_version

STARTS = 12
"""Predictions that the ensemble votes on."""
SIZE, STEPS, BATCH = "tiny", 30, 4
"""Of the training of its members, unless the request says otherwise: what counts is whether they agree."""
MOST_HISTORY = 4
SIMULATE, TRAIN, VOTE = "simulate sequences", "train shadows", "let shadows vote"
CAPABILITY = "batch"
"""All of it leaves the interactive worker to predictions that somebody waits for."""


async def works_of(inquiry: Inquiry) -> list[Work]:
    """Evaluations of what is there, the ensemble where it has not spoken yet, and what has to be simulated."""
    evidence = inquiry.outputs("plan")["evidence"]
    fresh = inquiry.outputs("plan")["fresh"]
    seen = len(atlas_indexer.used_sequences(inquiry))
    found: list[Work] = []
    for first in range(0, len(evidence), CHUNK):
        chosen = evidence[first : first + CHUNK]
        name = f"evaluate {counted(len(chosen), 'sequence')}" + (f" from {first + 1}" if first else "")
        found.append(await _evaluation(inquiry, name, chosen, seen=seen + first))
    if fresh is not None:
        found += await _simulated(inquiry, fresh, seen=seen + len(evidence))
    if not any(outputs["vote"] is not None for outputs in inquiry.every("execute")):
        found += await _ensemble(inquiry, evidence, fresh)
    return found


async def left_out(inquiry: Inquiry) -> str | None:
    """The domain, where the model under test has learnt from others only."""
    split = await splits.split(inquiry.services.gateway, inquiry.checkpoint.model.split)
    learnt = await timeline.sequence(inquiry.services.gateway, split.of("train")[0].sequence)
    return None if learnt.domain == inquiry.claim.domain else inquiry.claim.domain


def vote_starts(stretches: list[Stretch]) -> list[dict[str, Any]]:
    """Frames from which the members predict, at most `STARTS` of them spread over the stretches."""
    long = [one for one in stretches if one.last - one.first > MOST_HISTORY]
    each = -(-STARTS // max(len(long), 1))
    found = [
        {
            "sequence": one.sequence,
            "t_index": one.first + MOST_HISTORY - 1 + (k + 1) * (one.last - one.first - MOST_HISTORY) // (each + 1),
        }
        for k in range(each)
        for one in long
    ]
    return found[:STARTS]


def stretches_of(evidence: list[dict[str, Any]]) -> list[Stretch]:
    """As the plan has them."""
    return [Stretch(one["sequence"], first, last) for one in evidence for first, last in one["stretches"]]


async def _evaluation(inquiry: Inquiry, name: str, evidence: list[dict[str, Any]], *, seen: int) -> Work:
    checkpoint = inquiry.checkpoint
    config = samples.evaluation_config(
        inquiry.plan,
        checkpoint=checkpoint.uid,
        stretches=stretches_of(evidence),
        left_out=await left_out(inquiry),
    )
    uids = tuple(one["sequence"] for one in evidence)
    return await cost_of(
        inquiry,
        Work(
            name=name,
            kind="evaluation",
            capability=CAPABILITY,
            config=config,
            rng_seed=inquiry.run.rng_seed,
            inputs=((checkpoint.uid, "checkpoint"), *((uid, "sequence") for uid in uids)),
            sequences=uids,
            information=information(inquiry.prior, seen + len(uids)) - information(inquiry.prior, seen),
        ),
    )


async def _simulated(inquiry: Inquiry, fresh: dict[str, Any], *, seen: int) -> list[Work]:
    """Simulating, and looking at what was simulated; its stretches are known only then."""
    count = int(fresh["sequences"])
    config = {"domain": fresh["domain"], "kind": fresh["kind"], "preset": None, "sequences": count}
    simulation = Work(
        name=SIMULATE,
        kind="generation",
        capability=CAPABILITY,
        config={**config, "settings": fresh["settings"]},
        rng_seed=int(fresh["seed"]),
        inputs=(),
    )
    uids, steps = atlas_indexer.fresh_sequences(fresh)
    # as far as they are expected to count; what does is known when they are there
    foreseen = [{"sequence": uid, "stretches": [[0, steps - 1]]} for uid in uids]
    evaluation = await _evaluation(inquiry, f"evaluate {counted(count, 'new sequence')}", foreseen, seen=seen)
    return [
        await cost_of(inquiry, simulation),
        # sequences that are not there yet cannot be linked to it
        replace(evaluation, inputs=((inquiry.checkpoint.uid, "checkpoint"),), needs=(SIMULATE,)),
    ]


async def _ensemble(inquiry: Inquiry, evidence: list[dict[str, Any]], fresh: dict[str, Any] | None) -> list[Work]:
    model = inquiry.checkpoint.model
    starts = vote_starts(stretches_of(evidence))
    if not starts and fresh is None:
        return []
    network = model.config.get("network") or {}
    recipe = model.config.get("training") or {}
    training = Work(
        name=TRAIN,
        kind="shadows",
        capability=CAPABILITY,
        config={
            "task": "train",
            "split": model.split,
            **ensemble_of(inquiry.run.config),
            "history": network.get("history"),
            "recipe": {name: recipe[name] for name in ("recipe", "loss", "augment") if name in recipe},
        },
        rng_seed=inquiry.run.rng_seed,
        inputs=((model.split, "split"),),
    )
    vote = Work(
        name=VOTE,
        kind="shadows",
        capability=CAPABILITY,
        config={"task": "vote", "shadows": None, "starts": starts, "tau": TAU},
        rng_seed=0,
        inputs=tuple((uid, "sequence") for uid in dict.fromkeys(start["sequence"] for start in starts)),
        needs=(TRAIN,) if starts else (TRAIN, SIMULATE),
        information=1.0,
    )
    there = await runs.succeeded(inquiry.services.gateway, shared_key(training))
    if there is not None and not members_folder(inquiry.services.store, there.uid).exists():
        there = None  # they are to be trained again
    return [
        # members that another experiment has trained cost nothing
        replace(training, source=f"trained by run {there.uid}", joules=0.0)
        if there is not None
        else await cost_of(inquiry, training),
        await cost_of(inquiry, vote),
    ]


def ensemble_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """How the members of an experiment are made."""
    return {
        "members": int(asked["shadows"]),
        "size": asked.get("shadow_size", SIZE),
        "steps": asked.get("shadow_steps", STEPS),
        "batch": BATCH,
    }


def shared_key(work: Work) -> str:
    """What makes two works the same, whoever asks for them."""
    what = {"kind": work.kind, "config": dict(work.config), "rng_seed": work.rng_seed}
    return digest({**what, "code": code_version()})
