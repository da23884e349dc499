"""`fieldgraph train` warns of a split whose scores would flatter, and of a budget too small to learn in."""

from __future__ import annotations

import pytest

from graph.queries import timeline
from graph.queries.splits import Part, create_split
from resolvers.cli.train import _warn_of_leaks, _warning_of_haste
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


@pytest.mark.parametrize(
    ("step", "config", "warns"),
    [
        (1, {"model": "tiny", "seconds": 30.0}, True),
        (2, {"model": "tiny", "seconds": 30.0}, False),
        (1, {"model": "tiny", "seconds": None}, False),
        (1, {"model": "ridge", "seconds": 30.0}, False),
    ],
)
def test_a_budget_that_compilation_took_is_named(step: int, config: dict[str, object], warns: bool) -> None:
    line = _warning_of_haste(step, config)
    assert (line is not None) == warns
    if line is not None:
        assert "30 s" in line
        assert "--seconds" in line
