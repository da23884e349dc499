"""Tasks on Dask: real processes, real TLS; the same results as without, and one line where there is nobody to ask."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import psutil
import pytest
from distributed import Security

from graph.errors import GraphError, Outage
from graph.gateway import Gateway
from graph.queries import evaluation, runs, training
from graph.queries.leases import Lease
from graph.queries.runs import RunRow
from graph.settings import Settings
from nvp.errors import FieldError
from resolvers.cli.doctor import check_scheduler
from resolvers.parallel import dask_pool
from resolvers.parallel.cluster import connected
from resolvers.parallel.dask_pool import DaskPool
from resolvers.parallel.pool import Parallel, Pool, each, pool, wish
from resolvers.services import generation
from resolvers.services.context import Services
from resolvers.services.loading import load
from resolvers.services.recipes import plan
from resolvers.services.submission import (
    EvaluationRequest,
    GenerationRequest,
    TrainingRequest,
    submit_evaluation,
    submit_generation,
    submit_training,
)
from resolvers.task import Cancelled, Task
from tests.conftest import free_port
from tests.resolvers import parallel_tasks as tasks
from tests.resolvers.carried import ingest_carried
from tests.resolvers.working import leased, worked

ROOT = Path(__file__).parents[2]
GPU = Parallel(tasks=1, resources={"GPU": 1.0})


def idle_task() -> Task:
    """The handle of a run that is in no graph: these tasks report nothing."""
    return Task(cast("Gateway", None), cast("RunRow", SimpleNamespace(lease=Lease("run", "token"))))


async def results(workers: Pool, function: Any, *arguments: dict[str, Any]) -> list[Any]:
    return [value async for value in workers.map(function, each(arguments))]


async def begun(folder: Path) -> Path:
    """The file of a task that has begun, once there is one."""

    def look() -> Path:
        deadline = time.monotonic() + 60
        while not (found := sorted(folder.iterdir())):
            assert time.monotonic() < deadline, "nothing begins"
            time.sleep(0.05)
        return found[0]

    return await asyncio.to_thread(look)


def count(folder: Path) -> int:
    """How many were begun."""
    return len(list(folder.iterdir()))


# ---- workers of our own


@pytest.fixture(scope="module")
async def own() -> AsyncIterator[tuple[DaskPool, Task]]:
    task = idle_task()
    async with pool(Settings(_env_file=None, scheduler=None), task, Parallel(tasks=2)) as workers:
        assert isinstance(workers, DaskPool)
        yield workers, task


async def test_tasks_go_to_other_processes_by_tls_and_come_back_in_order(own: tuple[DaskPool, Task]) -> None:
    workers, _ = own
    assert workers._address.startswith("tls://127.0.0.1:")
    told = [{"number": number} for number in range(7)]
    found = await results(workers, tasks.process, *told)
    assert [number for number, _ in found] == list(range(7))
    assert os.getpid() not in {pid for _, pid in found}
    listening = {one.laddr.ip for one in psutil.Process().net_connections("tcp") if one.status == "LISTEN"}
    assert listening == {"127.0.0.1"}
    field = workers.share(np.arange(1000.0))
    assert await results(workers, tasks.weighted, *({"field": field, **one} for one in told)) == [
        499500.0 * number for number in range(7)
    ]


async def test_what_a_task_says_of_its_settings_is_told(own: tuple[DaskPool, Task]) -> None:
    with pytest.raises(FieldError, match=r"expected a stable flow, got 3\. Use a smaller step\.") as refused:
        await results(own[0], tasks.refuses, {"number": 3})
    assert refused.value.code == "UNSTABLE"


async def test_a_worker_that_dies_has_its_task_done_again(own: tuple[DaskPool, Task], tmp_path: Path) -> None:
    working = asyncio.create_task(results(own[0], tasks.waits, {"number": 5, "folder": tmp_path}))
    first = await begun(tmp_path)
    os.kill(int(first.name.partition("-")[2]), signal.SIGKILL)
    assert await working == [5]
    assert count(tmp_path) == 2, "begun twice, by two processes"


async def test_a_cancelled_run_waits_for_none_of_its_tasks(own: tuple[DaskPool, Task], tmp_path: Path) -> None:
    workers, task = own
    told = ({"number": number, "folder": tmp_path, "seconds": 1.0} for number in range(4))
    working = asyncio.create_task(results(workers, tasks.waits, *told))
    await begun(tmp_path)
    task.cancel()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        await working
    await workers.forget()
    assert time.monotonic() - began < 5.0
    task._stop = None
    # what waited was forgotten, what was begun ends by itself: the next are not behind it for long
    assert [number for number, _ in await results(workers, tasks.process, {"number": 9})] == [9]
    assert count(tmp_path) < 4


PARENT = """
import asyncio, sys
from pathlib import Path
from graph.settings import Settings
from resolvers.parallel.pool import Parallel, each, pool
from tests.resolvers.parallel_tasks import waits
from tests.resolvers.test_parallel import idle_task

async def main():
    async with pool(Settings(_env_file=None, scheduler=None), idle_task(), Parallel(tasks=1)) as workers:
        async for _ in workers.map(waits, each([{"number": 1, "folder": Path(sys.argv[1])}])):
            pass

if __name__ == "__main__":
    asyncio.run(main())
"""


async def test_workers_die_with_the_killed_process_that_started_them(tmp_path: Path) -> None:
    script, folder = tmp_path / "parent.py", tmp_path / "begun"
    script.write_text(PARENT)
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = await asyncio.create_subprocess_exec(sys.executable, str(script), str(folder), env=environment)
    mark = await begun(folder)
    family = psutil.Process(parent.pid).children(recursive=True)
    assert int(mark.name.partition("-")[2]) in {one.pid for one in family}
    parent.kill()
    await parent.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, 20)
    assert alive == []


# ---- a scheduler of the user's


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings that name a TLS scheduler with one worker that has one GPU, each a process as a user starts it."""
    place = tmp_path_factory.mktemp("dask")
    made = Security.temporary()
    files = {"ca-file": made.tls_ca_file, "cert": made.tls_scheduler_cert, "key": made.tls_scheduler_key}
    for name, text in files.items():
        (place / name).write_text(text)
    tls = [part for name in files for part in (f"--tls-{name}", str(place / name))]
    said = place / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    dask = [str(Path(sys.executable).with_name("dask"))]
    with ExitStack() as stack:

        def start(*arguments: str) -> None:
            process = subprocess.Popen(
                [*dask, *arguments, "--scheduler-file", str(said), *tls, "--no-dashboard"],
                env=environment,
                cwd=place,
                stderr=stack.enter_context((place / f"{arguments[0]}.log").open("w")),
            )
            stack.callback(process.wait, 30)
            stack.callback(process.kill)

        start("scheduler", "--protocol", "tls", "--host", "127.0.0.1", "--port", "0")
        start("worker", "--no-nanny", "--nthreads", "1", "--resources", "GPU=1", "--local-directory", str(place))
        deadline = time.monotonic() + 120
        while not said.exists() or not said.read_text():
            assert time.monotonic() < deadline, (place / "scheduler.log").read_text()
            time.sleep(0.1)
        yield Settings(
            _env_file=None,
            scheduler=json.loads(said.read_text())["address"],
            scheduler_ca=place / "ca-file",
            scheduler_certificate=place / "cert",
            scheduler_key=place / "key",
        )


@pytest.fixture(scope="module")
async def theirs(started: Settings) -> Settings:
    """The same, once the worker is there."""
    async with connected(started) as client:
        await client.wait_for_workers(1, timeout=120)  # type: ignore[no-untyped-call]
    return started


@pytest.fixture
def there(services: Services, theirs: Settings) -> Services:
    """Services whose runs may go to that scheduler."""
    said = {
        name: getattr(theirs, name) for name in ("scheduler", "scheduler_ca", "scheduler_certificate", "scheduler_key")
    }
    return replace(services, settings=services.settings.model_copy(update=said))


async def test_the_doctor_asks_the_scheduler(theirs: Settings) -> None:
    async with pool(theirs, idle_task(), GPU) as workers:
        assert [number for number, _ in await results(workers, tasks.process, {"number": 4})] == [4]
    assert await check_scheduler(theirs) == f"{theirs.scheduler}, 1 workers with GPU 1"
    assert "workers of its own" in await check_scheduler(Settings(_env_file=None, scheduler=None))


async def test_a_resource_that_nobody_has_is_said(theirs: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_pool, "PATIENCE_SECONDS", 0.5)
    asked = Parallel(tasks=1, resources={"GPU": 2.0})
    with pytest.raises(
        GraphError, match=r"a Dask worker with GPU 2 at tls:.*, got 1 with GPU 1\. Start one"
    ) as refused:
        async with pool(theirs, idle_task(), asked):
            pass
    assert (refused.value.code, isinstance(refused.value, Outage)) == ("NO_RESOURCE", False)
    with pytest.raises(GraphError, match="got none: FIELDGRAPH_SCHEDULER is not set"):
        async with pool(Settings(_env_file=None, scheduler=None), idle_task(), asked):
            pass


async def test_other_versions_are_said(theirs: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = dask_pool.versions()
    monkeypatch.setattr(dask_pool, "versions", lambda: "fieldgraph of tomorrow")
    async with pool(theirs, idle_task(), GPU) as workers:
        with pytest.raises(GraphError, match="workers with fieldgraph of tomorrow") as refused:
            await results(workers, tasks.process, {"number": 1})
    assert ours in str(refused.value)


async def test_nobody_at_that_address_is_said_at_once() -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    began = time.monotonic()
    with pytest.raises(Outage, match=rf"a Dask scheduler at {address}, got: Connection refused\. Start it") as refused:
        async with pool(Settings(_env_file=None, scheduler=address), idle_task(), Parallel(tasks=1)):
            pass
    assert refused.value.code == "NO_SCHEDULER"
    assert time.monotonic() - began < 5.0


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [("127.0.0.1:8786", "as tcp://HOST:PORT"), ("tls://127.0.0.1:8786", "got none in FIELDGRAPH_SCHEDULER_CA")],
)
async def test_settings_that_lead_nowhere(scheduler: str, said: str) -> None:
    with pytest.raises(GraphError, match=said):
        async with pool(Settings(_env_file=None, scheduler=scheduler), idle_task(), Parallel(tasks=1)):
            pass


def test_wishes_that_nobody_can_grant() -> None:
    assert wish(GenerationRequest(domain="fluid_dynamics")) == {}
    asked = GenerationRequest(domain="fluid_dynamics", parallel=2, resources={"GPU": 1})
    assert wish(asked) == {"parallel": 2, "resources": {"GPU": 1}}
    for bad in ({"parallel": 0}, {"parallel": None}, {"resources": {"GPU": 0}}, {"resources": ["GPU"]}):
        with pytest.raises(GraphError, match="expected"):
            wish(replace(asked, **cast("dict[str, Any]", bad)))


# ---- runs

MAKING = GenerationRequest(
    domain="fluid_dynamics", sequences=5, seed=3, settings={"scale": 16, "steps": 3, "warm_up": 1}
)


@pytest.mark.db
async def test_generated_elsewhere_is_bit_for_bit_the_same(there: Services, tmp_path: Path) -> None:
    asked = replace(MAKING, parallel=2, resources={"GPU": 1})
    run = await leased(there, await submit_generation(there, asked))
    assert run.config["parallel"] == 2
    task = Task(there.gateway, run)
    await generation.execute(there, run, task)
    await runs.transition(there.gateway, run.uid, "RUNNING", "SUCCEEDED", run.lease_token)
    assert task.devices == {"cpu"}
    assert sum(one.joules or 0.0 for one in task.spent) > 0
    assert (await submit_generation(there, MAKING)).uid == run.uid, "where it is worked makes no other run of it"
    planned = plan(MAKING)
    away = [await load(there, sequence.uid, 0, 2) for sequence in planned]
    here = replace(there, store=type(there.store)(tmp_path))
    await there.gateway.write(
        "MATCH (s:Sequence) OPTIONAL MATCH (s)-[*1..2]->(e:EnergySnapshot|Segment) DETACH DELETE s, e"
    )
    await worked(here, await submit_generation(here, replace(MAKING, force=True)))
    for sequence, one in zip(planned, away, strict=True):
        other = await load(here, sequence.uid, 0, 2)
        assert one.energy.tobytes() == other.energy.tobytes()
        assert {name: values.tobytes() for name, values in one.context.items()} == {
            name: values.tobytes() for name, values in other.context.items()
        }
        assert one.parameters == other.parameters


@pytest.mark.db
async def test_evaluated_elsewhere_the_scores_are_the_same(there: Services) -> None:
    await ingest_carried(there, sequences=3, frames=20)
    checkpoints = []
    for history in (2, 3):
        request = TrainingRequest(domain="fluid_dynamics", model="ridge", history=history)
        trained = await worked(there, await submit_training(there, request))
        model = await training.model_of_run(there.gateway, trained.uid)
        assert model is not None
        checkpoints.append(str(model.best_checkpoint))
    asked = EvaluationRequest(checkpoints=tuple(checkpoints), horizon=2, drift=3, rollouts=6)
    scores = []
    for one in (asked, replace(asked, parallel=2, resources={"GPU": 1}, force=True)):
        run = await worked(there, await submit_evaluation(there, one))
        rows = await evaluation.evaluations_of_run(there.gateway, run.uid)
        scores.append({row.checkpoint: row.scores for row in rows})
    assert scores[0] == scores[1]
    assert set(scores[0]) == set(checkpoints)
    assert {one["drift"]["steps"] for one in scores[0].values()} == {3}


async def test_a_scheduler_that_dies_is_said_rather_than_waited_for(theirs: Settings, tmp_path: Path) -> None:
    """The last of its scheduler."""

    async def wait() -> None:
        async with pool(theirs, idle_task(), GPU) as workers:
            await results(workers, tasks.waits, {"number": 1, "folder": tmp_path})

    waiting = asyncio.create_task(wait())
    await begun(tmp_path)
    (scheduler,) = [one for one in psutil.Process().children() if "scheduler" in one.cmdline()]
    scheduler.kill()
    with pytest.raises(Outage, match=f"expected a Dask scheduler at {theirs.scheduler}, got") as lost:
        await asyncio.wait_for(waiting, 60)
    assert lost.value.code == "NO_SCHEDULER"
