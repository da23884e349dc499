"""Sweep: a coupling graph relaxed at every point of a grid, so many points at once as one array program.

Points are recorded piece by piece, each the same however often it is computed: a second attempt goes on where the
first was lost, and a cancelled sweep keeps what it has.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from graph.errors import GraphError
from graph.queries import sweeps
from graph.queries.runs import RunRow
from nvp.coordinator.description import graph_of, keys_of
from nvp.coordinator.grid import Axis, Point, points
from resolvers.services import coupling
from resolvers.services.context import Services
from resolvers.services.coupling import require_fit, require_plain, settings_of, start_of, taken

if TYPE_CHECKING:
    from resolvers.task import Task

MAX_POINTS = 4096
MAX_NUMBERS = 1 << 22
"""Points times modules of one sweep."""
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
    if count > MAX_POINTS or count * len(graph.keys) > MAX_NUMBERS:
        raise GraphError(
            "TOO_LARGE",
            f"expected at most {MAX_POINTS} points and {MAX_NUMBERS} points times modules, got {count} points of "
            f"{len(graph.keys)} modules.",
            next_step="Leave out some values.",
        )
    solver = settings_of(request.settings)
    require_plain(solver)
    config = {
        "settings": asdict(solver),
        "start": start_of(graph, request.start),
        "axes": [{"path": axis.path, "values": list(axis.values)} for axis in request.axes],
    }
    for point in points_of({**graph.copy, **config}):
        require_fit(point.description, solver)
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


def points_of(config: Mapping[str, Any]) -> list[Point]:
    """The points of a run's config."""
    # JSON makes whole numbers of 1.0
    start = dict(zip(keys_of(config["description"]), map(float, config["start"]), strict=True))
    axes = [Axis(path=axis["path"], values=tuple(map(float, axis["values"]))) for axis in config["axes"]]
    return points(config["description"], start, axes)


async def execute(services: Services, run: RunRow, task: Task) -> None:
    """Relax every point and record where it settled."""
    config = run.config
    began = time.perf_counter()
    grid = points_of(config)
    await task.report(0.0, "compiling")
    known = await sweeps.points_of(services.gateway, run.uid, limit=MAX_POINTS)
    energies = {row.index: row.energy for row in known}
    for first in range(0, len(grid), TOGETHER):
        piece = grid[first : first + TOGETHER]
        if not set(range(first, first + len(piece))) <= set(energies):
            rows = await task.compute(relax_points, piece, config["settings"], run.rng_seed, first)
            await sweeps.add_points(services.gateway, task.lease, rows)
            energies |= {row["index"]: row["energy"] for row in rows}
        done = first + len(piece)
        await task.report(done / len(grid), f"{done} of {len(grid)} points")
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
            "points": len(grid),
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
