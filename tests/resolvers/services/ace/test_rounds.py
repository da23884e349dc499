"""What a round leaves open is asked again, of sequences that nobody has looked at, until one of the reasons to stop."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import pytest

from graph.queries import ace as stage_queries
from graph.queries import hypotheses, runs, splits, training
from nvp.model.inputs import Inputs
from nvp.model.nvp import Prediction
from nvp.training import shadows
from resolvers.services.ace import atlas_indexer, stages
from resolvers.services.context import Services
from resolvers.services.recipes import plan
from resolvers.services.requests import GenerationRequest
from resolvers.services.submission import TrainingRequest, submit_generation, submit_training
from tests.resolvers.services.ace.conftest import Carrier
from tests.resolvers.services.ace.experiments import children, ended, spawned
from tests.resolvers.working import worked

# fields that cost next to nothing to make, by a recipe that can be had again
PICTURES = GenerationRequest(
    domain="fluid_dynamics", kind="perturbation", sequences=3, seed=3, settings={"scale": 16, "steps": 6}
)
CHANGES = "on fluid_dynamics persistence has VRMSE above {:.6f}"
FRESH = 4


class Becalmed(Carrier):
    """Of fields without a wind."""

    def __call__(self, inputs: Inputs, key: Any = None, noise: Any = None) -> Prediction:
        wind = jnp.zeros((*inputs.history.shape[:1], *inputs.history.shape[2:4], 2), jnp.float32)
        return super().__call__(inputs._replace(context=wind), key, noise)


@pytest.fixture(autouse=True)
def becalmed(carrier: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadows, "NVP", Becalmed)


@pytest.fixture
async def checkpoint(services: Services) -> str:
    """Ridge regression on sequences of a recipe: one to learn from, one to choose by, one to be tested on."""
    await worked(services, await submit_generation(services, PICTURES))
    uids = tuple(made.uid for made in plan(PICTURES))
    run = await worked(services, await submit_training(services, TrainingRequest(sequences=uids, model="ridge")))
    model = await training.model_of_run(services.gateway, run.uid)
    assert model is not None
    assert model.best_checkpoint is not None
    return model.best_checkpoint


@pytest.mark.db
async def test_rounds_go_on_with_fresh_sequences_until_they_are_over(
    services: Services, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atlas_indexer, "FRESH", FRESH)
    first = await ended(services, await spawned(services, CHANGES.format(1e-6)))
    done = {one.name: one.outputs for one in await stage_queries.stages(services.gateway, first.uid)}
    assert done["verify"]["verdict"]["verdict"] == "supported"
    fewest = done["compose"]["test"]["fewest"]
    assert done["plan"]["fresh"]["sequences"] == fewest - 1, "one is there; the others are made in the same round"
    assert await children(services, first.uid) == {"generation": 1, "evaluation": 2, "shadows": 2}

    # at the median of what it found nothing is decided, however often one looks
    middle = done["verify"]["verdict"]["findings"][0]["median"]
    run = await ended(services, await spawned(services, CHANGES.format(middle), max_rounds=3))
    rows = await stage_queries.stages(services.gateway, run.uid)
    loop = ("compose", "plan", "schedule", "execute", "verify")
    assert [(one.name, one.round) for one in rows] == [
        ("spawn", 1), *((name, round) for round in (1, 2, 3) for name in loop), ("report", 3), ("retire", 3),
    ]  # fmt: skip
    plans, executed, verified = (
        [one.outputs for one in rows if one.name == name] for name in ("plan", "execute", "verify")
    )
    # what the first experiment had made is found; then every round makes its own
    assert [(len(one["evidence"]), (one["fresh"] or {}).get("sequences")) for one in plans] == [
        (fewest, None), (0, FRESH), (0, FRESH),
    ]  # fmt: skip
    assert len({one["fresh"]["seed"] for one in plans[1:]}) == 2
    looked = [uid for one in executed for uid in one["sequences"]]
    assert len(looked) == len(set(looked)) == fewest + 2 * FRESH
    assert [one["again"] for one in verified] == [True, True, False]
    assert f"undecided after {fewest} sequences" in rows[6].outputs["again"], "the next round knows why it is asked"
    assert verified[-1]["why"] == "no round is left of 3"
    # all evidence counts, in the order in which it was looked at
    assert verified[-1]["verdict"]["verdict"] == "undetermined"
    assert verified[-1]["verdict"]["cited"] == looked
    # none of it was learnt, the fresh no more than the others
    own = await splits.split(services.gateway, (await training.checkpoint(services.gateway, checkpoint)).model.split)
    assert not {part.sequence for part in (*own.of("train"), *own.of("val"))} & set(looked)
    assert all(one["proof"]["learnt"] == 0 for one in plans)
    # the ensemble has spoken once, and was trained by the experiment before
    kinds = await children(services, run.uid)
    assert (kinds["generation"], kinds["evaluation"]) == (2, 3)
    assert sum(one["vote"] is not None for one in executed) == 1
    trained = [one for one in await runs.list_runs(services.gateway, kind="shadows") if one.config["task"] == "train"]
    assert len(trained) == 1
    (tested,) = await hypotheses.tested(services.gateway, run.uid)
    assert (tested.verdict, tested.hypothesis.verdict) == ("undetermined", "undetermined")


def reason(**changes: Any) -> tuple[bool, str]:
    """Why it stops or goes on, after a second of three rounds that decided nothing."""
    given = {"stopped_by": "sequences", "quorum": True, "gone": False, "round": 2, "used": 16, "looked": ["a", "b"],
             "renewable": True, "evidence": ["a", "b"], **changes}  # fmt: skip
    outputs = {
        "plan": {"evidence": [{"sequence": uid} for uid in given["evidence"]], "renewable": given["renewable"]},
        "execute": {"sequences": given["looked"]},
    }
    inquiry: Any = SimpleNamespace(
        round=given["round"],
        max_rounds=3,
        plan=SimpleNamespace(sequences=40),
        outputs=lambda name: outputs[name],
        every=lambda _: [{"sequences": [str(at) for at in range(given["used"])]}],
    )
    verdict: Any = SimpleNamespace(stopped_by=given["stopped_by"], cited=("a",) * given["used"])
    return stages._again(inquiry, verdict, quorum=given["quorum"], gone=given["gone"])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"gone": True}, "the budget is gone"),
        ({"quorum": False}, "the ensemble agrees on nothing, which more sequences do not change"),
        ({"stopped_by": "decision"}, "the test has decided"),
        ({"round": 3}, "no round is left of 3"),
        ({"used": 40}, "as many sequences as were planned have been looked at"),
        ({"looked": []}, "there is nothing more to look at"),
        # a record: nobody can make more of it
        ({"renewable": False}, "there is nothing more to look at"),
    ],
)
def test_each_reason_to_stop(changes: dict[str, Any], why: str) -> None:
    assert reason(**changes) == (False, why)


def test_it_goes_on_while_there_is_something_to_look_at() -> None:
    assert reason() == (True, "undecided after 16 sequences: more are looked for")
    assert reason(renewable=False, evidence=["a", "b", "c"])[0] is True
