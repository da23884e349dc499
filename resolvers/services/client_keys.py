"""A client's key stands for one request, so that it may be sent again when its answer was lost.

The same request under it is the same run, whatever has become of the graph since; another request under it is a
Conflict. A run that failed or was cancelled gives its key free.
"""

from __future__ import annotations

from typing import Any

from graph.errors import Conflict
from graph.identity import digest
from graph.queries.runs import RunRow

REQUEST = "request"
"""Where a run's configuration has the digest of the request that its key stands for."""


def dedup_key(kind: str, client_key: str) -> str:
    """The run's key: it says nothing of what is asked."""
    return digest(["client key", kind, client_key])


def told(run: RunRow, client_key: str, request: Any) -> RunRow:
    """The run, which is that of this request (a JSON value); raises Conflict where it is another's."""
    if run.config.get(REQUEST) != digest(request):
        raise Conflict(
            "CLIENT_KEY_USED",
            f"expected client key {client_key!r} with the request that it was first given with, got another.",
            next_step="Give each request a key of its own.",
        )
    return run
