"""Sweep: a coupling graph relaxed at every point of a grid, so many points at once as one array program.

Points are recorded piece by piece, each the same however often it is computed: a second attempt goes on where the
first was lost, and a cancelled sweep keeps what it has.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from graph.errors import GraphError
from graph.queries import sweeps
from graph.queries.runs import RunRow
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.description import graph_of, keys_of
from nvp.coordinator.grid import Axis, Point, points, require_points
from resolvers.services import coupling
from resolvers.services.context import Services
from resolvers.services.coupling import needs_bound, require_fit, require_plain, settings_of, start_of, taken

if TYPE_CHECKING:
    from resolvers.task import Task

MAX_POINTS = 4096
MAX_NUMBERS = 1 << 22
"""Points times modules and couplings of one sweep."""
FEWER_NUMBERS = 1 << 19
"""The same where the curvature must be bounded at each point."""
TOGETHER = 256
"""Points that are relaxed and recorded at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRequest:
    """Relax the coupling graph of this name at every point of a grid."""

    graph: str
    axes: Sequence[Axis]
    # as of a relaxation; an axis may override what it starts from
    settings: Mapping[str, Any] = field(default_factory=dict)
    start: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    force: bool = False


async def submit_sweep(services: Services, request: SweepRequest, *, client_key: str | None = None) -> RunRow:
    """A QUEUED run over the graph as it is now; raises `FieldError` or `GraphError` where a point cannot be relaxed."""
    graph = await taken(services, request.graph)
    count = math.prod(len(axis.values) for axis in request.axes)
    solver = settings_of(request.settings)
    # a fixed step is safe or not at each point by itself
    numbers = FEWER_NUMBERS if needs_bound(solver) else MAX_NUMBERS
    size = len(graph.keys) + len(graph.description["couplings"])
    if count > MAX_POINTS or count * size > numbers:
        raise GraphError(
            "TOO_LARGE",
            f"expected at most {min(MAX_POINTS, numbers // size)} points of a graph with {len(graph.keys)} modules and "
            f"{size - len(graph.keys)} couplings, got {count}.",
            next_step="Leave out some values.",
        )
    require_plain(solver)
    config = {
        "settings": asdict(solver),
        "start": start_of(graph, request.start),
        "axes": [{"path": axis.path, "values": list(axis.values)} for axis in request.axes],
    }
    await asyncio.to_thread(_require_points, {**graph.copy, **config}, solver)
    return await coupling.submit(
        services,
        graph,
        kind="sweep",
        config=config,
        seed=request.seed,
        force=request.force,
        client_key=client_key,
        request=asdict(request),
    )


def _require_points(config: Mapping[str, Any], solver: RelaxConfig) -> None:
    """Refuse, before anything is queued, a grid with a point that the worker would refuse."""
    if needs_bound(solver):
        for point in points_of(config):
            require_fit(point.description, solver)
    else:
        require_points(*_grid_of(config))
        require_fit(config["description"], solver)


def points_of(config: Mapping[str, Any], *, first: int = 0, most: int | None = None) -> list[Point]:
    """The points of a run's config; of all, `most` from the `first` on."""
    return points(*_grid_of(config), first=first, most=most)


def _grid_of(config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, float], list[Axis]]:
    # JSON makes whole numbers of 1.0
    start = dict(zip(keys_of(config["description"]), map(float, config["start"]), strict=True))
    axes = [Axis(path=axis["path"], values=tuple(map(float, axis["values"]))) for axis in config["axes"]]
    return config["description"], start, axes


async def execute(services: Services, run: RunRow, task: Task) -> None:
    """Relax every point and record where it settled."""
    config = run.config
    began = time.perf_counter()
    count = math.prod(len(axis["values"]) for axis in config["axes"])
    await task.report(0.0, "compiling")
    known = await sweeps.points_of(services.gateway, run.uid, limit=MAX_POINTS)
    energies = {row.index: row.energy for row in known}
    for first in range(0, count, TOGETHER):
        done = min(first + TOGETHER, count)
        if not set(range(first, done)) <= set(energies):
            # all points at once would be as many copies of the graph
            piece = await task.compute(points_of, config, first=first, most=TOGETHER)
            rows = await task.compute(relax_points, piece, config["settings"], run.rng_seed, first)
            await sweeps.add_points(services.gateway, task.lease, rows)
            energies |= {row["index"]: row["energy"] for row in rows}
        await task.report(done / count, f"{done} of {count} points")
    finite = {index: energy for index, energy in energies.items() if energy is not None}
    best = min(finite, key=lambda index: (finite[index], index), default=None)
    await sweeps.finish(
        services.gateway,
        task.lease,
        name=config["graph"],
        result={
            "graph_name": config["graph"],
            "graph_digest": config["digest"],
            "axes": [axis["path"] for axis in config["axes"]],
            "keys": list(keys_of(config["description"])),
            "points": count,
            "energy": None if best is None else finite[best],
            "best": best,
            "wall_seconds": time.perf_counter() - began,
        },
    )


def relax_points(piece: Sequence[Point], settings: Mapping[str, Any], seed: int, first: int) -> list[dict[str, Any]]:
    """Where each point of a piece settles; needs no graph, and gives the same again."""
    import jax

    from nvp.coordinator.many import relax_many
    from resolvers.services.relaxation import status_of

    graphs = [graph_of(point.description) for point in piece]
    starts = [[point.start[key] for key in keys_of(point.description)] for point in piece]
    key = jax.random.fold_in(jax.random.key(seed), first)
    found = relax_many(graphs, settings_of(settings), key, starts)
    return [
        {
            "index": first + number,
            "at": list(point.at),
            "status": status_of(one),
            "initial_energy": float(one.initial_energy),
            "energy": _finite(float(one.energy)),
            "residual": _finite(float(one.residual)),
            "steps": int(one.steps),
            "eta": [float(value) for value in one.eta],
        }
        for number, (point, one) in enumerate(zip(piece, found, strict=True))
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
