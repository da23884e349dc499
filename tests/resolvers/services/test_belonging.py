"""A store is swept by the graph it belongs to: to a fresh one, or one elsewhere, all of it would be garbage."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from graph.errors import GraphError
from graph.gateway import Gateway
from graph.queries import audit as queries
from graph.settings import Settings
from nvp.atlas.store import ArrayStore
from resolvers.services.audit import audit_graph
from resolvers.services.belonging import FILE, require_own
from resolvers.services.context import Services
from resolvers.services.garbage import collect
from resolvers.services.repair import repair
from tests.conftest import EMPTY
from tests.graph.queries import builders
from tests.resolvers.carried import ingest_carried

pytestmark = pytest.mark.db

OLD = time.time() - 3 * 86_400


@pytest.fixture
def services(settings: Settings, gateway: Gateway, tmp_path: Path) -> Services:
    """An empty graph and a store of its own."""
    return Services(settings=settings, gateway=gateway, store=ArrayStore(tmp_path / "store"))


def age(services: Services) -> set[Path]:
    """All files of the store, days old."""
    found = {path for path in services.store.root.rglob("*") if path.is_file()}
    for path in services.store.root.rglob("*"):
        os.utime(path, (OLD, OLD))
    return found


async def refused(services: Services) -> None:
    kept = age(services)
    findings = await audit_graph(services)
    for sweep in (collect(services, dry_run=True), collect(services, dry_run=False), repair(services, findings)):
        with pytest.raises(GraphError) as caught:
            await sweep
        assert caught.value.code == "OTHER_GRAPH"
        assert "\n" not in str(caught.value)
    assert {path for path in services.store.root.rglob("*") if path.is_file()} == kept


async def test_the_graph_of_the_first_ingest_sweeps_and_no_other(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ingest_carried(services, side=8, frames=4)
    said = json.loads((services.store.root / FILE).read_text())
    assert said == {"database": await queries.database(services.gateway)}
    assert len(said["database"]) > 10
    orphan = services.store.write_array(np.ones((8, 8, 1), np.float32)).uri

    async def elsewhere(_: Gateway) -> str:
        return "another database"

    with monkeypatch.context() as patch:
        patch.setattr(queries, "database", elsewhere)
        await refused(services)
        await ingest_carried(services, side=8, frames=4)  # is no claim
        await refused(services)
    (services.store.root / FILE).write_text("{")
    await refused(services)
    (services.store.root / FILE).write_text(json.dumps(said))
    age(services)
    assert [waste.uri for waste in await collect(services, dry_run=False)] == [orphan]


async def test_a_store_that_does_not_say_is_known_by_what_the_graph_names(services: Services) -> None:
    """As stores were made before: a fresh graph knows nothing of them, their own does."""
    await ingest_carried(services, side=8, frames=4)
    orphan = services.store.write_array(np.ones((8, 8, 1), np.float32)).uri
    file = services.store.root / FILE
    file.unlink()
    age(services)
    assert [waste.uri for waste in await collect(services, dry_run=True)] == [orphan]
    assert not file.exists()
    assert [waste.uri for waste in await collect(services, dry_run=False)] == [orphan]
    assert file.exists()

    file.unlink()
    await services.gateway.execute_schema(EMPTY)
    (services.store.root / "runs" / "unknown" / "best-1").mkdir(parents=True)
    await refused(services)
    assert not file.exists()
    # a run's folder is enough
    run = await builders.submit(services.gateway)
    (services.store.root / "runs" / run.uid).mkdir()
    await require_own(services)
    assert file.exists()


async def test_an_empty_store_is_anybodys(services: Services) -> None:
    assert await collect(services, dry_run=False) == []
    assert (services.store.root / FILE).exists()
