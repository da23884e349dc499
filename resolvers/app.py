"""The ASGI app: GraphQL at /graphql and, beside it, what GraphQL should not carry.

    /graphql             GET GraphiQL, POST, WebSocket, server-sent events
    /arrays/{sha256}     GET (Range, ETag) and PUT of canonical .npy bytes
    /snapshots/{uid}.png heat map
    /certificates/{run}.json
    /hypotheses          pages: all of them, and /hypotheses/{uid} for one
    /session             log in and out
    /healthz /readyz /metrics

It opens the graph once per process and imports no JAX: that belongs to the workers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TypedDict

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute

from graph.errors import GraphError
from graph.settings import Settings
from nvp.errors import FieldError
from resolvers.graphql.hub import ProgressHub
from resolvers.graphql.limits import OPERATION_SECONDS
from resolvers.graphql.view import View
from resolvers.services.context import Services, open_services
from resolvers.web.access import guarded
from resolvers.web.arrays import array, upload
from resolvers.web.certificates import certificate
from resolvers.web.headers import SecurityHeaders
from resolvers.web.health import healthz, readyz
from resolvers.web.images import image
from resolvers.web.metrics import Metrics, metrics
from resolvers.web.pages import home, hypotheses, hypothesis, static
from resolvers.web.problem import on_error
from resolvers.web.session import session
from resolvers.web.tokens import Tokens
from resolvers.web.viewer import Role


class State(TypedDict):
    """What every request finds in `request.state`."""

    services: Services
    hub: ProgressHub
    metrics: Metrics
    tokens: Tokens


def create_app(settings: Settings | None = None) -> Starlette:
    """The app; without settings it reads them from the environment, as uvicorn's factory wants it."""
    chosen = settings or Settings()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[State]:
        async with open_services(chosen) as services:
            # what a request does not live to see, Neo4j need not finish
            services.gateway.read_seconds = OPERATION_SECONDS
            hub, figures = ProgressHub(services.gateway, poll_seconds=chosen.poll_seconds), Metrics()
            figures.count_watchers(lambda: hub.watchers)
            polling = asyncio.create_task(hub.run())
            try:
                yield {"services": services, "hub": hub, "metrics": figures, "tokens": Tokens(chosen.home)}
            finally:
                polling.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await polling

    view = View()
    return Starlette(
        routes=[
            Route("/", home),
            Route("/graphql", view, methods=["GET", "POST"]),
            WebSocketRoute("/graphql", view),
            Route("/arrays/{sha256}", guarded(Role.READER, array), methods=["GET"]),
            Route("/arrays/{sha256}", guarded(Role.OPERATOR, upload), methods=["PUT"]),
            Route("/snapshots/{uid}.png", guarded(Role.READER, image)),
            Route("/certificates/{run}.json", guarded(Role.READER, certificate)),
            Route("/hypotheses", hypotheses),
            Route("/hypotheses/{uid}", hypothesis),
            Route("/session", session, methods=["GET", "POST", "DELETE"]),
            Route("/static/{name}", static),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", guarded(Role.READER, metrics)),
        ],
        middleware=[Middleware(SecurityHeaders)],
        exception_handlers={GraphError: on_error, FieldError: on_error},
        lifespan=lifespan,
    )
