"""Sweeps against a real Neo4j: each point as a relaxation of its own finds it, resumed and cancelled by pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import pytest

from graph.errors import Conflict, GraphError
from graph.queries import coupling, runs, sweeps
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.description import graph_of, normal
from nvp.coordinator.grid import Axis, Point
from nvp.coordinator.relax import relax
from nvp.errors import FieldError
from resolvers.services import sweep
from resolvers.services.context import Services
from resolvers.services.sweep import SweepRequest, points_of, submit_sweep
from resolvers.task import Cancelled
from tests.resolvers.services.coupling_runs import GRAPH, leased, worked

pytestmark = pytest.mark.db

AXES = (Axis(path="weights.coup:quadratic", values=(0.0, 1.0)), Axis(path="deltas.domain", values=(0.0, 0.08, 0.3)))


async def test_every_point_settles_where_a_relaxation_of_its_own_does(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await coupling.upsert(services.gateway, "g", normal(GRAPH))
    submitted = await submit_sweep(services, SweepRequest(graph="g", axes=AXES))
    assert (submitted.kind, submitted.state) == ("sweep", "QUEUED")
    assert (await submit_sweep(services, SweepRequest(graph="g", axes=AXES))).uid == submitted.uid
    monkeypatch.setattr(sweep, "TOGETHER", 4)
    run = await worked(services, sweep, submitted)
    rows = await sweeps.points_of(services.gateway, run.uid, limit=100)
    assert [row.at for row in rows] == [[w, d] for w in (0.0, 1.0) for d in (0.0, 0.08, 0.3)]
    for row, point in zip(rows, points_of(run.config), strict=True):
        alone = relax(graph_of(point.description), RelaxConfig(), jax.random.key(0))
        assert row.energy == pytest.approx(float(alone.energy), abs=1e-12)
        assert row.eta == pytest.approx(alone.eta.tolist(), abs=1e-7)
    # as it was drawn: the minimum of this graph
    assert rows[4].energy == pytest.approx(-0.00250761, abs=1e-8)
    (whole,) = await services.gateway.read(
        "MATCH (r:SweepRun {uid: $run})-[:SWEEPS]->(g:CouplingGraph) MATCH (r)-[:HAS_POINT]->(p:SweepPoint) "
        "WITH r, g, count(p) AS points "
        "RETURN g.name AS graph, points, r.best AS best, r.energy AS energy, r.axes AS axes",
        run=run.uid,
    )
    assert whole == {
        "graph": "g",
        "points": 6,
        "best": int(np.argmin([row.energy for row in rows])),
        "energy": min(row.energy for row in rows if row.energy is not None),
        "axes": [axis.path for axis in AXES],
    }


async def test_a_cancelled_sweep_keeps_what_it_has_and_goes_on_there(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await coupling.upsert(services.gateway, "g", normal(GRAPH))
    row, task = await leased(services, await submit_sweep(services, SweepRequest(graph="g", axes=AXES)))
    computed: list[int] = []

    def settled(piece: Sequence[Point], settings: Any, seed: int, first: int) -> list[dict[str, Any]]:
        computed.append(first)
        one = {"status": "CONVERGED", "initial_energy": 1.0, "energy": 0.5, "residual": 0.0, "steps": 1}
        if first == 2:
            task.cancel()
        return [{**one, "index": first + n, "at": list(p.at), "eta": [0.5, 0.5]} for n, p in enumerate(piece)]

    monkeypatch.setattr(sweep, "TOGETHER", 2)
    monkeypatch.setattr(sweep, "relax_points", settled)
    with pytest.raises(Cancelled):
        await sweep.execute(services, row, task)
    kept = await sweeps.points_of(services.gateway, row.uid, limit=100)
    assert [point.index for point in kept] == [0, 1, 2, 3]
    again = type(task)(services.gateway, row)
    await sweep.execute(services, row, again)
    assert computed == [0, 2, 4]
    assert [point.index for point in await sweeps.points_of(services.gateway, row.uid, limit=100, after=3)] == [4, 5]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"axes": (Axis(path="deltas.none", values=(1.0,)),)}, "BAD_GRID"),
        ({"axes": (Axis(path="deltas.domain", values=tuple(map(float, range(5000)))),)}, "TOO_LARGE"),
        ({"axes": ()}, "BAD_GRID"),
        ({"settings": {"mode": "magic"}}, "BAD_CONFIG"),
        ({"settings": {"adapter": "phase"}}, "BAD_CONFIG"),
        ({"graph": "lost"}, "NOT_FOUND"),
    ],
)
async def test_what_cannot_be_swept_is_told(services: Services, change: dict[str, Any], code: str) -> None:
    await coupling.upsert(services.gateway, "g", normal(GRAPH))
    with pytest.raises((GraphError, FieldError)) as caught:
        await submit_sweep(services, SweepRequest(**{"graph": "g", "axes": AXES, **change}))
    assert caught.value.code == code
    assert await runs.list_runs(services.gateway) == []


async def test_a_client_key_stands_for_one_grid(services: Services) -> None:
    await coupling.upsert(services.gateway, "g", normal(GRAPH))
    first = await submit_sweep(services, SweepRequest(graph="g", axes=AXES), client_key="k")
    assert (
        await submit_sweep(services, SweepRequest(graph="g", axes=AXES, force=True), client_key="j")
    ).uid != first.uid
    with pytest.raises(Conflict, match="another"):
        await submit_sweep(services, SweepRequest(graph="g", axes=AXES[:1]), client_key="k")
