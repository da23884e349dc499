"""One line of trouble as a JSON response; the plain routes' counterpart of GraphQL's errors."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from graph.errors import GraphError, NotFound, Outage
from nvp.errors import FieldError


def problem(status: int, error: GraphError | FieldError, *, headers: Mapping[str, str] | None = None) -> Response:
    """`{code, message, nextStep}` with this status."""
    body = {"code": error.code, "message": str(error), "nextStep": error.next_step}
    return JSONResponse(body, status, headers=headers)


async def on_error(request: Request, error: Exception) -> Response:
    """The response to one of our errors that a handler let through."""
    match error:
        case Outage():
            return problem(503, error, headers={"Retry-After": "5"})
        case NotFound():
            return problem(404, error)
        case GraphError() | FieldError():
            return problem(400, error)
        case _:
            raise error
