"""A training can be stopped: by a cancellation, and by ending its worker, which hands it back."""

from __future__ import annotations

import psutil
import pytest

from graph.queries import runs
from graph.queries.runs import RunRow
from resolvers.services.context import Services
from resolvers.services.submission import TrainingRequest, submit_training
from tests.e2e.conftest import Start, until
from tests.resolvers.carried import ingest_carried

pytestmark = [pytest.mark.db, pytest.mark.timeout(600)]


async def _training(services: Services) -> RunRow:
    """A training that would go on for hours, in its first epochs."""
    await ingest_carried(services, sequences=3, frames=25)
    request = TrainingRequest(domain="fluid_dynamics", model="tiny", epochs=100_000, force=True)
    run = await submit_training(services, request)

    async def trains() -> bool:
        now = await runs.run(services.gateway, run.uid)
        assert not now.finished, now.error_message
        return now.progress > 0

    await until(trains, seconds=300, what="the first epochs")
    return await runs.run(services.gateway, run.uid)


async def test_cancel_then_hand_back(services: Services, start_worker: Start) -> None:
    worker = start_worker("batch")
    run = await _training(services)
    assert run.message.startswith("epoch ")
    assert "fidelity" in run.message
    (child,) = worker.children()
    await runs.request_cancel(services.gateway, run.uid)

    async def cancelled() -> bool:
        return (await runs.run(services.gateway, run.uid)).state == "CANCELLED"

    await until(cancelled, seconds=20, what="the cancellation")
    assert child.is_running(), "a run that stops by itself costs no child"

    run = await _training(services)
    worker.terminate()
    psutil.wait_procs([worker, child], timeout=20)
    assert not child.is_running()
    back = await runs.run(services.gateway, run.uid)
    assert (back.state, back.attempt, back.lease_token) == ("QUEUED", 2, None)
