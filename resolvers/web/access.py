"""From a request's headers to its viewer, and the guard of the plain routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from resolvers.web.problem import problem
from resolvers.web.tokens import Tokens
from resolvers.web.viewer import NOBODY, Role, Viewer

COOKIE = "fieldgraph_session"

Handler = Callable[[Request], Awaitable[Response]]


def bearer(header: str | None) -> str | None:
    """The token of an `Authorization` header."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def viewer_of(connection: HTTPConnection, tokens: Tokens) -> Viewer:
    """Who sent this; a bearer token goes before a cookie."""
    if token := bearer(connection.headers.get("authorization")):
        return Viewer(tokens.role(token))
    if cookie := connection.cookies.get(COOKIE):
        return Viewer(tokens.session_role(cookie), foreign=not same_origin(connection))
    return NOBODY


def same_origin(connection: HTTPConnection) -> bool:
    """The page that sent this came from this very host; without `Origin` nobody can tell."""
    origin = connection.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == connection.headers.get("host")


def guarded(wanted: Role, handler: Handler) -> Handler:
    """The handler behind a check of the role."""

    async def check(request: Request) -> Response:
        refusal = viewer_of(request, request.state.tokens).refusal(wanted)
        if refusal is not None:
            return problem(401 if refusal.code == "UNAUTHENTICATED" else 403, refusal)
        return await handler(request)

    return check
