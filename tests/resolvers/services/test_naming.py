"""What a true prediction has stored stays, whoever sweeps the store, for as long as the graph has the prediction."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import h5py
import pytest

from graph.gateway import Gateway
from graph.queries import audit as queries
from graph.queries import prediction, timeline, training
from graph.settings import Settings
from nvp.atlas.store import ArrayStore
from resolvers.services.audit import audit_graph
from resolvers.services.context import Services
from resolvers.services.garbage import collect
from resolvers.services.naming import delete_unnamed, named
from resolvers.services.repair import repair
from resolvers.services.submission import PredictionRequest, TrainingRequest, submit_prediction, submit_training
from tests.graph.queries.plans import explain, fill
from tests.resolvers.carried import carried, ingest_carried
from tests.resolvers.working import worked

pytestmark = pytest.mark.db

OLD = time.time() - 3 * 86_400


@pytest.fixture
def services(settings: Settings, gateway: Gateway, tmp_path: Path) -> Services:
    """An empty graph and a store of its own."""
    return Services(settings=settings, gateway=gateway, store=ArrayStore(tmp_path / "store"))


@pytest.fixture
async def predicted(services: Services) -> str:
    """uri of the file of a prediction of three steps, made days ago as any user makes one."""
    (sequence, *_) = await ingest_carried(services, sequences=3, side=8, frames=12)
    asked = TrainingRequest(domain="fluid_dynamics", model="ridge", history=1)
    model = await training.model_of_run(
        services.gateway, (await worked(services, await submit_training(services, asked))).uid
    )
    assert model is not None
    frames = await timeline.frames(services.gateway, sequence, 0, 11)
    request = PredictionRequest(checkpoints=(str(model.best_checkpoint),), starts=(frames[5].uid,), steps=3)
    run = await worked(services, await submit_prediction(services, request))
    (uid,) = await prediction.predictions_of_run(services.gateway, run.uid)
    made = await prediction.prediction(services.gateway, uid)
    (uri,) = {state.uri.partition("#")[0] for state in made.states}
    assert uri.startswith("segments/")
    age(services.store.root)
    return uri


def age(root: Path) -> None:
    for path in root.rglob("*"):
        os.utime(path, (OLD, OLD))


async def swept(services: Services) -> set[str]:
    """uris of segments that went."""
    return {waste.uri for waste in await collect(services, dry_run=False) if waste.kind == "segment"}


async def test_a_prediction_outlives_every_sweep_until_the_graph_forgets_it(services: Services, predicted: str) -> None:
    path = services.store.path(predicted)
    assert [waste for waste in await collect(services, dry_run=True) if waste.kind == "segment"] == []
    assert await swept(services) == set()
    assert not await delete_unnamed(services, predicted)
    assert path.is_file()
    assert (await audit_graph(services, verify=True)).defects == []
    # lead 1 is what is asked for first: the others keep the file just as well
    await services.gateway.write("MATCH (e:Predicted {lead: 1}) DETACH DELETE e")
    assert await swept(services) == set()
    await services.gateway.write("MATCH (e:Predicted) DETACH DELETE e")
    assert await swept(services) == {predicted}
    assert not path.exists()


async def test_a_prediction_that_was_recorded_while_the_audit_looked_is_no_orphan(
    services: Services, predicted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none_yet(_: Gateway) -> AsyncIterator[tuple[str, queries.FileOf]]:
        for nothing in ():
            yield nothing

    with monkeypatch.context() as patch:
        patch.setattr(queries, "files", none_yet)
        assert (await audit_graph(services)).defects == []
        # nor does a repair believe what an audit saw before
        patch.setattr(queries, "segments_named", none_named)
        found = await audit_graph(services)
    assert [defect.uri for defect in found.defects if defect.kind == "orphan_file"].count(predicted) == 1
    for now in (False, True):
        assert predicted not in {defect.uri for defect in await repair(services, found, now=now)}
    assert services.store.path(predicted).is_file()


async def none_named(*_: object) -> set[str]:
    return set()


async def test_a_damaged_prediction_is_left_to_its_audit(services: Services, predicted: str) -> None:
    path = services.store.path(predicted)
    with h5py.File(path, "r+", locking=False) as file:
        for frame in range(3):  # hashes lead nowhere any more
            file["energy"][frame] = frame
    age(services.store.root)
    assert await swept(services) == set()
    path.write_bytes(path.read_bytes()[:700])
    age(services.store.root)
    assert await swept(services) == set()
    assert (await audit_graph(services, verify=True)).counts() == {"damaged_file": 6}  # states and spreads


async def test_all_kinds_of_files_are_told_apart_at_once(services: Services, predicted: str) -> None:
    ingested = {row["uri"] for row in await services.gateway.read("MATCH (g:Segment) RETURN g.uri AS uri")}
    orphans = {
        services.store.write_segment(carried(side=8, frames=4, seed=9)).uri,
        services.store.write_array(carried(side=8, seed=9).energy[0]).uri,
    }
    # its frames are named, but in another file
    orphans.add(services.store.write_segment(carried(side=8, frames=5, seed=0)).uri)
    assert len(ingested) == 3
    assert await named(services, {predicted, *ingested, *orphans}) == {predicted, *ingested}
    for uri in orphans:
        assert await delete_unnamed(services, uri)
        assert not await delete_unnamed(services, uri)  # once
    assert await named(services, ()) == set()


async def test_files_are_asked_for_by_an_index(gateway: Gateway) -> None:
    await fill(gateway)
    found = await explain(gateway, queries.SEGMENTS_NAMED)
    assert not {operator for operator in found if operator.endswith("Scan")}
    assert any("Seek" in operator for operator in found)
