"""Relaxation: a coupling graph, as it was when it was asked for, to a state of less free energy.

The run's config holds a copy of the graph, the solver's settings, the start and the rng seed, and thereby all that a
replay needs: on the same machine it is bit-identical.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graph.errors import Conflict, GraphError
from graph.identity import digest
from graph.queries import coupling, relaxation, runs
from graph.queries.coupling import Drawn
from graph.queries.runs import RunRow
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.description import graph_of, keys_of, normal
from nvp.coordinator.reference import reference_curvature, reference_energy, reference_terms
from nvp.errors import FieldError
from resolvers.poke import poke
from resolvers.services.context import Services
from resolvers.services.settings import fitted
from resolvers.services.version import code_version

if TYPE_CHECKING:
    from nvp.coordinator.account import Account
    from nvp.coordinator.relax import Relaxation
    from resolvers.task import Task

MAX_NUMBERS = 1 << 24
"""Steps times modules of one relaxation, whose states are all recorded."""
MIDDLE = 0.5
"""η of an order parameter that nobody has set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaxationRequest:
    """Relax the coupling graph of this name."""

    graph: str
    # what differs from the defaults of `RelaxConfig`
    settings: Mapping[str, Any] = field(default_factory=dict)
    # η by key to start from; the others start where they stand, or in the middle
    start: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    # move the order parameters to where they settled
    write_back: bool = False
    # a new run even where the same was asked before
    force: bool = False


async def submit_relaxation(services: Services, request: RelaxationRequest) -> RunRow:
    """A QUEUED run of the graph as it is now; raises `FieldError` or `GraphError` where it cannot be relaxed."""
    found = await coupling.drawn(services.gateway, request.graph)
    description = normal(found.description)
    solver = settings_of(request.settings)
    keys = keys_of(description)
    if (solver.steps + 1) * len(keys) > MAX_NUMBERS:
        raise GraphError(
            "TOO_LARGE",
            f"expected at most {MAX_NUMBERS} steps times modules, got {solver.steps} times {len(keys)}.",
            next_step="Ask for fewer steps.",
        )
    config = {
        "graph": found.name,
        "description": description,
        "digest": digest(description),
        "settings": asdict(solver),
        "start": start_of(found, keys, request.start),
        "write_back": request.write_back,
    }
    uid = found.uid or await coupling.adopt(services.gateway, found.name)
    row = await runs.submit(
        services.gateway,
        kind="relaxation",
        config=config,
        capability="interactive",
        # a run that moves order parameters must move them again where they were set back
        dedup_key=None if request.write_back else digest(["relaxation", config, request.seed, code_version()]),
        rng_seed=request.seed,
        inputs=[(uid, "graph")],
        force=request.force,
        code_version=code_version(),
    )
    poke(services.settings, "interactive")
    return row


def settings_of(values: Mapping[str, Any]) -> RelaxConfig:
    """The solver's configuration; raises `FieldError` on a name or value that it does not have."""
    return RelaxConfig(**fitted(RelaxConfig, values))


def start_of(found: Drawn, keys: tuple[str, ...], given: Mapping[str, float]) -> list[float]:
    """η of each module to start from."""
    if unknown := sorted(set(given) - set(keys)):
        raise FieldError(
            "BAD_KEY",
            f"expected keys out of {', '.join(keys)}, got {', '.join(unknown)}.",
            next_step="Correct the key.",
        )
    start = {**dict.fromkeys(keys, MIDDLE), **found.eta, **given}
    for key in keys:
        value = start[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise FieldError("BAD_STATE", f"expected eta of {key!r} within 0 … 1, got {value!r}.", next_step="Clip it.")
    return [float(start[key]) for key in keys]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The free energy of a state, and where it would go."""

    energy: float
    keys: tuple[str, ...]
    eta: tuple[float, ...]
    gradient: tuple[float, ...]
    # L over the whole box; None where there is no bound
    curvature_bound: float | None
    # name, energy and gradient norm of each term
    terms: tuple[tuple[str, float, float], ...]


async def explain(services: Services, name: str, eta: Mapping[str, float]) -> Explanation:
    """What the energy of a graph is made of, where it stands or at `eta` by key; in plain NumPy, for the API."""
    found = await coupling.drawn(services.gateway, name)
    description = normal(found.description)
    keys, graph = keys_of(description), graph_of(description)
    state = start_of(found, keys, eta)
    terms = reference_terms(graph, state)
    energy, gradient = reference_energy(graph, state)
    bound = reference_curvature(graph)
    return Explanation(
        energy=energy,
        keys=keys,
        eta=tuple(state),
        gradient=tuple(gradient.tolist()),
        curvature_bound=bound if math.isfinite(bound) else None,
        terms=tuple((name, value, float(np.linalg.norm(slope))) for name, (value, slope) in terms.items()),
    )


async def add_coupling(services: Services, name: str, added: Mapping[str, Any]) -> Drawn:
    """Add one coupling to a graph, whatever else changes it meanwhile."""
    while True:
        found = await coupling.drawn(services.gateway, name)
        couplings = [*found.description["couplings"], added]
        description = normal({**found.description, "couplings": couplings})
        try:
            return await coupling.upsert(services.gateway, name, description, expected_version=found.version)
        except Conflict:  # another writer was faster: add it to what is there now
            continue


async def execute(services: Services, run: RunRow, task: Task) -> None:
    """Relax the copy of the graph in `run.config`, and record the trail in one transaction."""
    config = run.config
    description = config["description"]
    await task.report(0.0, "compiling")
    began = time.perf_counter()
    found, account = await task.compute(compute, config, run.rng_seed)
    keys, graph = keys_of(description), graph_of(description)
    await task.report(1.0, "recording the trail")
    eta = dict(zip(keys, map(float, found.eta), strict=True))
    await relaxation.record(
        services.gateway,
        task.lease,
        name=config["graph"],
        description=description,
        result={
            "graph_name": config["graph"],
            "graph_digest": config["digest"],
            "status": status_of(found),
            "initial_energy": float(found.initial_energy),
            "energy": float(found.energy),
            "residual": float(found.residual),
            "steps": int(found.steps),
            "accepted": int(found.accepted),
            "rejected": account.rejected,
            "backtracks": account.backtracks,
            "delta_f90": account.delta_f90,
            "wall_seconds": time.perf_counter() - began,
            "written_back": config["write_back"],
            "keys": list(keys),
            "terms": list(graph.terms),
            "eta": list(eta.values()),
        },
        steps=[asdict(step) for step in account.steps],
        eta=eta,
        write_back=config["write_back"],
    )


def compute(config: Mapping[str, Any], seed: int) -> tuple[Relaxation, Account]:
    """What `execute` computes: needs no graph, and gives the same bits again."""
    import jax

    from nvp.coordinator.account import account
    from nvp.coordinator.relax import relax

    graph = graph_of(config["description"])
    solver = replace(settings_of(config["settings"]), record_states=True)
    found = relax(graph, solver, jax.random.key(seed), eta0=np.array(config["start"]))
    if status_of(found) == "NONFINITE":
        raise FieldError(
            "NONFINITE",
            f"expected a finite energy, got none after {int(found.steps)} steps.",
            next_step="Check the weights and benefits of the graph.",
        )
    return found, account(graph, found)


def status_of(found: Relaxation) -> str:
    """How it ended, by name."""
    from nvp.coordinator.relax import Status

    return Status(int(found.status)).name
