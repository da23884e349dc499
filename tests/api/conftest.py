"""A small world to ask about: two ingested sequences, a checkpoint, a prediction of three steps, an evaluation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, LiteralString

import httpx
import numpy as np
import pytest
from starlette.applications import Starlette

from graph.gateway import Gateway
from graph.queries import evaluation, prediction, runs, timeline, training, vector_logs
from graph.queries.evaluation import Stretch
from graph.queries.prediction import NewPredicted
from graph.queries.splits import Part, create_split
from graph.queries.violations import NewViolation
from graph.settings import Settings
from nvp.atlas.store import ArrayStore
from resolvers.app import create_app
from resolvers.services.context import Services
from resolvers.services.outcomes import log_outcomes
from resolvers.web.tokens import Tokens
from resolvers.web.viewer import Role
from tests.conftest import EMPTY
from tests.graph.queries import builders
from tests.resolvers.carried import ingest_carried

FRAMES = 30
LEADS = 3
BASE = "http://fieldgraph.test"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the graph holds."""

    services: Services
    # uids, in order of creation
    sequences: list[str]
    # of the first sequence, by t_index
    snapshots: list[str]
    split: str
    training_run: str
    model: str
    checkpoints: list[str]
    prediction: str
    evaluation: str


@pytest.fixture(scope="module")
async def world(_migrated: Gateway, settings: Settings) -> World:
    """The graph, filled once per module; tests of it do not delete."""
    await _migrated.execute_schema(EMPTY)
    services = Services(settings=settings, gateway=_migrated, store=ArrayStore(settings.store))
    gateway = services.gateway
    sequences = await ingest_carried(services, sequences=2, frames=FRAMES)
    frames = await timeline.frames(gateway, sequences[0], 0, FRAMES - 1)
    parts = [Part("train", sequences[0], 0, 9), Part("test", sequences[0], 12, FRAMES - 1)]
    split = await create_split(gateway, name="half", kind="block", gap=2, parts=parts)

    run = await builders.started(gateway, inputs=[(split.uid, "split"), (sequences[0], "sequence")])
    model = await training.create_model(
        gateway,
        run.lease,
        name="ridge",
        architecture="ridge",
        domain="fluid_dynamics",
        split=split.uid,
        config={"radius": 2},
        rng_seed=0,
        code_version="0.1.0",
    )
    checkpoints = []
    for step in (1, 2):
        await training.record_epoch(gateway, run.lease, epoch=step, step=step, metrics={"train_loss": 1 / step})
        checkpoints.append(
            await training.record_checkpoint(
                gateway,
                run.lease,
                model=model,
                step=step,
                epoch=step,
                uri=f"checkpoints/{step}",
                sha256=builders.sha("weights", step),
                metrics={"val_fidelity": 0.3 * step},
            )
        )
    await training.finish_model(gateway, run.lease, model=model, best_checkpoint=checkpoints[1])

    states = []
    for lead in range(1, LEADS + 1):
        stored = services.store.write_array(np.full((16, 16, 1), 7.0 + lead, np.float32))
        numbers = builders.statistics(lead) | {"sha256": stored.sha256, "uri": stored.uri}
        states.append(NewPredicted(lead=lead, **numbers))
    predicting = await builders.started(gateway, kind="prediction", capability="interactive")
    predicted = await prediction.record_prediction(
        gateway,
        predicting.lease,
        start=frames[5].uid,
        checkpoint=checkpoints[1],
        forcing="frozen",
        dt=1.0,
        states=states,
        scores={lead: {"fidelity": 0.9 / lead, "vrmse": 0.1 * lead} for lead in range(1, LEADS + 1)},
        violations=[
            NewViolation(law="energy drift", lead=2, value=2e-3, limit=1e-4),
            NewViolation(law="not finite", lead=1, member=3, value=float("inf"), limit=0.0),
        ],
    )
    await log_outcomes(services, await vector_logs.unlogged_of_prediction(gateway, predicted))
    evaluating = await builders.started(gateway, kind="evaluation")
    scores = {
        "fidelity": {"mean": 0.4, "median": 0.5, "pooled": 0.6, "n": 17, "ci95": [0.5, 0.7]},
        "baselines": {"persistence": {"pooled": 0.0}, "linear_extrapolation": {"pooled": 0.2}},
        "vrmse": 0.3,
        "metrics": {"change_gradient_cosine": {"model": 0.9, "persistence": None}},
        "windows": [{"window": "0:2", "forcing": "frozen", "vrmse": 0.4, "persistence_vrmse": 0.5}],
        "rollout": [
            {"lead": lead, "forcing": kind, "fidelity": {"pooled": 0.6 / lead}, "vrmse": 0.3 * lead, "marker": kind}
            for kind in ("frozen", "recorded")
            for lead in (1, 2)
        ],
    }
    scored = await evaluation.record_evaluation(
        gateway,
        evaluating.lease,
        checkpoint=checkpoints[1],
        stretches=[Stretch(sequences[0], 12, FRAMES - 1)],
        scores=scores,
    )
    return World(
        services=services,
        sequences=sequences,
        snapshots=[frame.uid for frame in frames],
        split=split.uid,
        training_run=run.uid,
        model=model,
        checkpoints=checkpoints,
        prediction=predicted,
        evaluation=scored,
    )


@pytest.fixture(scope="module")
def connected(settings: Settings, world: World) -> Settings:
    """Settings that lead an app to the session's server and store."""
    return settings


@pytest.fixture(scope="module")
async def app(connected: Settings) -> AsyncIterator[Starlette]:
    """The app within its lifespan, its state handed to every request as a server would."""
    made = create_app(connected)
    async with made.router.lifespan_context(made) as state:

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            await made({**scope, "state": dict(state)}, receive, send)

        with_state.state = state  # type: ignore[attr-defined]
        yield with_state  # type: ignore[misc]


@pytest.fixture(scope="module")
def tokens(settings: Settings) -> Tokens:
    """The tokens that the app knows."""
    return Tokens(settings.home)


@pytest.fixture
async def anonymous(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        yield client


@pytest.fixture
async def operator(app: Any, tokens: Tokens) -> AsyncIterator[httpx.AsyncClient]:
    """A client that may read and ask for work."""
    headers = {"Authorization": f"Bearer {tokens.local()}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, headers=headers) as client:
        yield client


@pytest.fixture(scope="module")
def token(tokens: Tokens) -> Callable[[Role], str]:
    """Issues a token of a role."""
    return tokens.issue


async def ask(client: httpx.AsyncClient, document: str, /, **variables: Any) -> dict[str, Any]:
    """The whole answer to one operation."""
    response = await client.post("/graphql", json={"query": document, "variables": variables})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def data(client: httpx.AsyncClient, document: str, /, **variables: Any) -> dict[str, Any]:
    """The data of one operation, which must succeed."""
    answer = await ask(client, document, **variables)
    assert "errors" not in answer, answer["errors"]
    result: dict[str, Any] = answer["data"]
    return result


__all__ = ["BASE", "FRAMES", "LEADS", "World", "ask", "data", "runs"]


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The reads that reach Neo4j from now on."""
    seen: list[str] = []
    read = Gateway.read

    async def counted(self: Gateway, query: LiteralString, /, **parameters: Any) -> list[dict[str, Any]]:
        seen.append(query)
        return await read(self, query, **parameters)

    monkeypatch.setattr(Gateway, "read", counted)
    return seen
