"""What the graph makes of a bundle is what it would have made itself, once, and of a damaged one nothing."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graph.errors import GraphError
from graph.identity import digest
from graph.queries import offline, runs, training, unlearnt
from nvp.errors import FieldError
from resolvers.services.bundle import CHECKPOINT, MANIFEST, METRICS, file_digest, read_bundle
from resolvers.services.context import Services
from resolvers.services.forecasters import forecaster_of
from resolvers.services.importing import IngestRequest
from resolvers.services.ingest import ingest_file
from resolvers.services.offline_import import import_bundle
from resolvers.services.submission import submit_training
from tests.resolvers.bundles import RIDGE, read
from tests.resolvers.working import worked


async def counts(services: Services) -> tuple[int, int]:
    (row,) = await services.gateway.read(
        "MATCH (n) WHERE NOT n:__Neo4jMigration AND NOT n:__Neo4jMigrationsLock "
        "RETURN count(n) AS nodes, sum(COUNT {(n)-->()}) AS links"
    )
    return row["nodes"], row["links"]


def _manifest(bundle: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the manifest as one who can compute its sha256."""
    values = json.loads((bundle / MANIFEST).read_text())
    values.pop("sha256")
    change(values)
    (bundle / MANIFEST).write_text(json.dumps({**values, "sha256": digest(values)}))


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "corrupt": (lambda folder: _flip(folder / "checkpoint/weights.npz"), "checkpoint/weights.npz of sha256"),
    "truncated": (lambda folder: (folder / METRICS).write_bytes(b"{"), "bytes in metrics.jsonl, got 1"),
    "missing": (lambda folder: (folder / "checkpoint/config.json").unlink(), "checkpoint/config.json, found nothing"),
    "extra": (lambda folder: (folder / "checkpoint/more").write_bytes(b""), "got checkpoint/more"),
    "hidden": (lambda folder: (folder / ".more").write_bytes(b""), "got .more"),
    "link": (lambda folder: (folder / "more").symlink_to("/etc/hostname"), "got a link"),
    "manifest": (lambda folder: _flip(folder / MANIFEST), "manifest.json"),
    "no manifest": (lambda folder: (folder / MANIFEST).unlink(), "expected manifest.json"),
    "an array": (lambda folder: (folder / MANIFEST).write_text("[]"), "got list"),
    "format": (lambda folder: _manifest(folder, lambda said: said.update(format="fieldgraph 2")), "got 'fieldgraph 2'"),
    "climbing": (
        lambda folder: _manifest(
            folder, lambda said: said["files"].update({"../../x": {"bytes": 0, "sha256": "0" * 64}})
        ),
        "got '../../x'",
    ),
    "absolute": (
        lambda folder: _manifest(folder, lambda said: said["files"].update({"/x": {"bytes": 0, "sha256": "0" * 64}})),
        "got '/x'",
    ),
    "a run elsewhere": (lambda folder: _manifest(folder, lambda said: said.update(run="../x")), "uid of a run"),
    "files of another kind": (lambda folder: _manifest(folder, lambda said: said.update(files=[])), "under files"),
    "another model": (lambda folder: _manifest(folder, lambda said: said["model"].update(rng_seed=9)), "own uids"),
    "no account": (lambda folder: _manifest(folder, lambda said: said["checkpoint"].clear()), "got KeyError"),
}


@pytest.mark.db
async def test_a_damaged_bundle_is_one_line_and_leaves_nothing(
    services: Services, finished: Path, tmp_path: Path
) -> None:
    before = await counts(services)
    kept = set(services.store.root.rglob("*"))
    for name, (damage, expected) in DAMAGE.items():
        bundle = shutil.copytree(finished, tmp_path / name)
        damage(bundle)
        with pytest.raises(FieldError) as caught:
            await import_bundle(services, bundle)
        assert expected in str(caught.value), name
        assert "\n" not in str(caught.value), name
    assert await counts(services) == before
    assert set(services.store.root.rglob("*")) == kept


@pytest.mark.db
async def test_the_graph_has_the_model_that_it_would_have_trained(
    services: Services, finished: Path, data: list[Path]
) -> None:
    for path in data:
        await ingest_file(services, IngestRequest(path=path, domain="fluid_dynamics"))
    own = await worked(services, await submit_training(services, RIDGE))
    model = await training.model_of_run(services.gateway, own.uid)
    report = await import_bundle(services, finished)
    assert model is not None
    assert (report.model, report.checkpoint, report.split) == (model.uid, model.best_checkpoint, model.split)
    assert (len(report.linked), report.absent) == (3, ())
    # a run with its epoch, and its links to what was there
    assert (report.created_nodes, report.epochs) == (2, 1)


@pytest.mark.db
async def test_twice_and_two_at_once_add_nothing(services: Services, finished: Path, data: list[Path]) -> None:
    await ingest_file(services, IngestRequest(path=data[0], domain="fluid_dynamics"))
    together = await asyncio.gather(*(import_bundle(services, finished) for _ in range(3)))
    before = await counts(services)
    again = await import_bundle(services, finished)
    assert await counts(services) == before
    assert (again.created_nodes, again.created_relationships) == (0, 0)
    assert sorted(report.created_nodes for report in together) == [0, 0, 5]
    assert {report.checkpoint for report in together} == {again.checkpoint}

    run = await runs.run(services.gateway, again.run)
    assert (run.state, run.offline, run.progress, run.kind) == ("SUCCEEDED", True, 1.0, "training")
    assert run.finished_at is not None
    assert run.created_at <= run.finished_at
    # the checkpoint predicts out of the store
    checkpoint = await training.checkpoint(services.gateway, again.checkpoint)
    assert forecaster_of(services.store, checkpoint).history == 3

    # what is not there is named with how to bring it in, and is linked when it has come
    assert [one.ingest for one in again.absent] == [
        f"fieldgraph ingest wave-{number}.npy --domain fluid_dynamics" for number in (1, 2)
    ] or {one.source for one in again.absent} == {"wave-1", "wave-2"}
    for path in data[1:]:
        await ingest_file(services, IngestRequest(path=path, domain="fluid_dynamics"))
    whole = await import_bundle(services, finished)
    assert (whole.created_nodes, len(whole.linked), whole.absent) == (0, 3, ())
    assert whole.created_relationships >= 4
    parts = await services.gateway.read(
        "MATCH (:Split {uid: $uid})-[p:HAS_PART]->(s:Sequence) RETURN p.role AS role, s.uid AS sequence",
        uid=whole.split,
    )
    assert sorted(part["role"] for part in parts) == ["test", "train", "val"]


@pytest.mark.db
async def test_the_same_frames_under_another_name_are_found_and_others_are_not(
    services: Services, finished: Path, data: list[Path], tmp_path: Path
) -> None:
    renamed = shutil.copyfile(data[0], tmp_path / "renamed.npy")
    shutil.copyfile(data[0].with_suffix(".json"), tmp_path / "renamed.json")
    there = await ingest_file(services, IngestRequest(path=renamed, domain="fluid_dynamics"))
    values = np.load(data[1])
    values[-1, 0, 0] += 1
    (tmp_path / "other").mkdir()
    changed = tmp_path / "other" / data[1].name
    np.save(changed, values)
    shutil.copyfile(data[1].with_suffix(".json"), changed.with_suffix(".json"))
    await ingest_file(services, IngestRequest(path=changed, domain="fluid_dynamics"))
    report = await import_bundle(services, finished)
    assert report.linked == (there.sequence,)
    assert {one.source: one.differs for one in report.absent} == {"wave-1": True, "wave-2": False}


@pytest.mark.db
async def test_another_account_of_the_same_run_is_a_conflict(services: Services, bundle: Path) -> None:
    await import_bundle(services, bundle)
    before = await counts(services)
    _manifest(bundle, lambda said: said.update(device="another"))
    with pytest.raises(GraphError, match="another account"):
        await import_bundle(services, bundle)
    assert await counts(services) == before


def _other_parameters(bundle: Path) -> None:
    """Another training's files under the same run and step."""
    config = bundle / CHECKPOINT / "config.json"
    config.write_text(config.read_text() + "\n")
    facts = {"bytes": config.stat().st_size, "sha256": file_digest(config)}
    _manifest(bundle, lambda said: said["files"].update({f"{CHECKPOINT}/config.json": facts}))


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.db
async def test_what_an_imported_model_has_learnt_is_no_evidence_before_the_graph_knows_it(
    services: Services, finished: Path, data: list[Path]
) -> None:
    parts = {part["sequence"]: part["role"] for part in read_bundle(finished).split["parts"]}
    paths = {parts[one.uid]: path for one, path in zip(read(data), data, strict=True)}
    for role in ("test", "train"):
        await ingest_file(services, IngestRequest(path=paths[role], domain="fluid_dynamics"))
    report = await import_bundle(services, finished)
    # the one that chose the model comes later: to the graph it is in no part
    await ingest_file(services, IngestRequest(path=paths["val"], domain="fluid_dynamics"))
    with pytest.raises(GraphError, match="got 1 missing"):
        await unlearnt.stretches(services.gateway, checkpoint=report.checkpoint, domain="fluid_dynamics")
    whole = await import_bundle(services, finished)
    assert whole.absent == ()
    (stretch,) = await unlearnt.stretches(services.gateway, checkpoint=report.checkpoint, domain="fluid_dynamics")
    assert parts[stretch.sequence] == "test"


def _age(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (0, 0))


@pytest.mark.db
async def test_no_import_touches_the_files_of_another_account(
    services: Services, bundle: Path, finished: Path, data: list[Path]
) -> None:
    report = await import_bundle(services, bundle)
    place = services.store.root / (await training.checkpoint(services.gateway, report.checkpoint)).uri
    before = _contents(place.parent)
    _other_parameters(bundle)
    with pytest.raises(GraphError, match="another account") as refused:
        await import_bundle(services, bundle)
    assert (refused.value.code, _contents(place.parent)) == ("OTHER_BUNDLE", before)
    # nor those of one that was killed just before it was recorded, or is about to be
    await services.gateway.write("MATCH (r:Run {uid: $uid}) DETACH DELETE r", uid=report.run)
    nodes = await counts(services)
    with pytest.raises(GraphError, match="another account"):
        await import_bundle(services, bundle)
    assert (await counts(services), _contents(place.parent)) == (nodes, before)
    # what this very bundle left there damaged is mended
    await import_bundle(services, finished)
    (place / "config.json").write_text("{")
    await import_bundle(services, finished)
    assert _contents(place.parent) == before

    for path in data:
        await ingest_file(services, IngestRequest(path=path, domain="fluid_dynamics"))
    own = await worked(services, await submit_training(services, replace(RIDGE, seed=5)))
    folder = services.store.root / "runs" / own.uid
    trained = _contents(folder)
    assert trained
    _manifest(bundle, lambda said: said.update(run=own.uid))
    with pytest.raises(GraphError, match="another account"):
        await import_bundle(services, bundle)
    assert _contents(folder) == trained


@pytest.mark.db
async def test_what_was_collected_comes_back_with_an_import(
    services: Services, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _age(bundle)
    report = await import_bundle(services, bundle)
    row = await training.checkpoint(services.gateway, report.checkpoint)
    place = services.store.root / row.uri

    def newest() -> float:
        return max(path.stat().st_mtime for path in [place, *place.rglob("*")])

    assert newest() > time.time() - 600
    whole = _contents(place)
    await services.gateway.write(
        "MATCH (c:Checkpoint) SET c.removed_at = datetime(), c.removed_by = 'gc', "
        "c.created_at = datetime() - duration('P40D')"
    )
    shutil.rmtree(place)
    again = await import_bundle(services, bundle)
    assert (again.created_nodes, again.created_relationships) == (0, 0)
    assert _contents(place) == whole
    (node,) = await services.gateway.read(
        "MATCH (c:Checkpoint) RETURN c.removed_at AS at, c.removed_by AS by, c.uri AS uri, "
        "c.created_at > datetime() - duration('PT10M') AS young"
    )
    assert node == {"at": None, "by": None, "uri": row.uri, "young": True}
    # files that were there already are young as well
    _age(place)
    record = offline.record

    async def swept(*given: Any, **more: Any) -> Any:
        assert newest() > time.time() - 600
        shutil.rmtree(place)  # by a collector that had looked before
        return await record(*given, **more)

    monkeypatch.setattr(offline, "record", swept)
    await import_bundle(services, bundle)
    assert _contents(place) == whole
