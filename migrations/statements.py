"""Cypher scripts as a sequence of statements.

Statements end in `;`; the last one may do without. A semicolon inside a string, a backticked name or a comment ends
nothing. Texts are kept as written, since the checksum of a migration is taken over them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# what may hide a semicolon or a keyword, and the semicolon itself
_TOKEN = re.compile(
    r"""(?P<comment> //[^\n]* | /\*.*?\*/ )
      | (?P<quoted> '(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*" | `(?:``|[^`])*` )
      | (?P<end> ; )""",
    re.DOTALL | re.VERBOSE,
)
_SCHEMA = re.compile(
    r"(?:CYPHER\s+\d+\s+)?(?P<verb>CREATE|DROP)\s+(?:(?:RANGE|TEXT|POINT|LOOKUP|VECTOR|FULLTEXT)\s+)?(?:INDEX|CONSTRAINT)\b",
    re.IGNORECASE,
)
_BATCHED = re.compile(r"\bIN\s+(?:\S+\s+CONCURRENT\s+)?TRANSACTIONS\b", re.IGNORECASE)
_GUARD = {
    "CREATE": re.compile(r"\bIF\s+NOT\s+EXISTS\b", re.IGNORECASE),
    "DROP": re.compile(r"\bIF\s+EXISTS\b", re.IGNORECASE),
}


def split(script: str) -> tuple[str, ...]:
    """The statements of a script, stripped, comments included; empty ones are left out."""
    return tuple(text for piece in _pieces(script) if (text := piece.strip()))


def bare(statement: str) -> str:
    """The statement without comments and with empty quotes: what keywords are looked for in."""
    return _TOKEN.sub(lambda found: "''" if found["quoted"] else " ", statement).strip()


def is_schema(statement: str) -> bool:
    """Whether it creates or drops an index or constraint, which admits no data in the same transaction."""
    return _SCHEMA.match(bare(statement)) is not None


def is_repeatable_schema(statement: str) -> bool:
    """Whether a schema statement says IF NOT EXISTS (or IF EXISTS), so that a broken run can be repeated."""
    text = bare(statement)
    found = _SCHEMA.match(text)
    return found is not None and _GUARD[found["verb"].upper()].search(text) is not None


def is_batched(statement: str) -> bool:
    """Whether it says IN TRANSACTIONS, which works in auto-commit only."""
    return _BATCHED.search(bare(statement)) is not None


def _pieces(script: str) -> Iterator[str]:
    begin = 0
    for token in _TOKEN.finditer(script):
        if token["end"]:
            yield script[begin : token.start()]
            begin = token.end()
    yield script[begin:]
