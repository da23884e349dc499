"""Coupling graphs as services need them: taken as they are now, explained, added to, and asked about once per key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from graph.errors import Conflict
from graph.identity import digest
from graph.queries import coupling, runs
from graph.queries.drawing import Drawn
from graph.queries.runs import RunRow
from nvp.coordinator.adapters.prices import prices_of
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import is_number, shown
from nvp.coordinator.description import graph_of, keys_of, normal
from nvp.coordinator.reference import reference_energy, reference_rows, reference_terms
from nvp.errors import FieldError
from resolvers.poke import poke
from resolvers.services import client_keys
from resolvers.services.context import Services
from resolvers.services.settings import fitted
from resolvers.services.version import code_version

MIDDLE = 0.5
"""η of an order parameter that nobody has set."""
SHOWN_KEYS = 20
"""Keys that a message names at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A coupling graph as it was at one moment: what a run gets a copy of."""

    name: str
    uid: str
    # normal, the evidence in it
    description: dict[str, Any]
    keys: tuple[str, ...]
    # of the drawing; another one is another graph
    digest: str
    # η by key, where one is set
    eta: dict[str, float]

    @property
    def copy(self) -> dict[str, Any]:
        """What the config of a run holds of it."""
        return {"graph": self.name, "description": self.description, "digest": self.digest}


async def taken(services: Services, name: str) -> Taken:
    """The graph as it is now; raises NotFound, and `FieldError` or `GraphError` where it cannot be relaxed."""
    found = await coupling.drawn(services.gateway, name)
    description = normal(informed(found))
    return Taken(
        name=name,
        uid=found.uid or await coupling.adopt(services.gateway, name),
        description=description,
        keys=keys_of(description),
        digest=found.digest,
        eta=found.eta,
    )


def informed(found: Drawn) -> dict[str, Any]:
    """What was drawn, with the evidence in the graph counted for each hypothesis whose well nobody has drawn."""
    modules = []
    for module in found.description["modules"]:
        drawn_well = {"a", "target", "supporting", "refuting"} & set(module["params"])
        if module["kind"] == "hypothesis" and module["key"] in found.evidence and not drawn_well:
            supporting, refuting = found.evidence[module["key"]]
            counts = {"supporting": supporting, "refuting": refuting}
            modules.append({**module, "params": {**module["params"], **counts}})
        else:
            modules.append(module)
    return {**found.description, "modules": modules}


def settings_of(values: Mapping[str, Any]) -> RelaxConfig:
    """The solver's configuration; raises `FieldError` on a name or value that it does not have."""
    return RelaxConfig(**fitted(RelaxConfig, by_name("settings", values)))


def by_name(what: str, values: Any) -> Mapping[str, Any]:
    """Values by name, as a client sent them; raises `FieldError` for what has no names."""
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise FieldError(
            "BAD_INPUT", f"expected {what} as an object, got {shown(values)}.", next_step='Write it as {"name": 1}.'
        )
    return values


def start_of(graph: Taken, given: Mapping[str, float]) -> list[float]:
    """η of each module to start from."""
    if unknown := sorted(set(by_name("eta", given)) - set(graph.keys)):
        known = [*graph.keys[:SHOWN_KEYS], *(["…"] if len(graph.keys) > SHOWN_KEYS else [])]
        raise FieldError(
            "BAD_KEY",
            f"expected keys out of {', '.join(known)}, got {', '.join(unknown[:SHOWN_KEYS])}.",
            next_step="Correct the key.",
        )
    start = {**dict.fromkeys(graph.keys, MIDDLE), **graph.eta, **given}
    for key in graph.keys:
        value = start[key]
        if not is_number(value) or not 0 <= value <= 1:
            raise FieldError(
                "BAD_STATE", f"expected eta of {key!r} within 0 … 1, got {shown(value)}.", next_step="Clip it."
            )
    return [float(start[key]) for key in graph.keys]


def require_fit(description: Mapping[str, Any], solver: RelaxConfig) -> None:
    """Refuse, before anything is queued, what the solver would refuse in the worker."""
    graph = graph_of(description)
    if unknown := sorted({name for name, _ in solver.homotopy_terms} - set(graph.terms)):
        raise FieldError(
            "UNKNOWN_TERM",
            f"expected homotopy_terms out of {', '.join(graph.terms)}, got {', '.join(unknown)}.",
            next_step="Name terms of the graph.",
        )
    if solver.adapter == "gate_cost":
        prices_of(graph)
    if needs_bound(solver) and not math.isfinite(reference_rows(graph).max()):
        raise FieldError(
            "GUARD_VIOLATED",
            "expected a bounded curvature for a fixed step, got a coupling whose slope jumps or is vertical.",
            next_step="Use line_search, or powers of 1 or at least 2 and redemptions without margin.",
        )


def needs_bound(solver: RelaxConfig) -> bool:
    """Whether its steps are fixed, and held below what a bound on the curvature allows."""
    return solver.mode == "gradient" and not solver.line_search and solver.stability_guard


def require_plain(solver: RelaxConfig) -> None:
    """Refuse an adapter where many graphs are relaxed at once: it would adapt each to other weights."""
    if solver.adapter != "none":
        raise FieldError(
            "BAD_CONFIG",
            f"expected no adapter for many graphs at once, got {solver.adapter}.",
            next_step="Relax them one by one.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The free energy of a state, and where it would go."""

    energy: float
    keys: tuple[str, ...]
    eta: tuple[float, ...]
    gradient: tuple[float, ...]
    # L over the whole box, and of each module; None where there is no bound
    curvature_bound: float | None
    row_bounds: tuple[float | None, ...]
    # 2/L − step, of the whole and of each module: below 0 a fixed step may overshoot; None where nothing curves
    margin: float | None
    row_margins: tuple[float | None, ...]
    # name, energy and gradient norm of each term
    terms: tuple[tuple[str, float, float], ...]


async def explain(
    services: Services, name: str, eta: Mapping[str, float], *, step_size: float = RelaxConfig().step_size
) -> Explanation:
    """What the energy of a graph is made of, where it stands or at `eta` by key; in plain NumPy, for the API."""
    found = await coupling.drawn(services.gateway, name)
    description = normal(informed(found))
    known = Taken(
        name=name, uid="", description=description, keys=keys_of(description), digest=found.digest, eta=found.eta
    )
    return explained(known, start_of(known, eta), step_size=step_size)


def explained(graph: Taken, state: list[float], *, step_size: float = RelaxConfig().step_size) -> Explanation:
    """The energy of a graph in one state."""
    if not 0 < step_size < math.inf:
        raise FieldError(
            "BAD_CONFIG", f"expected step_size > 0 and finite, got {step_size}.", next_step="Leave it out."
        )
    whole = graph_of(graph.description)
    terms = reference_terms(whole, state)
    energy, gradient = reference_energy(whole, state)
    rows = reference_rows(whole).tolist()
    return Explanation(
        energy=energy,
        keys=graph.keys,
        eta=tuple(state),
        gradient=tuple(gradient.tolist()),
        curvature_bound=_finite(max(rows)),
        row_bounds=tuple(_finite(row) for row in rows),
        margin=_margin(max(rows), step_size),
        row_margins=tuple(_margin(row, step_size) for row in rows),
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
        except Conflict as conflict:
            if conflict.code != "STALE_VERSION":
                raise
            # another writer was faster: add it to what is there now


async def submit(
    services: Services,
    graph: Taken,
    *,
    kind: str,
    config: Mapping[str, Any],
    seed: int,
    once: bool = True,
    force: bool = False,
    client_key: str | None = None,
    request: Mapping[str, Any] | None = None,
) -> RunRow:
    """A QUEUED run on a copy of the graph.

    `once`: a run of the same content is returned instead of a new one. A client's key stands for one request, whatever
    has become of the graph since: the same request again is the same run, another one raises Conflict.
    """
    if not abs(seed) < 2**63:  # what Neo4j holds
        raise FieldError(
            "BAD_SEED", f"expected a seed below {2**63}, got {shown(seed)}.", next_step="Use a smaller one."
        )
    whole: dict[str, Any] = {**graph.copy, **config}
    key = digest([kind, whole, seed, code_version()]) if once else None
    if client_key is not None:
        whole[client_keys.REQUEST] = digest(request)
        key = client_keys.dedup_key(kind, client_key)
    row = await runs.submit(
        services.gateway,
        kind=kind,
        config=whole,
        capability="interactive",
        dedup_key=key,
        rng_seed=seed,
        inputs=[(graph.uid, "graph")],
        force=force and client_key is None,
        code_version=code_version(),
    )
    poke(services.settings, "interactive")
    return row if client_key is None else client_keys.told(row, client_key, request)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _margin(row: float, step: float) -> float | None:
    return 2 / row - step if row else None
