"""An attempt that ends is charged: its time, and its energy where sources agree."""

from __future__ import annotations

from typing import Any

import pytest

from graph.gateway import Gateway
from graph.queries import runs
from graph.queries.runs import RunRow
from tests.graph.queries.builders import started, submit

pytestmark = pytest.mark.db

BACK = "MATCH (r:Run {uid: $uid}) SET r.attempt_started_at = datetime() - duration('PT90S')"
MEASURED, ESTIMATED = "measured: RAPL", "estimated: 10 W × CPU seconds"


async def again(gateway: Gateway, row: RunRow) -> RunRow:
    (claimed,) = await runs.claim(gateway, capability="batch", worker="w", lease_seconds=60, only=row.uid)
    running = await runs.transition(gateway, row.uid, "LEASED", "RUNNING", claimed.lease_token)
    assert running is not None
    return running


async def attempts(gateway: Gateway, *spent: tuple[float | None, str | None]) -> RunRow:
    """A run after attempts that spent so much, the last of which succeeded."""
    row = await started(gateway)
    for at, (joules, source) in enumerate(spent):
        if at:
            row = await again(gateway, row)
        to = "SUCCEEDED" if at == len(spent) - 1 else "QUEUED"
        moved = await runs.transition(
            gateway, row.uid, "RUNNING", to, row.lease.token, energy_joules=joules, energy_source=source
        )
        assert moved is not None
        row = moved
    return row


@pytest.mark.parametrize(
    ("spent", "joules", "source", "measured", "estimated", "unmetered"),
    [
        ([(2.0, MEASURED)], 2.0, MEASURED, 2.0, None, 0),
        ([(2.0, MEASURED), (3.0, MEASURED)], 5.0, MEASURED, 5.0, None, 0),
        ([(2.0, ESTIMATED), (3.0, ESTIMATED)], 5.0, ESTIMATED, None, 5.0, 0),
        ([(2.0, MEASURED), (3.0, ESTIMATED)], None, "mixed", 2.0, 3.0, 0),
        ([(2.0, MEASURED), (3.0, ESTIMATED), (4.0, MEASURED)], None, "mixed", 6.0, 3.0, 0),
        ([(2.0, MEASURED), (3.0, "measured: NVML")], None, "mixed", 5.0, None, 0),
        ([(None, None), (3.0, MEASURED)], 3.0, MEASURED, 3.0, None, 1),
        ([(None, None)], None, None, None, None, 1),
    ],
)
async def test_energy_is_summed_over_attempts_and_only_over_like_sources(
    gateway: Gateway, spent: Any, joules: Any, source: Any, measured: Any, estimated: Any, unmetered: int
) -> None:
    row = await attempts(gateway, *spent)
    assert (row.energy_joules, row.energy_source) == (joules, source)
    assert (row.energy_measured, row.energy_estimated, row.unmetered) == (measured, estimated, unmetered)


async def test_of_a_lost_attempt_the_last_sign_of_life_counts(gateway: Gateway) -> None:
    row = await started(gateway)
    for joules in (1.0, 4.0):
        assert await runs.heartbeat(gateway, row.uid, row.lease.token, 60, joules=joules, source=ESTIMATED)
    assert await runs.heartbeat(gateway, row.uid, row.lease.token, 60)
    await gateway.write("MATCH (r:Run {uid: $uid}) SET r.lease_until = datetime() - duration('PT1S')", uid=row.uid)
    assert await runs.reap(gateway, max_attempts=3) == 1
    row = await again(gateway, row)
    assert row.energy_joules == 4.0
    done = await runs.transition(
        gateway, row.uid, "RUNNING", "SUCCEEDED", row.lease.token, energy_joules=2.0, energy_source=ESTIMATED
    )
    assert done is not None
    assert (done.energy_joules, done.unmetered) == (6.0, 0)


async def test_time_is_that_of_working_and_the_limit_is_over_all_attempts(gateway: Gateway) -> None:
    row = await submit(gateway, time_limit=200)
    assert (row.seconds, row.time_limit, row.seconds_left) == (0.0, 200.0, 200.0)
    row = await again(gateway, row)
    await gateway.write(BACK, uid=row.uid)
    back = await runs.transition(gateway, row.uid, "RUNNING", "QUEUED", row.lease.token)
    assert back is not None
    assert back.seconds == pytest.approx(90, abs=2)
    row = await again(gateway, back)
    assert row.seconds == back.seconds  # of the attempts that have ended
    await gateway.write(BACK, uid=row.uid)
    done = await runs.transition(gateway, row.uid, "RUNNING", "FAILED", row.lease.token)
    assert done is not None
    assert done.seconds == pytest.approx(180, abs=4)
    assert done.seconds_left == pytest.approx(20, abs=4)


async def test_waiting_is_no_work(gateway: Gateway) -> None:
    row = await submit(gateway)
    (claimed,) = await runs.claim(gateway, capability="batch", worker="w", lease_seconds=60)
    back = await runs.transition(gateway, row.uid, "LEASED", "QUEUED", claimed.lease_token)
    assert back is not None
    assert (back.seconds, back.unmetered) == (0.0, 0)
