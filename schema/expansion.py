"""How an expansion went: what each candidate would do to a coupling graph."""

from __future__ import annotations

import strawberry


@strawberry.type(description="An expansion as a whole.")
class ExpansionOutcome:
    graph_name: str
    graph_digest: str
    gamma: float
    tau: float
    energy: float = strawberry.field(description="Of the graph alone, relaxed.")
    survivors: list[str] = strawberry.field(description="Of the accepted, those that lower the energy most.")
    applied: bool = strawberry.field(description="They are in the graph now.")
    version: int | None = strawberry.field(description="Of the graph with them.")
    wall_seconds: float


@strawberry.type(description="A module that might be added; accepted where delta + gamma < -tau.")
class ExpansionCandidate:
    uid: strawberry.ID
    run: strawberry.ID
    key: str
    index: int
    energy_before: float
    energy_after: float
    delta: float
    accepted: bool
    survives: bool
    parent: str | None = strawberry.field(description="The order parameter that gains most by it.")
