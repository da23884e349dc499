"""Scripts are split at the semicolons that end statements, and at no other."""

from __future__ import annotations

import pytest

from migrations import statements

HOSTILE = """// one; still a comment
CREATE (:A {text: 'a; b', other: "it\\"s; fine"});
/* two;
   lines */ CREATE (:`odd;label`);

;
MATCH (n) RETURN n // last; without an end"""


def test_split_keeps_semicolons_that_end_nothing() -> None:
    assert statements.split(HOSTILE) == (
        '// one; still a comment\nCREATE (:A {text: \'a; b\', other: "it\\"s; fine"})',
        "/* two;\n   lines */ CREATE (:`odd;label`)",
        "MATCH (n) RETURN n // last; without an end",
    )


def test_bare_statement_has_neither_comments_nor_quotes() -> None:
    assert statements.bare("// DROP INDEX\nRETURN 'IN TRANSACTIONS' /* ; */") == "RETURN ''"
    assert statements.bare("// only a comment") == ""


@pytest.mark.parametrize(
    ("statement", "schema", "repeatable"),
    [
        ("CREATE CONSTRAINT x IF NOT EXISTS FOR (n:A) REQUIRE n.b IS UNIQUE", True, True),
        ("CREATE CONSTRAINT x FOR (n:A) REQUIRE n.b IS UNIQUE", True, False),
        ("// note\ncreate vector index x if not exists FOR (n:A) ON n.b", True, True),
        ("CYPHER 25 CREATE INDEX x IF NOT EXISTS FOR (n:A) ON (n.b)", True, True),
        ("DROP INDEX x IF EXISTS", True, True),
        ("DROP INDEX x", True, False),
        ("CREATE (:Index {name: 'IF NOT EXISTS'})", False, False),
        ("MATCH (n) SET n.note = 'CREATE INDEX'", False, False),
    ],
)
def test_schema_statements_are_told_from_data(statement: str, schema: bool, repeatable: bool) -> None:
    assert statements.is_schema(statement) is schema
    assert statements.is_repeatable_schema(statement) is repeatable


@pytest.mark.parametrize(
    ("statement", "batched"),
    [
        ("MATCH (n) CALL (n) { DELETE n } IN TRANSACTIONS OF 10 ROWS", True),
        ("MATCH (n) CALL (n) { DELETE n } IN 3 CONCURRENT TRANSACTIONS", True),
        ("RETURN 'IN TRANSACTIONS'", False),
    ],
)
def test_batched_statements_are_found(statement: str, batched: bool) -> None:
    assert statements.is_batched(statement) is batched
