"""`fieldgraph gc` refuses ages that no calendar has: beyond them Neo4j's times turn over, and everything looks old."""

from __future__ import annotations

import pytest

from resolvers.cli import commands


@pytest.mark.parametrize("days", ["0", "nan", "36500000", "1e308", "-1"])
def test_only_ages_that_a_calendar_has(days: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        commands(["gc", "--dry-run", "--days", days])
    assert left.value.code == 2
    assert "--days" in capsys.readouterr().err
