"""Errors of the graph: each is one line that says what was expected, what was found and what to do next."""

from __future__ import annotations


class GraphError(Exception):
    """A failure that the user can act on.

    `code` is stable and machine-readable, `exit_code` is what the command line returns: 2 for bad use, 3 for an outage.
    """

    exit_code = 2

    def __init__(self, code: str, message: str, *, next_step: str = "") -> None:
        super().__init__(f"{message} {next_step}".strip())
        self.code = code
        self.next_step = next_step


class Outage(GraphError):
    """Neo4j, its files or its network cannot be had now; the same call may succeed later."""

    exit_code = 3


class NotFound(GraphError):
    """No node with this identity, which people write `by` uid or by name."""

    def __init__(self, label: str, uid: str, *, by: str = "uid", next_step: str = "") -> None:
        super().__init__("NOT_FOUND", f"no {label} with {by} {uid!r}.", next_step=next_step)
        self.label = label
        self.uid = uid


class Conflict(GraphError):
    """The graph already holds something else under this identity."""
