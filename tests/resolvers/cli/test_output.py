"""Errors that a command ends with: one line, and the exit code of bad use."""

from __future__ import annotations

import pytest
import typer

from resolvers.cli.output import run


def test_an_argument_that_is_no_text_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    async def named() -> bytes:
        return "storm \udcff".encode()  # what Python makes of the byte FF on a command line

    with pytest.raises(typer.Exit) as ended:
        run(named())
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == "error: expected text in UTF-8, got 'storm \\udcff'. Correct the argument.\n"
