"""Is the process alive, and can it serve?"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from graph.errors import GraphError
from migrations.runner import require_current
from resolvers.web.problem import problem


async def healthz(request: Request) -> Response:
    """GET /healthz: this process answers."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """GET /readyz: Neo4j answers and has all migrations; 503 with the reason otherwise."""
    try:
        await require_current(request.state.services.gateway)
    except GraphError as error:
        return problem(503, error)
    return JSONResponse({"status": "ready"})
