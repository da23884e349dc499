"""Whom tasks are given to: the Dask scheduler that is set, or workers of our own for as long as a run needs them.

Ours are processes of this machine behind a TLS scheduler on loopback, with a key that is made for them and kept in
memory. They end with the process that started them, also where that one is killed: each watches a pipe to it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from graph.errors import GraphError, Outage
from graph.settings import Settings

if TYPE_CHECKING:
    from distributed import Client, Security

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 30.0
_ADDRESS = re.compile(r"(?P<protocol>tcp|tls)://(?P<host>\[[^\]]+\]|[^/:]+):(?P<port>\d+)")

CONFIG: Mapping[str, Any] = {
    # nobody looks at its pages, and no one but us may
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # what watches itself costs what is watched
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.diagnostics.nvml": False,
    "distributed.scheduler.active-memory-manager.start": False,
    # the same libraries with as many threads as in the child: sums in the same order
    "distributed.nanny.pre-spawn-environ": {},
    # arguments travel with the tasks, so that a task can be done again elsewhere
    "distributed.admin.large-graph-warning-threshold": "1TiB",
    "distributed.comm.timeouts.connect": f"{CONNECT_SECONDS}s",
    "logging": {"distributed": "error", "tornado": "critical"},
}
"""What of Dask's configuration is ours to say, whatever the user's files have."""


def configure() -> None:
    """Set Dask's configuration in this process; its workers inherit it. Call it before `distributed` is imported."""
    import dask.config

    dask.config.set(CONFIG)


@asynccontextmanager
async def embedded(workers: int) -> AsyncIterator[Client]:
    """A client of so many workers of our own; raises Outage where they do not come up."""
    configure()
    from distributed import Client, LocalCluster, Security

    try:
        cluster = await LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers,
            threads_per_worker=1,
            asynchronous=True,
            security=Security.temporary(),  # type: ignore[no-untyped-call]
            dashboard_address=None,
            # it listens all the same, without a page, where no other cluster does
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            # nothing is spilled or killed before the machine itself is short of memory
            memory_limit=0,
            silence_logs=logging.ERROR,
            # on an accelerator they take what they need, not three quarters of it each
            env={"XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
        )
    except (OSError, RuntimeError, TimeoutError) as error:
        raise Outage(
            "NO_CLUSTER",
            f"expected {workers} Dask workers of our own, got {type(error).__name__}: {error}.",
            next_step="Leave `parallel` out, or ask for fewer.",
        ) from error
    async with cluster, Client(cluster, asynchronous=True, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        yield client


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Client]:
    """A client of the scheduler that is set; raises GraphError for a bad address, Outage where nobody answers there."""
    address = str(settings.scheduler)
    security = security_of(settings)
    await _knock(address)
    configure()
    from distributed import Client

    client = Client(address, asynchronous=True, set_as_default=False, timeout=CONNECT_SECONDS, security=security)  # type: ignore[no-untyped-call]
    try:
        await client
    except (OSError, TimeoutError, ImportError) as error:
        raise no_answer(address, error) from error
    async with client:
        yield client


def security_of(settings: Settings) -> Security | None:
    """Certificates for a `tls://` scheduler, None for `tcp://`; raises GraphError where one is missing."""
    found = _ADDRESS.fullmatch(str(settings.scheduler))
    if found is None:
        raise GraphError(
            "BAD_SCHEDULER",
            f"expected FIELDGRAPH_SCHEDULER as tcp://HOST:PORT or tls://HOST:PORT, got {settings.scheduler!r}.",
            next_step="Take the address that `dask scheduler` prints.",
        )
    if found["protocol"] == "tcp":
        return None
    files = {
        "FIELDGRAPH_SCHEDULER_CA": settings.scheduler_ca,
        "FIELDGRAPH_SCHEDULER_CERTIFICATE": settings.scheduler_certificate,
        "FIELDGRAPH_SCHEDULER_KEY": settings.scheduler_key,
    }
    if missing := [name for name, path in files.items() if path is None or not path.is_file()]:
        raise GraphError(
            "NO_CERTIFICATE",
            f"expected files in {', '.join(files)} for {settings.scheduler}, got none in {', '.join(missing)}.",
            next_step="Name the files that the scheduler was started with.",
        )
    configure()
    from distributed import Security

    ca, certificate, key = (str(path) for path in files.values())
    return Security(tls_ca_file=ca, tls_client_cert=certificate, tls_client_key=key, require_encryption=True)  # type: ignore[no-untyped-call]


async def workers_of(client: Client) -> dict[str, dict[str, float]]:
    """What each worker has, by its address; raises Outage where the scheduler does not answer."""
    scheduler, address = client.scheduler, address_of(client)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            said = await scheduler.identity(n_workers=-1)  # type: ignore[union-attr]
    except (OSError, TimeoutError) as error:
        raise no_answer(address, error) from error
    return {worker: dict(one["resources"]) for worker, one in said["workers"].items()}


def address_of(client: Client) -> str:
    """The scheduler's."""
    return "" if client.scheduler is None else str(client.scheduler.address)


def no_answer(address: str, error: Exception) -> Outage:
    """What is said of a scheduler that cannot be reached."""
    number = getattr(error, "errno", None)
    got = os.strerror(number) if number else " ".join(str(error).split()) or type(error).__name__
    return Outage(
        "NO_SCHEDULER",
        f"expected a Dask scheduler at {address}, got: {got}.",
        next_step="Start it (`dask scheduler`), or unset FIELDGRAPH_SCHEDULER for workers of our own.",
    )


async def _knock(address: str) -> None:
    """Whether anything listens there: Dask itself would ask again and again."""
    found = _ADDRESS.fullmatch(address)
    assert found is not None
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(found["host"].strip("[]"), int(found["port"]))
    except (OSError, TimeoutError) as error:
        raise no_answer(address, error) from error
    writer.close()
