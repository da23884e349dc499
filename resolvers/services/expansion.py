"""Expansion: modules that a coupling graph might be given, weighed by relaxing it with and without each.

Accepted is what lowers F by more than its price, ΔF + γ < −τ; survivors are the few of them that lower it most. They
are written into the graph where that was asked for, unless the graph has changed meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from graph.errors import GraphError
from graph.queries import expansions
from graph.queries.runs import RunRow
from nvp.coordinator.candidates import Candidate, extended
from nvp.coordinator.description import keys_of, normal
from resolvers.services import coupling
from resolvers.services.context import Services
from resolvers.services.coupling import require_fit, require_plain, settings_of, start_of, taken

if TYPE_CHECKING:
    from nvp.coordinator.expansion import Expansion
    from resolvers.task import Task

MAX_CANDIDATES = 100
MAX_NUMBERS = 1 << 19
"""Candidates times modules and couplings of the graph."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpansionRequest:
    """Weigh candidates for the coupling graph of this name."""

    graph: str
    candidates: Sequence[Candidate]
    # the graph's own where None
    gamma: float | None = None
    tau: float | None = None
    # survivors at most: 1 or 2
    keep: int = 2
    # write the survivors into the graph
    apply: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    start: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    force: bool = False


async def submit_expansion(services: Services, request: ExpansionRequest, *, client_key: str | None = None) -> RunRow:
    """A QUEUED run over the graph as it is now; raises `FieldError` or `GraphError` where a candidate does not fit."""
    graph = await taken(services, request.graph)
    if not 0 < len(request.candidates) <= MAX_CANDIDATES:
        raise GraphError(
            "TOO_LARGE",
            f"expected 1 to {MAX_CANDIDATES} candidates, got {len(request.candidates)}.",
            next_step="Propose the likely ones.",
        )
    if twice := sorted(key for key, count in Counter(each.key for each in request.candidates).items() if count > 1):
        raise GraphError(
            "BAD_KEY",
            f"expected candidates, each with a key of its own, got {', '.join(twice)} twice.",
            next_step="Rename them.",
        )
    if not 1 <= request.keep <= 2:
        raise GraphError("BAD_CONFIG", f"expected keep from 1 to 2, got {request.keep}.", next_step="Use 2.")
    prices = {name: getattr(request, name) for name in ("gamma", "tau") if getattr(request, name) is not None}
    priced = normal({**graph.description, **prices})
    solver = settings_of(request.settings)
    require_plain(solver)
    if len(request.candidates) * (size := len(graph.keys) + len(priced["couplings"])) > MAX_NUMBERS:
        raise GraphError(
            "TOO_LARGE",
            f"expected at most {MAX_NUMBERS // size} candidates for a graph with {len(graph.keys)} modules and "
            f"{size - len(graph.keys)} couplings, got {len(request.candidates)}.",
            next_step="Propose the likely ones.",
        )

    def require_candidates() -> None:
        for candidate in request.candidates:
            require_fit(extended(priced, candidate), solver)

    await asyncio.to_thread(require_candidates)
    config = {
        "settings": asdict(solver),
        "start": start_of(graph, request.start),
        "candidates": [asdict(candidate) for candidate in request.candidates],
        "gamma": priced["gamma"],
        "tau": priced["tau"],
        "keep": request.keep,
        "apply": request.apply,
    }
    return await coupling.submit(
        services,
        graph,
        kind="expansion",
        config=config,
        seed=request.seed,
        once=not request.apply,
        force=request.force,
        client_key=client_key,
        request=asdict(request),
    )


async def execute(services: Services, run: RunRow, task: Task) -> None:
    """Weigh the candidates, and record what became of each in one transaction."""
    config = run.config
    began = time.perf_counter()
    await task.report(0.0, "compiling")
    found = await task.compute(compute, config, run.rng_seed)
    await task.report(1.0, "recording the candidates")
    await expansions.record(
        services.gateway,
        task.lease,
        name=config["graph"],
        digest=config["digest"],
        result={
            "graph_name": config["graph"],
            "graph_digest": config["digest"],
            "gamma": found.gamma,
            "tau": found.tau,
            "energy": found.energy,
            "survivors": list(found.survivors),
            "wall_seconds": time.perf_counter() - began,
        },
        candidates=[
            {
                "key": score.key,
                "index": index,
                "energy_before": score.energy_before,
                "energy_after": score.energy_after,
                "delta": score.delta,
                "accepted": score.accepted,
                "survives": score.key in found.survivors,
                "parent": score.parent,
            }
            for index, score in enumerate(found.scores)
        ],
        additions=additions(config, found.survivors) if config["apply"] and found.survivors else None,
    )


def compute(config: Mapping[str, Any], seed: int) -> Expansion:
    """What `execute` computes: needs no graph, and gives the same again."""
    from nvp.coordinator.expansion import propose_expansion

    description = config["description"]
    return propose_expansion(
        description,
        candidates_of(config),
        gamma=float(config["gamma"]),
        tau=float(config["tau"]),
        keep=config["keep"],
        config=settings_of(config["settings"]),
        start=dict(zip(keys_of(description), map(float, config["start"]), strict=True)),
        seed=seed,
    )


def candidates_of(config: Mapping[str, Any]) -> list[Candidate]:
    """The candidates of a run's config; JSON has made whole numbers of 1.0."""
    return [
        Candidate(**{**each, "deltas": {key: float(value) for key, value in each["deltas"].items()}})
        for each in config["candidates"]
    ]


def additions(config: Mapping[str, Any], survivors: Sequence[str]) -> dict[str, Any]:
    """The survivors as the graph shall have them."""
    added: dict[str, Any] = {"modules": [], "couplings": [], "deltas": {}}
    for candidate in candidates_of(config):
        if candidate.key in survivors:
            whole = extended(config["description"], candidate)
            added["modules"] += [each for each in whole["modules"] if each["key"] == candidate.key]
            added["couplings"] += [each for each in whole["couplings"] if candidate.key in (each["from"], each["to"])]
            added["deltas"] |= candidate.deltas
    return added
