"""Coupling graphs: order parameters that pull at each other, and their relaxation to less free energy."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from schema import ports
from schema.connection import DEFAULT_PAGE, Connection
from schema.described import described
from schema.inputs import CLIENT_KEY
from schema.ports import Info
from schema.relaxation import GateEvent, Term
from schema.results import Conflict, InvalidInput, NotFound
from schema.runs import ExpansionRun, RelaxationRun, SweepRun


@strawberry.type(description="A number eta in 0 … 1 and its local energy.")
class OrderParameter:
    key: str = strawberry.field(description="Its name within the graph.")
    kind: str
    params: JSON = strawberry.field(description="What differs from the defaults of its kind.")
    term: str | None = strawberry.field(description="Under which name its energy is weighed; null: by its kind.")
    cost: float = strawberry.field(description="What a gate takes from the budget if it opens.")
    eta: float | None = strawberry.field(description="Where it stands; null: nobody has set it.")


@strawberry.type(description="A potential between two order parameters; of a gate coupling, `start` is the gate.")
class Coupling:
    kind: str
    start: str
    end: str
    params: JSON
    delta: str | None = strawberry.field(description="The benefit that feeds a gate coupling.")
    term: str | None


@strawberry.type(description="The free energy of a state, and where it would go.")
class Explanation:
    energy: float
    keys: list[str]
    eta: list[float]
    gradient: list[float] = strawberry.field(description="dF/d eta, in the order of `keys`.")
    curvature_bound: float | None = strawberry.field(
        description="L: fixed steps below 2/L cannot raise the energy anywhere; null where there is no bound."
    )
    row_bounds: list[float | None] = strawberry.field(description="The same of each order parameter alone.")
    margin: float | None = strawberry.field(
        description="2/L - stepSize: below 0 a fixed step may overshoot; null where nothing curves."
    )
    row_margins: list[float | None]
    terms: list[Term]


@strawberry.type(description="An order parameter was made, changed, taken away or moved.")
class ModuleEvent:
    uid: strawberry.ID
    graph: str
    key: str
    event: str = strawberry.field(description="CREATED, CHANGED, REMOVED or MOVED.")
    version: int | None = strawberry.field(description="Of the order parameter, after it; null where it is gone.")
    at: datetime
    source: str = strawberry.field(description="uid of the run that did it, or who asked.")
    payload: JSON = strawberry.field(description="`was` and `now`.")


@strawberry.type(description="Order parameters that are relaxed together.")
class CouplingGraph:
    name: str
    uid: strawberry.ID | None = strawberry.field(description="Null until a drawing by hand is first relaxed.")
    version: int = strawberry.field(description="Counts the changes made by this API; 0: drawn by hand.")
    digest: str = strawberry.field(description="sha256 of the content; state does not count.")
    gamma: float = strawberry.field(description="What one more module costs.")
    tau: float = strawberry.field(description="What a module must gain beyond its cost.")
    budget: float | None = strawberry.field(description="What the gates that open may cost together; null: no limit.")
    weights: JSON = strawberry.field(description="Weight by term, where it is not 1.")
    deltas: JSON = strawberry.field(description="Benefits by key, frozen for the length of a relaxation.")
    modules: list[OrderParameter]
    couplings: list[Coupling]

    @described("What happened to its order parameters, latest first.")
    async def events(self, info: Info, first: int = DEFAULT_PAGE, after: str | None = None) -> Connection[ModuleEvent]:
        return await info.context.catalog.page(ports.MODULE_EVENTS, first=first, after=after, graph=self.name)


@strawberry.input(description="An order parameter.")
class ModuleInput:
    key: str
    kind: str
    params: JSON | None = None
    term: str | None = None
    cost: float = 0.0


@strawberry.input(description="A coupling from one order parameter to another, by their keys.")
class CouplingInput:
    kind: str
    start: str
    end: str
    params: JSON | None = None
    delta: str | None = None
    term: str | None = None


@strawberry.input(description="A coupling graph as it shall be; what is not in it is taken out.")
class CouplingGraphInput:
    name: str
    modules: list[ModuleInput]
    couplings: list[CouplingInput] = strawberry.field(default_factory=list)
    weights: JSON | None = None
    deltas: JSON | None = None
    gamma: float = 0.0
    tau: float = 0.0
    budget: float | None = None
    allow_missing_delta: bool = False
    title: str | None = None
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse where the graph has another version; 0 where it shall not exist yet."
    )


@strawberry.input(description="Relax a coupling graph as it is now.")
class RelaxInput:
    graph: str
    settings: JSON | None = strawberry.field(
        default=None, description="What differs from the solver's defaults: mode, steps, step_size, noise, …"
    )
    start: JSON | None = strawberry.field(
        default=None, description="eta by key; the others start where they stand, or at 0.5."
    )
    seed: int = 0
    write_back: bool = strawberry.field(default=False, description="Move the order parameters to where they settled.")
    dry_run: bool = strawberry.field(default=False, description="Check all, and explain the start; queue nothing.")
    force: bool = False
    client_key: str | None = CLIENT_KEY


@strawberry.input(description="One number of a coupling graph, and the values it takes.")
class AxisInput:
    path: str = strawberry.field(
        description="weights.TERM, deltas.KEY, start.KEY, modules.KEY.PARAM, couplings.FROM>TO.PARAM or gamma"
    )
    values: list[float]


@strawberry.input(description="Relax a coupling graph, as it is now, at every point of a grid.")
class SweepInput:
    graph: str
    axes: list[AxisInput]
    settings: JSON | None = None
    start: JSON | None = None
    seed: int = 0
    force: bool = False
    client_key: str | None = CLIENT_KEY


@strawberry.input(description="A module that might be added, and what would couple it to the graph.")
class CandidateInput:
    module: ModuleInput
    couplings: list[CouplingInput] = strawberry.field(default_factory=list)
    deltas: JSON | None = None


@strawberry.input(description="Weigh candidates: relax the graph with and without each.")
class ExpansionInput:
    graph: str
    candidates: list[CandidateInput]
    gamma: float | None = strawberry.field(default=None, description="What one costs; null: as the graph says.")
    tau: float | None = strawberry.field(default=None, description="What it must gain beyond; null: as the graph says.")
    keep: int = strawberry.field(default=2, description="Survivors at most: 1 or 2.")
    apply: bool = strawberry.field(
        default=False, description="Write the survivors into the graph, unless it has changed meanwhile."
    )
    settings: JSON | None = None
    start: JSON | None = None
    seed: int = 0
    force: bool = False
    client_key: str | None = CLIENT_KEY


@strawberry.type(description="What gates of one run have become.")
class RecordedBenefits:
    gates: list[GateEvent]


CouplingGraphResult = Annotated[
    CouplingGraph | InvalidInput | NotFound | Conflict, strawberry.union("CouplingGraphResult")
]
RelaxResult = Annotated[
    RelaxationRun | Explanation | InvalidInput | NotFound | Conflict, strawberry.union("RelaxResult")
]
SweepResult = Annotated[SweepRun | InvalidInput | NotFound | Conflict, strawberry.union("SweepResult")]
ExpansionResult = Annotated[ExpansionRun | InvalidInput | NotFound | Conflict, strawberry.union("ExpansionResult")]
BenefitsResult = Annotated[RecordedBenefits | InvalidInput | NotFound, strawberry.union("BenefitsResult")]
ExplainResult = Annotated[Explanation | InvalidInput | NotFound, strawberry.union("ExplainResult")]
