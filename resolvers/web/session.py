"""Sessions of the browser: a token or a one-time ticket is traded for a cookie that scripts cannot read.

POST   /session            Authorization: Bearer …      204 and the cookie
GET    /session?ticket=…   the login URL                303 to / and the cookie
DELETE /session                                         204, the cookie is gone
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from graph.errors import GraphError
from resolvers.web.access import COOKIE, bearer
from resolvers.web.problem import problem
from resolvers.web.tokens import SESSION_SECONDS, Tokens


async def session(request: Request) -> Response:
    """Begin or end a session."""
    tokens: Tokens = request.state.tokens
    if request.method == "DELETE":
        response = Response(status_code=204)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response
    if request.method == "POST":
        cookie = tokens.session(bearer(request.headers.get("authorization")) or "")
        response = Response(status_code=204)
    else:
        cookie = tokens.redeem(request.query_params.get("ticket", ""))
        response = RedirectResponse("/", 303)
    if cookie is None:
        refusal = GraphError(
            "UNAUTHENTICATED",
            "expected a valid token or a fresh ticket.",
            next_step="`fieldgraph serve` prints a login URL; it works once, for a quarter of an hour.",
        )
        return problem(401, refusal)
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response
