"""How a relaxation went: its outcome, and the steps that are kept of it."""

from __future__ import annotations

import strawberry


@strawberry.type(description="How a relaxation ended; lists are in the order of `keys` and `terms`.")
class RelaxationOutcome:
    status: str = strawberry.field(description="CONVERGED, MAX_STEPS, REJECTED or LINE_SEARCH_FAILED.")
    initial_energy: float
    energy: float = strawberry.field(description="Never above the initial one.")
    residual: float = strawberry.field(description="Largest coordinate of the projected gradient.")
    steps: int
    accepted: int
    rejected: int
    backtracks: int
    delta_f90: int = strawberry.field(
        description="States until 90 % of the drop was done, the start counted as 1; -1: none."
    )
    wall_seconds: float
    written_back: bool
    graph_name: str
    graph_digest: str
    keys: list[str]
    terms: list[str]
    eta: list[float]


@strawberry.type(description="A kept step of a relaxation.")
class RelaxationStep:
    uid: strawberry.ID
    run: strawberry.ID
    index: int = strawberry.field(description="0: the start.")
    energy: float
    gain: float = strawberry.field(description="By how much the step's own objective fell.")
    scale: float = strawberry.field(description="Share of the couplings in that objective.")
    gradient_norm: float
    step: float
    backtracks: int
    noise: float
    accepted: bool
    margin: float | None = strawberry.field(description="2/L less the step; null where the curvature has no bound.")
    eta: list[float]
    term_energy: list[float]
    term_norm: list[float]
