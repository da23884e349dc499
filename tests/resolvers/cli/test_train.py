"""`fieldgraph train` warns of a split whose scores would flatter."""

from __future__ import annotations

import pytest

from graph.queries import timeline
from graph.queries.splits import Part, create_split
from resolvers.cli.train import _warn_of_leaks
from resolvers.services.context import Services
from tests.resolvers.carried import ingest_carried

pytestmark = pytest.mark.db


async def test_a_leak_is_one_line_on_stderr(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    # the field comes round after 16 steps
    (uid,) = await ingest_carried(services, frames=32)
    last = (await timeline.sequence(services.gateway, uid)).last
    for start, leaks in ((8, False), (12, True)):
        parts = [Part("train", uid, 0, 3), Part("test", uid, start, start + 3 if not leaks else last)]
        split = await create_split(services.gateway, name=f"from {start}", kind="block", gap=2, parts=parts)
        await _warn_of_leaks(services, split.uid)
        said = capsys.readouterr()
        assert said.out == ""
        if leaks:
            assert said.err.startswith(f"warning: split {split.uid} leaks (frame ")
            assert said.err.count("\n") == 1
        else:
            assert said.err == ""
