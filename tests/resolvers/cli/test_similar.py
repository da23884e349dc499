"""`fieldgraph similar` on the command line."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from graph.queries import timeline
from resolvers.services.context import Services
from tests.resolvers.carried import ingest_carried

pytestmark = pytest.mark.db


async def fieldgraph(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    code = "from resolvers.cli import main; main()"
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *arguments, env=environment, stdout=pipe, stderr=pipe
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_similar(services: Services, environment: dict[str, str]) -> None:
    one, two = await ingest_carried(services, sequences=2, frames=8)
    asked = (await timeline.frames(services.gateway, one, 3, 3))[0].uid
    code, out, err = await fieldgraph(environment, "similar", asked, "--first", "3", "--other-sequences", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["uid"], found["n"]) == (asked, 3)
    assert {hit["sequence"] for hit in found["hits"]} == {two}
    assert [hit["score"] for hit in found["hits"]] == sorted((hit["score"] for hit in found["hits"]), reverse=True)

    code, out, err = await fieldgraph(environment, "similar", "nowhere", "--json")
    assert (code, out) == (2, "")
    assert "no EnergySnapshot with uid 'nowhere'" in err
    assert err.count("\n") == 1
