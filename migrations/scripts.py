"""Migrations as files: `V0101__some_name.cypher`, numbered in blocks of 100 per area of work.

Version, description and checksum are those of neo4j-migrations (Java), so that its tools can read our chain: the
checksum is the CRC32 over the UTF-8 statements in order, as text of an unsigned number.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from graph.errors import GraphError
from migrations import statements

_NAME = re.compile(r"V(?P<version>\d{4})__(?P<name>[a-z0-9_]+)\.cypher")


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One migration on disk."""

    version: str  # four digits
    description: str  # its name with blanks
    source: str  # its file's name
    statements: tuple[str, ...]  # as written, comments included

    @property
    def checksum(self) -> str:
        crc = 0
        for statement in self.statements:
            crc = zlib.crc32(statement.encode(), crc)
        return str(crc)

    @property
    def executable(self) -> tuple[str, ...]:
        """The statements that are more than a comment."""
        return tuple(statement for statement in self.statements if statements.bare(statement))


def read_scripts(directory: Path) -> tuple[Script, ...]:
    """All migrations of a directory by version.

    Raises:
        GraphError: code MIGRATION_INVALID for a misnamed file, a number used twice, or a schema statement that could
            not be repeated after a broken run.
    """
    scripts: dict[str, Script] = {}
    for path in sorted(directory.glob("*.cypher")):
        script = _read(path)
        if other := scripts.get(script.version):
            raise _invalid(
                path, f"expected a number of its own, {other.source} has it already", "Take the next free number."
            )
        scripts[script.version] = script
    return tuple(scripts.values())


def _read(path: Path) -> Script:
    name = _NAME.fullmatch(path.name)
    if not name:
        raise _invalid(path, "expected a name such as V0101__some_name.cypher", "Rename it.")
    script = Script(
        version=name["version"],
        description=name["name"].replace("_", " "),
        source=path.name,
        statements=statements.split(path.read_text("utf-8")),
    )
    for number, statement in enumerate(script.executable, start=1):
        if statements.is_schema(statement) and not statements.is_repeatable_schema(statement):
            raise _invalid(
                path, f"statement {number} changes the schema unconditionally", "Add IF NOT EXISTS or IF EXISTS."
            )
    return script


def _invalid(path: Path, message: str, next_step: str) -> GraphError:
    return GraphError("MIGRATION_INVALID", f"{path.name}: {message}.", next_step=next_step)
