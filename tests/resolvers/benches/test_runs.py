"""The bench of the queue finds each run executed once, and would say so if one were not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graph.gateway import Gateway
from graph.queries import runs
from graph.settings import Settings
from nvp.atlas.store import ArrayStore
from resolvers.benches.runs import RunsConfig, _result, bench_runs
from resolvers.services.context import Services
from tests.graph.queries import builders

pytestmark = pytest.mark.db


async def test_eight_claimers_take_each_run_once(gateway: Gateway, settings: Settings) -> None:
    services = Services(settings=settings, gateway=gateway, store=ArrayStore(settings.store))
    config = RunsConfig(runs=48, workers=8, quick=True)
    told: list[str] = []
    found = await bench_runs(services, config, on_progress=lambda name, share, message: told.append(name))
    assert (found["n"], found["succeeded"], found["claims"], found["lost"], found["duplicated"]) == (48, 48, 48, 0, 0)
    assert found["criteria"]["each exactly once"]
    assert 0 < found["claim_ms"]["p50"] <= found["claim_ms"]["p95"]
    assert told == ["claim"]


async def test_what_went_wrong_is_counted(gateway: Gateway) -> None:
    config = RunsConfig(runs=4, quick=True)
    row = await builders.started(gateway)
    done = await runs.transition(gateway, row.uid, "RUNNING", "SUCCEEDED", row.lease.token)
    assert done is not None
    rows = [done, replace(done, uid="b", attempt=2), replace(done, uid="c", state="FAILED"), replace(done, uid="d")]
    outputs = {done.uid: 1, "b": 1, "c": 1, "d": 2}
    found = _result(config, rows, [(0.04, 2), (0.1, 2)], outputs, 5.0, 1.0)
    assert (found["lost"], found["duplicated"], found["claim_ms"]["mean"]) == (1, 2, 35.0)
    assert found["criteria"] == {"each exactly once": False, "claim below 20 ms per run": False}
    assert not found["passed"]
    assert not _result(config, [done], [(0.01, 2)], outputs, 5.0, 1.0)["criteria"]["each exactly once"]
