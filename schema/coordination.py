"""Coupling graphs: order parameters that pull at each other, and their relaxation to less free energy."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from schema.results import Conflict, InvalidInput, NotFound
from schema.runs import RelaxationRun


@strawberry.type(description="A number eta in 0 … 1 and its local energy.")
class OrderParameter:
    key: str = strawberry.field(description="Its name within the graph.")
    kind: str
    params: JSON = strawberry.field(description="What differs from the defaults of its kind.")
    term: str | None = strawberry.field(description="Under which name its energy is weighed; null: by its kind.")
    eta: float | None = strawberry.field(description="Where it stands; null: nobody has set it.")


@strawberry.type(description="A potential between two order parameters; of a gate coupling, `start` is the gate.")
class Coupling:
    kind: str
    start: str
    end: str
    params: JSON
    delta: str | None = strawberry.field(description="The benefit that feeds a gate coupling.")
    term: str | None


@strawberry.type(description="What one term of the energy has: all modules or couplings that are weighed together.")
class Term:
    name: str
    energy: float
    gradient_norm: float


@strawberry.type(description="The free energy of a state, and where it would go.")
class Explanation:
    energy: float
    keys: list[str]
    eta: list[float]
    gradient: list[float] = strawberry.field(description="dF/d eta, in the order of `keys`.")
    curvature_bound: float | None = strawberry.field(
        description="L: fixed steps below 2/L cannot raise the energy anywhere; null where there is no bound."
    )
    terms: list[Term]


@strawberry.type(description="Order parameters that are relaxed together.")
class CouplingGraph:
    name: str
    uid: strawberry.ID | None = strawberry.field(description="Null until a drawing by hand is first relaxed.")
    version: int = strawberry.field(description="Counts the changes made by this API; 0: drawn by hand.")
    digest: str = strawberry.field(description="sha256 of the content; state does not count.")
    gamma: float = strawberry.field(description="What one more module costs.")
    tau: float = strawberry.field(description="What a module must gain beyond its cost.")
    weights: JSON = strawberry.field(description="Weight by term, where it is not 1.")
    deltas: JSON = strawberry.field(description="Benefits by key, frozen for the length of a relaxation.")
    modules: list[OrderParameter]
    couplings: list[Coupling]


@strawberry.input(description="An order parameter.")
class ModuleInput:
    key: str
    kind: str
    params: JSON | None = None
    term: str | None = None


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
    force: bool = False


CouplingGraphResult = Annotated[
    CouplingGraph | InvalidInput | NotFound | Conflict, strawberry.union("CouplingGraphResult")
]
RelaxResult = Annotated[RelaxationRun | InvalidInput | NotFound | Conflict, strawberry.union("RelaxResult")]
ExplainResult = Annotated[Explanation | InvalidInput | NotFound, strawberry.union("ExplainResult")]
