"""Relaxation: a coupling graph, as it was when it was asked for, to a state of less free energy.

The run's config holds a copy of the graph, the solver's settings, the start and the rng seed, and thereby all that a
replay needs: on the same machine it is bit-identical.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graph.errors import GraphError
from graph.queries import relaxation
from graph.queries.runs import RunRow
from nvp.coordinator.description import graph_of, keys_of
from nvp.coordinator.gating import Schedule, WithinBudget
from nvp.coordinator.measures import hazard_rate
from nvp.errors import FieldError
from resolvers.services import coupling
from resolvers.services.context import Services
from resolvers.services.coupling import Explanation, explained, require_fit, settings_of, start_of, taken

if TYPE_CHECKING:
    from nvp.coordinator.account import Account
    from nvp.coordinator.relax import Relaxation
    from resolvers.task import Task

MAX_NUMBERS = 1 << 24
"""Numbers that one relaxation records while it goes on: its states, padded, and what else a step has."""
OF_A_STEP = 64


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


async def submit_relaxation(services: Services, request: RelaxationRequest, *, client_key: str | None = None) -> RunRow:
    """A QUEUED run of the graph as it is now; raises `FieldError` or `GraphError` where it cannot be relaxed."""
    graph = await taken(services, request.graph)
    return await coupling.submit(
        services,
        graph,
        kind="relaxation",
        config=_checked(graph, request),
        seed=request.seed,
        # a run that moves order parameters must move them again where they were set back
        once=not request.write_back,
        force=request.force,
        client_key=client_key,
        request=asdict(request),
    )


async def rehearse_relaxation(services: Services, request: RelaxationRequest) -> Explanation:
    """All checks of `submit_relaxation`, and the energy at the start; nothing is queued."""
    graph = await taken(services, request.graph)
    config = _checked(graph, request)
    return explained(graph, config["start"], step_size=config["settings"]["step_size"])


def _checked(graph: coupling.Taken, request: RelaxationRequest) -> dict[str, Any]:
    """What the config of a run holds beside the graph."""
    solver = settings_of(request.settings)
    if (solver.steps + 1) * (2 * len(graph.keys) + OF_A_STEP) > MAX_NUMBERS:
        most = MAX_NUMBERS // (2 * len(graph.keys) + OF_A_STEP) - 1
        raise GraphError(
            "TOO_LARGE",
            f"expected at most {most} steps of {len(graph.keys)} modules, got {solver.steps}.",
            next_step="Ask for fewer steps.",
        )
    require_fit(graph.description, solver)
    start = start_of(graph, request.start)
    return {"settings": asdict(solver), "start": start, "write_back": request.write_back}


async def execute(services: Services, run: RunRow, task: Task) -> None:
    """Relax the copy of the graph in `run.config`, and record the trail in one transaction."""
    config = run.config
    description = config["description"]
    await task.report(0.0, "compiling")
    began = time.perf_counter()
    budget = config["settings"]["steps"]
    found, account = await task.compute(
        compute,
        config,
        run.rng_seed,
        between=lambda done: task.tell(done / budget, f"{done} of at most {budget} steps"),
    )
    keys, graph = keys_of(description), graph_of(description)
    await task.report(1.0, "recording the trail")
    eta = dict(zip(keys, map(float, found.eta), strict=True))
    decided = WithinBudget().schedule(description, eta)
    await relaxation.record(
        services.gateway,
        task.lease,
        name=config["graph"],
        digest=config["digest"],
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
            **told_of(found),
            "wall_seconds": time.perf_counter() - began,
            "written_back": config["write_back"],
            "spent": decided.spent if decided.gates else None,
            "budget": decided.budget,
            "snapped_energy": decided.snapped_energy if decided.gates else None,
            "keys": list(keys),
            "terms": list(graph.terms),
            "eta": list(eta.values()),
        },
        steps=[asdict(step) for step in account.steps],
        eta=eta,
        gates=gate_rows(decided),
        write_back=config["write_back"],
    )


def gate_rows(decided: Schedule) -> list[dict[str, Any]]:
    """What is recorded of each gate."""
    return [
        {
            "key": gate.key,
            "eta": gate.eta,
            "net": gate.net,
            "hazard": hazard_rate(gate.net),
            "benefit": gate.benefit,
            "cost": gate.cost,
            "opened": gate.key in decided.opened,
            "refusal": decided.refusal(gate),
            "after": gate.after,
        }
        for gate in decided.gates
    ]


def compute(
    config: Mapping[str, Any], seed: int, *, between: Callable[[int], None] = lambda _: None
) -> tuple[Relaxation, Account]:
    """What `execute` computes: needs no graph, and gives the same bits again."""
    import jax

    from nvp.coordinator.account import account
    from nvp.coordinator.dispatches import relax_in_dispatches

    graph = graph_of(config["description"])
    solver = replace(settings_of(config["settings"]), record_states=True)
    found = relax_in_dispatches(graph, solver, jax.random.key(seed), np.array(config["start"]), between=between)
    if status_of(found) == "NONFINITE":
        raise FieldError(
            "NONFINITE",
            f"expected a finite energy, got none after {int(found.steps)} steps.",
            next_step="Check the weights and benefits of the graph.",
        )
    return found, account(graph, found)


def told_of(found: Relaxation) -> dict[str, float | None]:
    """What the solver says of itself; None of what it has not come to."""
    return {name: value.item() if np.isfinite(value) else None for name, value in found.told.items()}


def status_of(found: Relaxation) -> str:
    """How it ended, by name."""
    from nvp.coordinator.relax import Status

    return Status(int(found.status)).name
