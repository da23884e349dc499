"""The cook-book for analysts: each query of docs/cypher.md answers its question on a graph that our services made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from graph.gateway import Gateway
from graph.queries import ace, evaluation, hypotheses, prediction, runs, splits, training
from graph.queries.ace import NewVote
from graph.queries.evaluation import Stretch
from graph.queries.prediction import NewPredicted
from graph.queries.splits import Part
from resolvers.certificates.issuing import issue
from tests.api.conftest import FRAMES, World
from tests.graph.queries import builders, experiments
from tests.graph.queries.experiments import CLAIM

pytestmark = pytest.mark.db

BOOK = Path(__file__).parents[2] / "docs" / "cypher.md"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SPENT: dict[str, Any] = {"energy_joules": 12.0, "energy_source": "estimated: 10 W × CPU seconds", "device": "cpu"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A question, its query and the columns of the answer that is shown."""

    title: str
    query: str
    columns: tuple[str, ...]


def recipes() -> list[Recipe]:
    """All that the book has, in order."""
    found = []
    for section in re.split(r"^### ", BOOK.read_text(), flags=re.MULTILINE)[1:]:
        title = section.splitlines()[0]
        (query,) = re.findall(r"^```cypher\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
        (head,) = re.findall(r"^(\|.*\|)\n\|[-|]+\|$", section, re.MULTILINE)
        found.append(Recipe(title, query, tuple(cell.strip() for cell in head.strip("|").split("|"))))
    return found


RECIPES = recipes()


async def succeeded(gateway: Gateway, run: runs.RunRow, **fields: Any) -> None:
    assert await runs.transition(gateway, run.uid, "RUNNING", "SUCCEEDED", run.lease_token, **(SPENT | fields))


async def trained(gateway: Gateway, world: World, fidelity: float) -> str:
    """Uid of the best of two checkpoints of one more training, which did as well as this."""
    run = await builders.started(gateway, inputs=[(world.split, "split")])
    model = await training.create_model(
        gateway,
        run.lease,
        name="tiny",
        architecture="unet",
        domain="fluid_dynamics",
        split=world.split,
        config={"size": "tiny", "fidelity": fidelity},
        rng_seed=0,
        code_version="0.1.0",
        parameter_count=150_000,
    )
    made = [
        await training.record_checkpoint(
            gateway,
            run.lease,
            model=model,
            step=step,
            epoch=step,
            uri=f"checkpoints/{fidelity}/{step}",
            sha256=builders.sha("weights", fidelity, step),
            metrics={"val_fidelity": fidelity * step / 2},
        )
        for step in (1, 2)
    ]
    await training.finish_model(gateway, run.lease, model=model, best_checkpoint=made[1])
    await succeeded(gateway, run)
    return made[1]


async def evaluated(gateway: Gateway, world: World, checkpoint: str, fidelity: float) -> str:
    """Uid of an evaluation on the last frames of the second sequence."""
    run = await builders.started(gateway, kind="evaluation", inputs=[(checkpoint, "checkpoint")])
    scores = {
        "fidelity": {"pooled": fidelity, "n": 5},
        "baselines": {"linear_extrapolation": {"pooled": 0.2}, "ridge": {"pooled": 0.35}},
    }
    uid = await evaluation.record_evaluation(
        gateway,
        run.lease,
        checkpoint=checkpoint,
        stretches=[Stretch(world.sequences[1], FRAMES - 6, FRAMES - 1)],
        scores=scores,
    )
    await succeeded(gateway, run)
    return uid


async def experiment(gateway: Gateway, hypothesis: str, evidence: str, verdict: str, *, weight: float) -> str:
    """Uid of a certified experiment of two rounds with one child; its third member was outvoted."""
    run = await experiments.experiment(gateway)
    child = await builders.started(gateway, kind="evaluation", parent=run.uid)
    await succeeded(gateway, child, energy_joules=40.0)
    await experiments.walk(gateway, run.lease, rounds=2)
    votes = [NewVote(member=n, sha256=builders.sha(n), agrees=n < 2, starts=9, agreed=9 - 4 * n) for n in range(3)]
    await ace.record_votes(gateway, run.lease, votes)
    await hypotheses.settle(
        gateway,
        run.lease,
        hypothesis=hypothesis,
        verdict=cast("Any", verdict),
        credence=1 / (1 + 10**-weight),
        weight=weight,
        evidence=[evidence],
    )
    await succeeded(gateway, run)
    await issue(gateway, run.uid, KEY)
    return run.uid


@pytest.fixture(scope="module")
async def asked(world: World) -> dict[str, Any]:
    """The graph of the API's tests and all that the book asks about beside it; the parameters of its queries."""
    gateway = world.services.gateway
    tiny = [await trained(gateway, world, fidelity) for fidelity in (0.5, 0.46)]
    good, bad = [
        await evaluated(gateway, world, checkpoint, f) for checkpoint, f in zip(tiny, (0.47, 0.31), strict=True)
    ]
    # another domain, and a run whose worker was lost once
    lease, _, other = await builders.trained(gateway)
    await experiments.evaluated(gateway, other)
    await gateway.write("MATCH (r:Run {uid: $run}) SET r.lease_until = datetime() - duration('PT1S')", run=lease.run)
    await runs.reap(gateway, max_attempts=3)
    # a second prediction from a state that has one
    predicting = await builders.started(gateway, kind="prediction", capability="interactive")
    states = [NewPredicted(lead=1, sha256=builders.sha("p"), uri="objects/p.npy", **builders.statistics(1))]
    await prediction.record_prediction(
        gateway, predicting.lease, start=world.snapshots[5], checkpoint=tiny[0], forcing="frozen", dt=1.0, states=states
    )
    # sequences of one draw in two roles
    drawn = [
        await experiments.sequence(gateway, source, 0, 4, variant=source, seed=3, number=1, scale=scale)
        for source, scale in (("coarse", 1), ("fine", 2))
    ]
    parts = [Part("train", drawn[0], 0, 3), Part("test", drawn[1], 0, 3)]
    await splits.create_split(gateway, name="drawn alike", kind="sequence", gap=0, parts=parts)

    claim = {**CLAIM, "domain": "fluid_dynamics"}
    made = []
    for threshold in (0.4, 0.6, 0.5):
        made.append(
            await experiments.proposed(
                gateway,
                key=str(threshold),
                text=f"on fluid_dynamics the tiny model keeps fidelity above {threshold}",
                claim={**claim, "threshold": threshold},
                about="fluid_dynamics",
                refines=made[0].uid if made else None,
            )
        )
    supported = await experiment(gateway, made[0].uid, good, "supported", weight=1.2)
    await experiment(gateway, made[1].uid, bad, "refuted", weight=-1.4)
    return {
        "model": "tiny",
        "domain": "fluid_dynamics",
        "hypothesis": made[0].uid,
        "experiment": supported,
        "split": world.split,
        "snapshot": world.snapshots[7],
    }


async def ask(gateway: Gateway, title: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the one recipe whose title has these words."""
    (recipe,) = [one for one in RECIPES if title in one.title]
    return await gateway.read(cast("LiteralString", recipe.query), **asked)


def test_there_is_much_to_ask() -> None:
    assert len(RECIPES) >= 14
    assert len({recipe.title for recipe in RECIPES}) == len(RECIPES)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.title)
async def test_each_query_answers_as_it_is_shown(recipe: Recipe, world: World, asked: dict[str, Any]) -> None:
    rows = await ask(world.services.gateway, recipe.title, asked)
    assert rows
    assert tuple(rows[0]) == recipe.columns
    # a column that never has a value would answer nothing
    assert {name for name in recipe.columns if all(row[name] is None for row in rows)} <= {"error"}


async def test_the_lineage_of_a_verdict_is_the_frames_that_were_scored(world: World, asked: dict[str, Any]) -> None:
    gateway = world.services.gateway
    rows = await ask(gateway, "down to the frames", asked)
    assert {(row["verdict"], row["model"], row["step"]) for row in rows} == {("supported", "tiny", 2)}
    frames = await gateway.read(
        "MATCH (e:EnergySnapshot {sequence: $uid}) WHERE e.t_index >= $first RETURN e.t_index AS t, e.sha256 AS sha256 "
        "ORDER BY t",
        uid=world.sequences[1],
        first=FRAMES - 6,
    )
    assert [(row["frame"], row["sha256"]) for row in rows] == [(frame["t"], frame["sha256"]) for frame in frames]
    assert len(rows) == 6


async def test_answers_are_right_where_they_are_known(world: World, asked: dict[str, Any]) -> None:
    gateway = world.services.gateway
    (fell,) = await ask(gateway, "fell with a model", asked)
    assert (fell["weight"], fell["fidelity"]) == (-1.4, 0.31)
    assert fell["hypothesis"].endswith("above 0.6")
    cost = {row["verdict"]: row for row in await ask(gateway, "verdicts cost", asked)}
    # an experiment and its child each
    assert {(row["experiments"], row["runs"], row["estimated_joules"]) for row in cost.values()} == {(1, 2, 52.0)}
    assert cost.keys() == {"supported", "refuted"}
    assert [(row["depth"], row["verdict"]) for row in await ask(gateway, "refine each other", asked)] == [
        (0, "supported"),
        (1, "untested"),
        (1, "refuted"),
    ]
    stages = await ask(gateway, "energy of an experiment go", asked)
    assert [row["stage"] for row in stages] == list(ace.STAGES)
    assert [row["rounds"] for row in stages] == [1, 2, 2, 2, 2, 2, 1, 1]
    assert sum(row["joules"] for row in stages) == pytest.approx(13 * 2.5)
    assert [row["member"] for row in await ask(gateway, "Who disagreed", asked)] == [2, 2]
    assert [(row["kind"], row["joules"]) for row in await ask(gateway, "an experiment ask for", asked)] == [
        ("evaluation", 40.0)
    ]
    (retried,) = await ask(gateway, "tried again", asked)
    assert (retried["attempts"], retried["ended"]) == (2, "QUEUED")
    assert [row["number"] for row in await ask(gateway, "attested, in order", asked)] == [2, 1]
    changes = [row["change"] for row in await ask(gateway, "training get better", asked)]
    assert changes[0] is None
    assert changes[1:] == pytest.approx([-0.1, -0.04])
    unseen = [row["step"] for row in await ask(gateway, "nobody evaluated", asked)]
    assert unseen == [1, 1, 1]
    (fork,) = await ask(gateway, "many predictions rest on", asked)
    assert (fork["frame"], fork["predictions"]) == (world.snapshots[5], 2)
    best = [(row["domain"], row["model"], row["best"]) for row in await ask(gateway, "good, and where", asked)]
    assert best == [
        ("fluid_dynamics", "ridge", 0.6),
        ("fluid_dynamics", "tiny", 0.47),
        ("fluid_dynamics", "tiny", 0.31),
        ("plasma", "ridge", 0.5),
    ]
    leaked = {row["model"]: row["leaked"] for row in await ask(gateway, "seen any of those", asked)}
    assert leaked["tiny"] >= 0
    near = {(row["split"], row["leak"]) for row in await ask(gateway, "too close", asked)}
    assert near == {("half", False)}
