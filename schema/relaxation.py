"""How a relaxation went: its outcome, the steps that are kept of it, and what its gates then did."""

from __future__ import annotations

from datetime import datetime

import strawberry


@strawberry.type(description="What one term of the energy has: all modules or couplings that are weighed together.")
class Term:
    name: str
    energy: float
    gradient_norm: float


@strawberry.type(description="How a relaxation ended; lists are in the order of `keys` and `terms`.")
class RelaxationOutcome:
    status: str = strawberry.field(description="CONVERGED, MAX_STEPS, STALLED, REJECTED or LINE_SEARCH_FAILED.")
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
    primal_residual: float | None = strawberry.field(description="Of `admm`: how far copies are from their gaps.")
    dual_residual: float | None = strawberry.field(description="Of `admm`: how far the copies last moved, times rho.")
    switches: int | None = strawberry.field(description="How often `adaptive` went to coordinates.")
    wall_seconds: float
    written_back: bool
    spent: float | None = strawberry.field(description="What the gates that opened cost; null without gates.")
    budget: float | None = strawberry.field(description="What they may cost; null: no limit.")
    snapped_energy: float | None = strawberry.field(
        description="F with every gate at 0 or 1, which may be above `energy`; null without gates."
    )
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
    objective_version: int = strawberry.field(description="Which objective it was judged by.")
    weights: list[float] = strawberry.field(description="What an adapter had given it; empty without one.")
    events: list[str] = strawberry.field(description="BALANCED, BACKED_OFF, ESCAPED, LOW_MARGIN.")


@strawberry.type(description="Where the energy is at a kept step, and which terms pull.")
class EnergyBudget:
    step: int
    energy: float
    gain: float
    scale: float
    accepted: bool
    backtracks: int
    margin: float | None
    noise: float
    terms: list[Term]


@strawberry.type(description="What became of a gate after a relaxation.")
class GateEvent:
    uid: strawberry.ID
    run: strawberry.ID
    graph: str
    key: str
    eta: float
    net: float = strawberry.field(description="Gain less cost, as its energy has it.")
    hazard: float = strawberry.field(description="The rate softplus(10 net) at which it opens.")
    benefit: float = strawberry.field(description="Expected, by what feeds it.")
    cost: float = strawberry.field(description="What opening it takes from the budget.")
    opened: bool
    refusal: str | None = strawberry.field(
        description="Why not: closed (eta <= 1/2), order (one before it is shut) or budget."
    )
    parents: list[str] = strawberry.field(description="Gates that had to open before it.")
    at: datetime
    realised: float | None = strawberry.field(description="What it was worth, once measured: `recordBenefits`.")
    realised_at: datetime | None


@strawberry.type(description="All gates of a relaxation together; what needs realised benefits is null before.")
class GatingMetrics:
    gates: int
    opened: int
    ends_count: int = strawberry.field(description="Openings that no other followed: where lines of them ended.")
    hazard_mean: float
    expected_benefit: float = strawberry.field(description="Of those that opened.")
    measured: int = strawberry.field(description="How many of those that opened have a realised benefit.")
    realised_benefit: float | None
    mu_hat: float | None = strawberry.field(description="Openings per realised gain.")
    good_bad_ratio: float | None = strawberry.field(description="Openings that gained, to those that did not.")
