"""What no node names goes; what is named, young, needed or may belong to work under way stays, and so do tombstones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graph.gateway import Gateway
from graph.queries import garbage as queries
from graph.queries import runs
from graph.settings import Settings
from nvp.atlas.series import Series
from nvp.atlas.store import ArrayStore
from resolvers.services import belonging, garbage
from resolvers.services.context import Services
from resolvers.services.garbage import collect
from resolvers.services.ingest import ingest_series
from tests.graph.queries import builders

pytestmark = pytest.mark.db
FIELDGRAPH = str(Path(sys.executable).with_name("fieldgraph"))

OLD = time.time() - 3 * 86_400
AGE = "MATCH (c:Checkpoint) SET c.created_at = datetime() - duration('P40D')"


@pytest.fixture
async def services(settings: Settings, gateway: Gateway, tmp_path: Path) -> Services:
    """An empty graph and a store that belongs to it."""
    made = Services(settings=settings, gateway=gateway, store=ArrayStore(tmp_path / "store"))
    await belonging.claim_new(made)
    return made


def series(seed: int) -> Series:
    energy = np.random.default_rng(seed).random((3, 8, 16, 1)).astype(np.float32)
    return Series(energy=energy, dt=1.0, first=0, domain="fluid_dynamics")


def age(root: Path) -> None:
    for path in [root, *root.rglob("*")]:
        os.utime(path, (OLD, OLD))


def left(services: Services) -> set[str]:
    root = services.store.root
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()} - {belonging.FILE}


async def uris(services: Services, **options: Any) -> dict[str, str]:
    return {waste.uri: waste.kind for waste in await collect(services, **options)}


async def test_files_that_no_node_names_go_and_the_others_stay(services: Services) -> None:
    await ingest_series(services, series(0), source="one", recipe={}, generator="test", label="Simulated")
    named = left(services)
    # a state whose array is an object, as predicted ones are, and an orphan of each kind
    state = services.store.write_array(np.ones((8, 16, 1), np.float32))
    spread = services.store.write_array(np.full((8, 16, 1), 2, np.float32))
    await services.gateway.write(
        "CREATE (:EnergySnapshot:Predicted {uid: 'p', uri: $uri, sha256: $sha, spread_uri: $other, spread_sha256: $o})",
        uri=state.uri, sha=state.sha256, other=spread.uri, o=spread.sha256,
    )  # fmt: skip
    named |= {state.uri, spread.uri}
    orphan = services.store.write_array(np.zeros((8, 16, 1), np.float32)).uri
    segment = services.store.write_segment(series(1)).uri
    assert await uris(services, dry_run=False) == {}  # all of it is young
    age(services.store.root)
    wanted = {orphan: "object", segment: "segment"}
    assert await uris(services, dry_run=True) == wanted
    assert left(services) == named | {orphan, segment}
    found = await collect(services, dry_run=False)
    assert {waste.uri: waste.kind for waste in found} == wanted
    assert all(waste.bytes > 0 for waste in found)
    assert left(services) == named
    assert await uris(services, dry_run=False) == {}


async def test_what_a_run_in_work_may_be_about_to_record_stays(services: Services) -> None:
    orphan = services.store.write_array(np.zeros((8, 16, 1), np.float32)).uri
    run = await builders.started(services.gateway)
    age(services.store.root)
    began = "MATCH (r:Run {uid: $uid}) SET r.started_at = datetime() - duration('P4D')"
    await services.gateway.write(began, uid=run.uid)
    assert await uris(services, dry_run=False) == {}
    await runs.transition(services.gateway, run.uid, "RUNNING", "SUCCEEDED", run.lease.token)
    assert await uris(services, dry_run=False) == {orphan: "object"}


async def test_a_file_that_is_recorded_while_it_is_removed_is_put_back(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan = services.store.write_array(np.zeros((8, 16, 1), np.float32))
    age(services.store.root)
    look, looks = queries.objects_named, []

    async def recorded_meanwhile(gateway: Gateway, uris: list[str]) -> set[str]:
        looks.append(uris)
        if len(looks) == 2:
            create = "CREATE (:EnergySnapshot:Predicted {uid: 'p', uri: $uri, sha256: $sha})"
            await gateway.write(create, uri=orphan.uri, sha=orphan.sha256)
        return await look(gateway, uris)

    monkeypatch.setattr(queries, "objects_named", recorded_meanwhile)
    assert await uris(services, dry_run=False) == {}
    assert len(looks) == 2
    assert left(services) == {orphan.uri}


async def folders(services: Services, run: str, *names: str) -> None:
    for name in names:
        folder = services.store.root / "runs" / run / name
        folder.mkdir(parents=True)
        (folder / "arrays").write_bytes(b"x" * 10)


async def test_folders_of_runs_that_have_ended_keep_what_checkpoints_name(services: Services) -> None:
    gateway = services.gateway
    trained = await builders.started(gateway)
    await gateway.write(
        "MATCH (r:Run {uid: $uid}) CREATE (:Checkpoint {uid: 'c', uri: $uri})-[:WAS_GENERATED_BY]->(r)",
        uid=trained.uid, uri=f"runs/{trained.uid}/best-1",
    )  # fmt: skip
    failed, going = await builders.started(gateway), await builders.submit(gateway)
    other = await builders.started(gateway, kind="evaluation")
    for uid in (trained.uid, failed.uid, going.uid, other.uid, "unknown"):
        await folders(services, uid, "best-1", "resume-1")
    for run, state in ((trained, "SUCCEEDED"), (failed, "FAILED"), (other, "SUCCEEDED")):
        await runs.transition(gateway, run.uid, "RUNNING", state, run.lease.token)
    age(services.store.root)
    await folders(services, failed.uid, "young")
    gone = {f"runs/{trained.uid}/resume-1", f"runs/{failed.uid}/best-1", f"runs/{failed.uid}/resume-1",
            "runs/unknown/best-1", "runs/unknown/resume-1"}  # fmt: skip
    assert set(await uris(services, dry_run=True)) == gone
    before = left(services)
    found = await collect(services, dry_run=False)
    assert {(waste.uri, waste.bytes) for waste in found} == {(uri, 10) for uri in gone}
    assert left(services) == {path for path in before if path.rpartition("/")[0] not in gone}
    assert not (services.store.root / "runs" / "unknown").exists()


async def test_checkpoints_beyond_the_retention_leave_a_tombstone(services: Services) -> None:
    gateway = services.gateway
    lease, _, best = await builders.trained(gateway)
    # three more of the same model: one needed, one not, one too young
    await gateway.write(
        """MATCH (m:Model)-[:HAS_CHECKPOINT]->(c:Checkpoint {uid: $best})-[:WAS_GENERATED_BY]->(r:Run)
        SET m.best_checkpoint = c.uid
        WITH m, r UNWIND ['needed', 'free', 'young'] AS name
        CREATE (m)-[:HAS_CHECKPOINT]->(o:Checkpoint {uid: name, step: 7, uri: 'runs/' + r.uid + '/' + name,
          created_at: datetime()})-[:WAS_GENERATED_BY]->(r)
        FOREACH (_ IN CASE WHEN name = 'needed' THEN [1] ELSE [] END | CREATE (:Prediction {uid: 'p'})-[:BY]->(o))""",
        best=best,
    )  # fmt: skip
    await folders(services, lease.run, "needed", "free", "young")
    await gateway.write(AGE)
    await gateway.write("MATCH (c:Checkpoint {uid: 'young'}) SET c.created_at = datetime()")
    free = f"runs/{lease.run}/free"
    assert await uris(services, dry_run=False) == {}  # its training goes on
    await runs.transition(gateway, lease.run, "RUNNING", "SUCCEEDED", lease.token)
    assert await uris(services, dry_run=False, days=50) == {}
    assert await uris(services, dry_run=True) == {free: "checkpoint"}
    assert await uris(services, dry_run=False) == {free: "checkpoint"}
    assert left(services) == {f"runs/{lease.run}/{name}/arrays" for name in ("needed", "young")}
    rows = await gateway.read(
        "MATCH (c:Checkpoint) WHERE c.removed_at IS NOT NULL "
        "RETURN c.uid AS uid, c.removed_by AS by, c.removed_at > datetime() - duration('PT5M') AS now"
    )
    assert [(row["uid"], row["now"]) for row in rows] == [("free", True)]
    assert rows[0]["by"].endswith(", gc")
    assert await uris(services, dry_run=False) == {}
    # one that is needed by now stays, whatever was seen before
    assert await queries.bury(gateway, ["needed"], by="gc") == set()


EXPERIMENT = """MATCH (r:Run {uid: $child}) MERGE (a:Run {uid: $uid}) SET a.kind = 'ace', a.state = $state
MERGE (r)-[:PART_OF]->(a)"""
RETIRED = """MATCH (a:Run {uid: $uid}) CREATE (a)-[:STAGE]->(:Stage {uid: $uid + 's', name: 'retire',
  outputs_json: '{"certificate":{"due":' + $due + ',"reasons":[]}}'})"""


async def test_shadows_go_unless_an_experiment_looks_back_on_them(services: Services) -> None:
    gateway = services.gateway
    made: dict[str, str] = {}
    for name in ("free", "going", "certified", "due", "shared", "young", "training"):
        run = await builders.started(gateway, kind="evaluation" if name == "training" else "shadows", dedup_key=name)
        await runs.transition(gateway, run.uid, "RUNNING", "SUCCEEDED", run.lease.token)
        await folders(services, run.uid, "shadows")
        made[name] = run.uid
    state = {"going": "RUNNING"}
    for name, uid in made.items():
        await gateway.write(EXPERIMENT, child=uid, uid=f"ace of {name}", state=state.get(name, "SUCCEEDED"))
        await gateway.write(RETIRED, uid=f"ace of {name}", due=str(name == "due").lower())
    # one that an earlier experiment had trained, and a certified one found
    await gateway.write(EXPERIMENT, child=made["shared"], uid="ace of certified", state="SUCCEEDED")
    await gateway.write("MATCH (a:Run {uid: 'ace of certified'}) CREATE (a)-[:CERTIFIED_BY]->(:Certificate {uid: 'c'})")
    old = "MATCH (r:Run) WHERE r.uid <> $young SET r.finished_at = datetime() - duration('P40D')"
    await gateway.write(old, young=made["young"])
    free = {f"runs/{made['free']}": "shadows"}
    assert await uris(services, dry_run=False, days=50) == {}
    assert await uris(services, dry_run=True) == free
    assert await uris(services, dry_run=False) == free
    assert {path.split("/")[1] for path in left(services)} == {uid for name, uid in made.items() if name != "free"}
    # the run stays and says so; whoever wants such members trains them anew
    (row,) = await gateway.read(
        "MATCH (r:Run) WHERE r.files_removed_at IS NOT NULL "
        "RETURN r.uid AS uid, r.files_removed_by AS by, r.dedup_key AS key"
    )
    assert (row["uid"], row["key"]) == (made["free"], None)
    assert row["by"].endswith(", gc")
    assert await runs.succeeded(gateway, "free") is None
    assert await runs.succeeded(gateway, "shared") is not None
    # asked again behind the mark: what is needed by now keeps its files
    assert await queries.bury_shadows(gateway, [made["certified"], made["going"]], by="gc") == set()
    # files of a marked run that a killed collector left behind
    await folders(services, made["free"], "shadows")
    age(services.store.root)
    assert set(await uris(services, dry_run=False)) == {f"runs/{made['free']}/shadows"}


async def test_one_folder_that_another_collector_removes_is_no_error(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan = services.store.write_array(np.zeros((8, 16, 1), np.float32)).uri
    age(services.store.root)
    look = queries.objects_named

    async def removed_meanwhile(gateway: Gateway, uris: list[str]) -> set[str]:
        services.store.path(orphan).unlink(missing_ok=True)
        return await look(gateway, uris)

    monkeypatch.setattr(garbage.garbage, "objects_named", removed_meanwhile)
    assert await uris(services, dry_run=False) == {}


def test_the_command_says_what_it_removes(environment: dict[str, str], services: Services) -> None:
    orphan = services.store.write_array(np.zeros((8, 16, 1), np.float32)).uri
    age(services.store.root)
    env = environment | {"FIELDGRAPH_STORE": str(services.store.root)}

    def ask(*arguments: str) -> str:
        done = subprocess.run([FIELDGRAPH, "gc", *arguments], env=env, capture_output=True, text=True, check=True)
        return done.stdout

    said = json.loads(ask("--dry-run", "--json"))
    assert (said["dry_run"], said["counts"], [one["uri"] for one in said["removed"]]) == (True, {"object": 1}, [orphan])
    assert "1 removed" in ask()
    assert left(services) == set()
