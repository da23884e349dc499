"""Two API processes and two workers that share nothing but a NEO4J_URI and a store: each run is worked once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

from graph.embedded import server
from graph.queries import runs
from graph.settings import Settings
from resolvers import supervisor
from resolvers.client import RUN, Client
from resolvers.demo import GENERATE
from resolvers.services.context import Services
from resolvers.web.tokens import Tokens
from tests.e2e.conftest import environment, until

pytestmark = [pytest.mark.db, pytest.mark.timeout(600)]
RUNS = 6
SEQUENCES_OF_RUNS = """
MATCH (r:GenerationRun) RETURN r.uid AS uid, COUNT { (:Sequence)-[:WAS_GENERATED_BY]->(r) } AS sequences LIMIT 100
"""


@pytest.fixture
def far(services: Services) -> Settings:
    """Settings that name the graph by its address, as another machine has them."""
    # nobody is killed here, and a busy machine must not cost a run its lease
    settings = services.settings.model_copy(update={"lease_seconds": 60.0})
    if settings.neo4j_uri is not None:
        return settings
    found = server.find(settings)
    assert found is not None
    return settings.model_copy(update={"neo4j_uri": found.uri, "neo4j_password": server.password(settings)})


@pytest.fixture
def urls(far: Settings) -> Iterator[list[str]]:
    """Two API processes, each with a socket of its own, and two batch workers."""
    with ExitStack() as stack:
        found, started = [], []
        for _ in range(2):
            listener = stack.enter_context(supervisor.listen(far.model_copy(update={"port": 0})))
            host, port = listener.getsockname()[:2]
            found.append(f"http://{host}:{port}")
            api = [sys.executable, "-m", "resolvers.listen", str(listener.fileno()), str(os.getpid())]
            started.append(subprocess.Popen(api, env=environment(far), pass_fds=(listener.fileno(),)))
            worker = [sys.executable, "-m", "resolvers.worker", "batch", str(os.getpid())]
            started.append(subprocess.Popen(worker, env=environment(far)))
        yield found
        for process in started:
            process.terminate()
        for process in started:
            process.wait(120)


async def test_each_run_is_worked_once_whichever_api_was_asked(
    services: Services, far: Settings, urls: list[str]
) -> None:
    token = Tokens(far.home).local()
    async with httpx.AsyncClient() as http:
        for url in urls:

            async def ready(url: str = url) -> bool:
                with suppress(httpx.TransportError):
                    return (await http.get(f"{url}/readyz")).is_success
                return False

            await until(ready, seconds=240, what=f"an answer of {url}")
    async with Client(urls[0], token=token) as one, Client(urls[1], token=token) as other:
        asked = []
        for seed in range(RUNS):
            wanted = {"domain": "fluid_dynamics", "kind": "PERTURBATION", "seed": seed,
                      "settings": {"scale": 16, "steps": 3}}  # fmt: skip
            # the same request by both is one run
            first = await (one, other)[seed % 2].mutate(GENERATE, input=wanted)
            assert await (other, one)[seed % 2].mutate(GENERATE, input=wanted) == first
            asked.append(first)
        assert len(set(asked)) == RUNS

        async def ended() -> bool:
            return all(row.finished for row in await runs.watch(services.gateway, asked))

        await until(ended, seconds=300, what="the end of all runs")
        # what one API was asked for, the other shows
        for uid in asked:
            told = [(await client.execute(RUN, uid=uid))["run"] for client in (one, other)]
            assert told[0] == told[1]
            assert (told[0]["state"], told[0]["attempt"]) == ("SUCCEEDED", 1)
    rows = await services.gateway.read(SEQUENCES_OF_RUNS)
    assert {row["uid"]: row["sequences"] for row in rows} == dict.fromkeys(asked, 1)
