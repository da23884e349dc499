"""Migration files are named, numbered and summed as neo4j-migrations does."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from graph.errors import GraphError
from migrations.runner import DIRECTORY
from migrations.scripts import read_scripts


def test_a_script_has_version_description_and_statements(tmp_path: Path) -> None:
    (tmp_path / "V0203__two_words.cypher").write_text("CREATE (:A);\n// a comment\n")
    (tmp_path / "V0102__before.cypher").write_text("CREATE (:B)")
    before, script = read_scripts(tmp_path)
    assert before.version == "0102"
    assert (script.version, script.description, script.source) == ("0203", "two words", "V0203__two_words.cypher")
    assert script.statements == ("CREATE (:A)", "// a comment")
    assert script.executable == ("CREATE (:A)",)


def test_checksum_is_over_statements_not_layout(tmp_path: Path) -> None:
    path = tmp_path / "V0101__x.cypher"
    path.write_text("CREATE (:Å);\n\nCREATE (:B);\n", "utf-8")
    [script] = read_scripts(tmp_path)
    assert script.checksum == str(zlib.crc32("CREATE (:Å)CREATE (:B)".encode()))
    path.write_text("CREATE (:Å) ;CREATE (:B)", "utf-8")
    assert read_scripts(tmp_path)[0].checksum == script.checksum
    path.write_text("CREATE (:Å) ;CREATE (:C)", "utf-8")
    assert read_scripts(tmp_path)[0].checksum != script.checksum


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("V1__x.cypher", "RETURN 1", "expected a name such as"),
        ("V0100__Upper.cypher", "RETURN 1", "expected a name such as"),
        ("V0101__other.cypher", "RETURN 1", "V0101__first.cypher has it already"),
        ("V0102__x.cypher", "RETURN 1; CREATE INDEX i FOR (n:A) ON (n.b)", "statement 2 .* Add IF NOT EXISTS"),
    ],
)
def test_unusable_scripts_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / "V0101__first.cypher").write_text("RETURN 1")
    (tmp_path / name).write_text(text)
    with pytest.raises(GraphError, match=message) as raised:
        read_scripts(tmp_path)
    assert raised.value.code == "MIGRATION_INVALID"


def test_our_own_migrations_can_be_read() -> None:
    assert read_scripts(DIRECTORY)[0].version == "0100"
