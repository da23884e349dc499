"""What is simulated for a claim is of its recipe and of no root that anybody used; votes are spread."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from graph.queries.evaluation import Stretch
from graph.queries.timeline import SequenceRow
from nvp.dynamics.kinds import KINDS, Kind
from resolvers.services.ace import atlas_indexer
from resolvers.services.ace.composing import MOST_HISTORY, STARTS, vote_starts
from resolvers.services.context import Services
from resolvers.services.recipes import plan
from resolvers.services.requests import GenerationRequest
from resolvers.services.submission import submit_generation
from tests.resolvers.working import worked

REQUEST = GenerationRequest(domain="fluid_dynamics", sequences=2, settings={"scale": 16, "steps": 6})


def inquiry(
    *, round: int = 1, split: str = "a split", checkpoint: str = "a checkpoint", seed: int = 0, **changes: Any
) -> Any:
    return SimpleNamespace(
        round=round,
        run=SimpleNamespace(rng_seed=seed),
        claim=SimpleNamespace(domain="fluid_dynamics", horizon=5),
        checkpoint=SimpleNamespace(uid=checkpoint, model=SimpleNamespace(split=split, config={})),
        **changes,
    )


def rows(request: GenerationRequest = REQUEST) -> list[SequenceRow]:
    return [
        SequenceRow(
            uid=made.uid,
            domain=made.domain,
            source=made.source,
            generator=made.generator,
            origin="Simulated",
            recipe=dict(made.recipe),
            rng_seed=made.rng_seed,
            height=made.height,
            width=made.width,
            dt=made.dt,
            anchor=0,
            first=0,
            last=5,
            length=6,
            digest="",
        )
        for made in plan(request)
    ]


def test_more_of_the_same_recipe_is_simulated_from_a_root_of_its_own() -> None:
    fresh = atlas_indexer._fresh(inquiry(), rows(), 3)
    assert fresh is not None
    uids, steps = atlas_indexer.fresh_sequences(fresh)
    assert (len(set(uids)), steps) == (3, 6)
    assert not {row.uid for row in rows()} & set(uids)
    made = plan(GenerationRequest(**fresh))
    assert {one.recipe["config"]["height"] for one in made} == {16}
    assert made[0].recipe["config"] == rows()[0].recipe["config"]
    # the next claim about the split finds them, the next round wants others
    assert atlas_indexer._fresh(inquiry(), rows(), 3) == fresh
    for other in (inquiry(round=2), inquiry(split="another")):
        again = atlas_indexer._fresh(other, rows(), 3)
        assert again is not None
        assert again["seed"] != fresh["seed"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_recipe_of_either_kind_is_asked_for_as_it_was(kind: Kind) -> None:
    changed = {"scale": 16, "steps": 6} | ({"noise_sigma": 0.3} if kind == "perturbation" else {})
    known = rows(GenerationRequest(domain="fluid_dynamics", kind=kind, sequences=1, settings=changed))
    fresh = atlas_indexer._fresh(inquiry(), known, 2)
    assert fresh is not None
    made = plan(GenerationRequest(**json.loads(json.dumps(fresh))))
    assert [one.recipe["config"] for one in made] == [known[0].recipe["config"]] * 2


def test_nothing_is_simulated_where_nobody_can_or_nothing_is_wanted() -> None:
    assert atlas_indexer._fresh(inquiry(), rows(), 0) is None
    assert atlas_indexer._fresh(inquiry(), [], 3) is None


def test_votes_are_spread_over_the_sequences() -> None:
    stretches = [Stretch(f"s{at}", 0, 9) for at in range(5)]
    starts = vote_starts(stretches)
    assert len(starts) == STARTS
    assert len({(one["sequence"], one["t_index"]) for one in starts}) == STARTS
    assert {one["sequence"] for one in starts} == {one.sequence for one in stretches}
    assert all(MOST_HISTORY - 1 <= one["t_index"] < 9 for one in starts)
    assert len(vote_starts([Stretch(f"s{at}", 0, 9) for at in range(40)])) == STARTS
    assert vote_starts([Stretch("short", 0, 3)]) == []


def test_evidence_has_one_order_which_nobody_can_choose() -> None:
    stretches = [Stretch(f"s{at:02}", 0, 9) for at in range(20)]
    tests = {"s11", "s03"}
    order = atlas_indexer._drawn(inquiry(), stretches, tests)
    assert set(order[:2]) == tests
    assert sorted(order) == [one.sequence for one in stretches]
    assert order[2:] != sorted(order[2:])
    for asked_again in (inquiry(seed=1), inquiry(round=2), inquiry(seed=7, round=3)):
        assert atlas_indexer._drawn(asked_again, stretches, tests) == order
    # what is there later does not shuffle what was there
    assert atlas_indexer._drawn(inquiry(), stretches[::2], tests) == [uid for uid in order if int(uid[1:]) % 2 == 0]
    assert atlas_indexer._drawn(inquiry(checkpoint="another"), stretches, tests) != order


@pytest.mark.db
async def test_what_is_there_is_not_simulated_again(services: Services) -> None:
    asking = inquiry(services=services)
    fresh = await atlas_indexer._unmade(asking, rows(), 2)
    assert fresh is not None
    assert fresh == atlas_indexer._fresh(asking, rows(), 2)
    await worked(services, await submit_generation(services, GenerationRequest(**{**fresh, "sequences": 1})))
    # a claim that needs one more is not given the one that is there
    for wanted in (1, 3):
        more = await atlas_indexer._unmade(asking, rows(), wanted)
        assert more is not None
        assert len(atlas_indexer.fresh_sequences(more)[0]) == wanted
        assert more["seed"] != fresh["seed"]
        assert not set(atlas_indexer.fresh_sequences(more)[0]) & set(atlas_indexer.fresh_sequences(fresh)[0])
    assert await atlas_indexer._unmade(asking, rows(), 0) is None


def test_what_is_too_short_to_be_scored_is_no_evidence() -> None:
    # five leads, and three frames before them for ridge regression: 8 frames, 7 steps
    assert atlas_indexer.reach(inquiry()) == 7
    long = inquiry()
    long.checkpoint.model.config = {"kind": "nvp", "network": {"history": 4}, "training": {"loss": "mse"}}
    assert atlas_indexer.reach(long) == 8
