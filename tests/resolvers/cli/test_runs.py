"""`fieldgraph runs` as an operator reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from graph.gateway import Gateway
from graph.queries import runs
from resolvers.cli.follow import Interrupted, _ended
from resolvers.cli.runs import _cancelled
from tests.graph.queries import builders

pytestmark = pytest.mark.db
FIELDGRAPH = str(Path(sys.executable).with_name("fieldgraph"))


def ask(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FIELDGRAPH, "runs", *arguments], env=environment, capture_output=True, text=True, check=False
    )


async def test_a_run_is_one_line_however_long_its_message(gateway: Gateway, environment: dict[str, str]) -> None:
    run = await builders.started(gateway)
    message = "epoch 7/30 · loss 0.0310 · fidelity 0.907 · 39 samples/s"
    await runs.report(gateway, run.uid, run.lease.token, 0.5, message)
    said = ask(environment, "list", "--state", "running")
    (line,) = said.stdout.splitlines()
    assert line.split()[:4] == [run.uid, run.kind, "RUNNING", "50%"]
    assert line.endswith(message)
    assert [row["uid"] for row in json.loads(ask(environment, "list", "--json").stdout)["runs"]] == [run.uid]
    assert "None" not in ask(environment, "show", run.uid).stdout
    assert json.loads(ask(environment, "show", run.uid, "--json").stdout)["error_code"] is None
    nothing = ask(environment, "list", "--state", "FAILED")
    assert (nothing.returncode, nothing.stdout) == (0, "no such run\n")


@pytest.mark.parametrize("wrong", [["--state", "GONE"], ["--kind", "baking"]])
def test_a_state_or_kind_that_is_none(wrong: list[str], environment: dict[str, str]) -> None:
    said = ask(environment, "list", *wrong)
    assert (said.returncode, said.stdout) == (2, "")
    assert "out of" in said.stderr
    assert wrong[1] in said.stderr


async def test_ctrl_c_ends_as_a_shell_expects(gateway: Gateway) -> None:
    run = await builders.submit(gateway)
    with pytest.raises(Interrupted) as caught:
        _ended(run)
    assert caught.value.exit_code == 130
    assert "the same command" in str(caught.value)


async def test_a_cancellation_is_told_as_what_it_did(gateway: Gateway) -> None:
    waiting = await builders.submit(gateway)
    worked, done = await builders.started(gateway), await builders.started(gateway)
    await runs.transition(gateway, done.uid, "RUNNING", "SUCCEEDED", done.lease_token)
    for run, says in (
        (waiting, "cancelled."),
        (worked, "running; it stops at its next step."),
        (done, "succeeded: there was nothing to cancel."),
    ):
        assert _cancelled(await runs.request_cancel(gateway, run.uid)) == f"run {run.uid} is {says}"
