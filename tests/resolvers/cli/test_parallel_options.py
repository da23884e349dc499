"""What commands say of tasks in parallel, before any is begun."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from resolvers.cli import generate
from resolvers.cli.parallel import resources_of


def test_resources_are_amounts_by_name() -> None:
    assert resources_of(None) == {}
    assert resources_of(["GPU=1", "memory=2.5"]) == {"GPU": 1.0, "memory": 2.5}
    for bad in ("GPU", "GPU=many", "=1"):
        with pytest.raises(typer.BadParameter, match="NAME=AMOUNT"):
            resources_of([bad])


@pytest.mark.parametrize("way", ["--dry-run", "--plan", "--fill"])
def test_what_is_no_run_is_not_worked_in_parallel(way: str) -> None:
    app = typer.Typer()
    app.command()(generate.command)
    told = CliRunner().invoke(app, ["--parallel", "2", way])
    assert told.exit_code == 2
    assert f"expected one of --parallel, {way}, got them together" in told.stderr


def test_nothing_loads_dask_before_a_run_asks_for_it() -> None:
    modules = "resolvers.cli.generate, resolvers.cli.evaluate, resolvers.cli.doctor, resolvers.child, resolvers.app"
    said = f"import sys, {modules}; print({{'dask', 'distributed'}} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
