"""What an experiment has spent: each joule once, of its kind, by who had the work made, and the same after a kill."""

from __future__ import annotations

import pytest

from graph.queries import ace as stages
from graph.queries import costs, runs
from resolvers.energy.spent import ESTIMATED, Ledger, Spent
from resolvers.services.ace.inquiry import inquiry, spent_by, together
from resolvers.services.context import Services
from resolvers.task import Task
from tests.resolvers.services.ace.experiments import spawned
from tests.resolvers.working import leased

MEASURED = "measured: NVML"
TRUE = "on fluid_dynamics the model keeps fidelity above 0.5"


async def child(services: Services, *attempts: tuple[float | None, str | None]) -> runs.RunRow:
    """A run with attempts that took so much; without any it was cancelled while it waited."""
    row = await runs.submit(
        services.gateway, kind="evaluation", config={}, capability="batch", dedup_key=None, rng_seed=0, inputs=[]
    )
    if not attempts:
        return await runs.request_cancel(services.gateway, row.uid)
    for number, (joules, source) in enumerate(attempts, 1):
        running = await leased(services, row)
        to = "SUCCEEDED" if number == len(attempts) else "QUEUED"
        took = {"energy_joules": joules, "energy_source": source}
        await runs.transition(services.gateway, row.uid, "RUNNING", to, running.lease_token, **took)
    return await runs.run(services.gateway, row.uid)


@pytest.mark.db
async def test_an_account_is_the_same_when_it_is_read_again(services: Services, checkpoint: str) -> None:
    run = await leased(services, await spawned(services, TRUE, budget="500J"), lease_seconds=600.0)
    own, gateway = Spent(0.0, 1.0, ESTIMATED), services.gateway
    mixed = await child(services, (65.0, MEASURED), (450.0, ESTIMATED))
    assert (mixed.energy_joules, mixed.energy_source) == (None, "mixed")
    never, unknown = await child(services), await child(services, (None, None))

    async def left(*children: runs.RunRow, stage: str) -> tuple[float, bool]:
        begun = await stages.begin_stage(gateway, run.lease, name=stage, round=1, inputs={})
        spent = together(own, [spent_by(one) for one in children])
        await stages.end_stage(gateway, run.lease, begun, outputs={}, spent=spent)
        rows = await stages.stages(gateway, run.uid)
        account = (await inquiry(services, run, Task(gateway, run), round=1, stages=rows)).account
        return account.left, account.unknown

    assert await left(never, stage="spawn") == (500.0, False), "what never ran took nothing"
    assert await left(mixed, stage="compose") == (50.0, False)
    row = (await stages.stages(gateway, run.uid))[-1]
    assert (row.energy_measured, row.energy_estimated, row.unmetered) == (65.0, 450.0, 0)
    assert (row.energy_joules, row.energy_source) == (
        65.0,
        f"{MEASURED}, beside 450 J {ESTIMATED}".replace(": NVML", ""),
    )
    assert await left(unknown, stage="plan") == (0.0, True), "of what nobody knows nothing may be left"


@pytest.mark.db
async def test_what_a_run_takes_is_seen_over_all_its_attempts(services: Services) -> None:
    row = await child(services, (65.0, MEASURED), (450.0, ESTIMATED), (30.0, MEASURED))
    assert await costs.spending(services.gateway, row.uid) == costs.Spending(measured=95.0, estimated=450.0)
    again = await runs.submit(
        services.gateway, kind="evaluation", config={}, capability="batch", dedup_key=None, rng_seed=0, inputs=[]
    )
    running = await leased(services, again)
    await runs.heartbeat(services.gateway, again.uid, running.lease.token, 30.0, joules=12.0, source=ESTIMATED)
    assert await costs.spending(services.gateway, again.uid) == costs.Spending(estimated=12.0)


def test_a_stage_has_its_own_time() -> None:
    whole = together(Spent(1.0, 2.0, ESTIMATED), [Ledger(estimated=5.0, seconds=100.0)])
    assert (whole.estimated, whole.seconds) == (6.0, 2.0)
