"""Training's writes: complete, repeatable by the next attempt, and void without the lease."""

from __future__ import annotations

import pytest

from graph.errors import NotFound
from graph.gateway import Gateway
from graph.queries import audit, runs, training
from graph.queries.leases import Lease, LeaseLost
from tests.graph.queries import builders

pytestmark = pytest.mark.db


async def test_a_checkpoint_knows_its_model_its_run_and_what_came_before(gateway: Gateway) -> None:
    lease, split, first = await builders.trained(gateway)
    row = await training.checkpoint(gateway, first)
    assert (row.step, row.val_fidelity, row.metrics) == (1, 0.3, {"val_fidelity": 0.3, "val_loss": None})
    assert (row.model.config, row.model.split, row.model.best_checkpoint) == ({"radius": 2}, split, None)
    later = {
        step: await training.record_checkpoint(
            gateway,
            lease,
            model=row.model.uid,
            step=step,
            epoch=step,
            uri=f"checkpoints/{step}",
            sha256=builders.sha("weights", step),
            metrics={},
        )
        for step in (5, 9, 9)
    }
    chain = await gateway.read(
        "MATCH (c:Checkpoint)-[:WAS_DERIVED_FROM]->(e:Checkpoint) RETURN c.step AS late, e.step AS early"
    )
    assert {(link["late"], link["early"]) for link in chain} == {(5, 1), (9, 5)}
    await training.finish_model(gateway, lease, model=row.model.uid, best_checkpoint=later[5])
    model = await training.model_of_run(gateway, lease.run)
    assert model is not None
    assert (model.uid, model.best_checkpoint) == (row.model.uid, later[5])
    assert await training.model(gateway, model.uid) == model
    assert [c.step for c in await training.checkpoints(gateway, model.uid)] == [9, 5, 1]


async def test_a_model_says_how_and_on_what_it_was_trained(gateway: Gateway) -> None:
    lease, split, first = await builders.trained(gateway)
    solved = (await training.checkpoint(gateway, first)).model
    assert (solved.recipe, solved.data_digest) == (None, None)
    uid = await training.create_model(
        gateway,
        lease,
        name="tiny",
        architecture="tiny",
        domain="plasma",
        split=split,
        config={"kind": "nvp", "training": {"recipe": "seeds"}},
        rng_seed=0,
        code_version="v",
        data_digest="ab" * 32,
    )
    model = await training.model(gateway, uid)
    assert (model.recipe, model.data_digest, model.code_version) == ("seeds", "ab" * 32, "v")


async def test_an_attempt_that_repeats_an_epoch_replaces_it(gateway: Gateway) -> None:
    lease, _, _ = await builders.trained(gateway)
    for loss in (2.0, 1.5, float("nan")):
        await training.record_epoch(
            gateway, lease, epoch=1, step=10, metrics={"train_loss": loss, "val_fidelity": 0.2, "spread": 0.1}
        )
    (row,) = await gateway.read(
        "MATCH (:TrainingRun {uid: $uid})-[:EPOCH]->(e:Epoch) RETURN e{.*} AS epoch", uid=lease.run
    )
    assert (row["epoch"]["epoch"], row["epoch"]["val_fidelity"]) == (1, 0.2)
    assert "train_loss" not in row["epoch"]
    assert row["epoch"]["metrics_json"] == '{"spread":0.1,"train_loss":null,"val_fidelity":0.2}'


async def test_superseded_checkpoints_are_given_up_but_for_those_that_are_needed(gateway: Gateway) -> None:
    lease, _, first = await builders.trained(gateway)
    model = (await training.checkpoint(gateway, first)).model.uid

    async def record(step: int, lease: Lease = lease) -> str:
        uri, sha256 = f"checkpoints/{step}", builders.sha("weights", step)
        return await training.record_checkpoint(
            gateway, lease, model=model, step=step, epoch=step, uri=uri, sha256=sha256, metrics={}
        )

    found = {1: first, **{step: await record(step) for step in range(2, 8)}}
    other = (await builders.started(gateway)).lease
    await record(0, other)  # another run's is not ours to give up
    await builders.submit(gateway, kind="evaluation", inputs=[(found[2], "checkpoint")])
    await gateway.write("MATCH (c {uid: $uid}) CREATE (:Evaluation {uid: 'e'})-[:SCORES]->(c)", uid=found[3])
    await gateway.write("MATCH (c {uid: $uid}) CREATE (:Prediction {uid: 'p'})-[:BY]->(c)", uid=found[4])
    # 7 is the best, 6 and 5 were it before
    assert await training.retire(gateway, lease, model=model, keep=2) == ["checkpoints/1"]
    # whoever was interrupted in removing the files is told again
    assert await training.retire(gateway, lease, model=model, keep=1) == ["checkpoints/1", "checkpoints/5"]
    await training.finish_model(gateway, lease, model=model, best_checkpoint=found[6])
    assert await training.retire(gateway, lease, model=model, keep=0) == ["checkpoints/1", "checkpoints/5"]
    files = {node.uri async for label, node in audit.files(gateway) if label == "Checkpoint"}
    assert files == {f"checkpoints/{step}" for step in (0, 2, 3, 4, 6, 7)}
    with pytest.raises(NotFound, match="files of Checkpoint"):
        await builders.submit(gateway, kind="evaluation", inputs=[(found[5], "checkpoint")])
    # the same parameters again have files again
    await record(5)
    await builders.submit(gateway, kind="evaluation", inputs=[(found[5], "checkpoint")])
    with pytest.raises(LeaseLost):
        await training.retire(gateway, Lease(lease.run, "another's"), model=model, keep=0)


async def test_nothing_is_written_without_the_lease(gateway: Gateway) -> None:
    lease, split, checkpoint = await builders.trained(gateway)
    model = (await training.checkpoint(gateway, checkpoint)).model
    await runs.transition(gateway, lease.run, "RUNNING", "FAILED", lease.token)
    before = await gateway.read("MATCH (n) RETURN count(n) AS n, sum(COUNT {(n)-->()}) AS links")
    for stale in (lease, Lease(lease.run, "another's"), Lease("nowhere", "t")):
        with pytest.raises(LeaseLost):
            await training.record_epoch(gateway, stale, epoch=2, step=20, metrics={})
        with pytest.raises(LeaseLost):
            await training.record_checkpoint(
                gateway, stale, model=model.uid, step=2, epoch=2, uri="u", sha256="s", metrics={}
            )
        with pytest.raises(LeaseLost):
            await training.finish_model(gateway, stale, model=model.uid, best_checkpoint=checkpoint)
        with pytest.raises(LeaseLost):
            await training.create_model(
                gateway,
                stale,
                name="m",
                architecture="ridge",
                domain="plasma",
                split=split,
                config={},
                rng_seed=1,
                code_version="v",
            )
    assert await gateway.read("MATCH (n) RETURN count(n) AS n, sum(COUNT {(n)-->()}) AS links") == before


async def test_what_does_not_exist_is_named(gateway: Gateway) -> None:
    lease, _, _ = await builders.trained(gateway)
    with pytest.raises(NotFound, match="no Model with uid 'nowhere'"):
        await training.record_checkpoint(
            gateway, lease, model="nowhere", step=2, epoch=2, uri="u", sha256="s", metrics={}
        )
    with pytest.raises(NotFound, match="no Checkpoint"):
        await training.finish_model(gateway, lease, model="nowhere", best_checkpoint="nowhere")
    with pytest.raises(NotFound, match="no Checkpoint"):
        await training.checkpoint(gateway, "nowhere")
    with pytest.raises(NotFound, match="no Model"):
        await training.model(gateway, "nowhere")
    assert await training.model_of_run(gateway, "nowhere") is None
