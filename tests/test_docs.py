"""What the documents tell users to type is true: each GraphQL, Cypher and command line of theirs is understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import LiteralString, cast

import pytest
from graphql import build_schema, parse, validate

from graph.gateway import Gateway
from nvp.dynamics.config import CONFIGS
from nvp.dynamics.domain import domain
from resolvers.cli import COMMANDS, commands

ROOT = Path(__file__).parent.parent
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
SCHEMA = build_schema((ROOT / "schema" / "schema.graphql").read_text())


def blocks(language: str) -> list[str]:
    return [
        block
        for document in DOCUMENTS
        for block in re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE)
    ]


def test_the_documents_have_examples() -> None:
    assert blocks("graphql")
    assert blocks("cypher")
    assert blocks("console")


@pytest.mark.parametrize("block", blocks("graphql"))
def test_graphql_is_valid(block: str) -> None:
    for operation in parse(block).definitions:
        # one at a time: a document with several anonymous operations is a list of examples
        assert not validate(SCHEMA, parse(block[operation.loc.start : operation.loc.end]))  # type: ignore[union-attr]


@pytest.mark.db
@pytest.mark.parametrize("block", blocks("cypher"))
async def test_cypher_is_understood(block: str, gateway: Gateway) -> None:
    await gateway.read(cast("LiteralString", f"EXPLAIN {block}"))


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as left:
        commands.main([command, "--help"], prog_name="fieldgraph")
    assert left.value.code == 0
    return capsys.readouterr().out


LINES = sorted(filter(re.compile("fieldgraph [a-z]+ ").match, "".join(blocks("console")).splitlines()))


@pytest.mark.parametrize("line", LINES)
def test_commands_and_their_options_exist(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # names are cut where the terminal is narrow
    command, *words = shlex.split(line, comments=True)[1:]
    shown = help_of(command, capsys)
    for option in (word for word in words if word.startswith("--")):
        assert option in shown


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = help_of(command, capsys)
    # the examples of a group are in its own commands
    assert "Example" in shown or "COMMAND [ARGS]" in shown


def test_the_table_of_domains_says_what_the_registry_says() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in (ROOT / "docs" / "data.md").read_text(encoding="utf-8").splitlines()
        # a norm is written with other bars than a column
        if re.match(r"\| `\w+` \|", line) and line.count("|") == 9
    ]
    said = {name.strip("`"): tuple(rest) for name, _, _, *rest, _ in rows}
    yes = {True: "yes", False: "no"}
    for name in CONFIGS:
        spec = domain(name)
        edges = ", ".join(dict.fromkeys((spec.boundary_x, spec.boundary_y)))
        assert said[name] == (edges, yes[spec.closed], yes[spec.second_law], f"{spec.dt:g}")
