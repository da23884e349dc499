"""How a sweep went: where a coupling graph settled at every point of a grid."""

from __future__ import annotations

import strawberry


@strawberry.type(description="A sweep as a whole.")
class SweepOutcome:
    graph_name: str
    graph_digest: str
    axes: list[str] = strawberry.field(description="The path of each number that was varied.")
    keys: list[str]
    points: int
    energy: float | None = strawberry.field(description="The least of all points.")
    best: int | None = strawberry.field(description="The index of the point that has it.")
    wall_seconds: float


@strawberry.type(description="Where the graph settled at one point; lists are in the order of `axes` and `keys`.")
class SweepPoint:
    uid: strawberry.ID
    run: strawberry.ID
    index: int = strawberry.field(description="The last axis runs fastest.")
    at: list[float]
    status: str
    initial_energy: float
    energy: float | None
    residual: float | None
    steps: int
    eta: list[float]
