"""Who asks: a role, and how it was shown.

    reader < operator < admin

A bearer token is sent on purpose; a cookie goes along by itself, so that what changes something by cookie must also
come from a page of ours (`Origin`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from graph.errors import GraphError


class Role(IntEnum):
    """What a token allows; each includes the one before."""

    NOBODY = 0
    READER = 1
    OPERATOR = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Viewer:
    """The sender of one request or the holder of one WebSocket."""

    role: Role
    # shown by a cookie from a page that is not ours
    foreign: bool = False

    def refusal(self, wanted: Role) -> GraphError | None:
        """Why this viewer may not do what wants that role; None where he may."""
        if self.role is Role.NOBODY:
            return GraphError(
                "UNAUTHENTICATED",
                "expected a token, got none that is valid.",
                next_step="Send `Authorization: Bearer …`, or log in by the URL that `fieldgraph serve` prints.",
            )
        if self.role < wanted:
            return GraphError(
                "FORBIDDEN",
                f"expected the role {wanted.name.lower()}, got {self.role.name.lower()}.",
                next_step="Use a token of that role.",
            )
        if self.foreign and wanted > Role.READER:
            return GraphError(
                "FOREIGN_ORIGIN",
                "expected a change by cookie to come from this server's own pages.",
                next_step="Send a bearer token instead.",
            )
        return None


NOBODY = Viewer(Role.NOBODY)
