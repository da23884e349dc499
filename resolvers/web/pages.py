"""The pages: GraphiQL and hypotheses, from our own files and the WebJars, under a policy that lets nothing else in.

A page is the same for everybody and holds nothing of the graph: what it shows, its script asks of the API.
"""

from __future__ import annotations

import asyncio
import hashlib
from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from resolvers.web import webjars
from resolvers.web.ranges import not_modified, ranged, unchanged

STATIC = Path(__file__).with_name("static")
OWN = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "graphql.js": "text/javascript",
    "dom.js": "text/javascript",
    "hypotheses.js": "text/javascript",
    "hypothesis.js": "text/javascript",
    "experiment.js": "text/javascript",
    "interval.js": "text/javascript",
}


async def home(request: Request) -> Response:
    """GET /: to GraphiQL, until there is a dashboard."""
    return RedirectResponse("/graphql")


def graphiql() -> Response:
    """The page itself; everything that it loads is below /static."""
    return _page("graphiql")


async def hypotheses(request: Request) -> Response:
    """GET /hypotheses: what was claimed and what became of it."""
    return _page("hypotheses")


async def hypothesis(request: Request) -> Response:
    """GET /hypotheses/{uid}: one of them with its experiments; which one, its script reads from the address."""
    return _page("hypothesis")


async def static(request: Request) -> Response:
    """GET /static/{name}."""
    name = request.path_params["name"]
    if name in OWN:
        content, media_type = (STATIC / name).read_bytes(), OWN[name]
    elif name in webjars.ASSETS:
        content, media_type = await asyncio.to_thread(_asset, request.state.services.settings.cache, name)
    else:
        return Response(status_code=404)
    tag = hashlib.sha256(content).hexdigest()[:16]
    if unchanged(request, tag):
        return not_modified(tag)
    response = ranged(request, content, tag=tag, media_type=media_type)
    response.headers["Cache-Control"] = "no-cache"
    return response


def _page(name: str) -> HTMLResponse:
    content = (STATIC / f"{name}.html").read_text("utf-8")
    return HTMLResponse(content, headers={"Cache-Control": "no-cache"})


_asset = lru_cache(maxsize=len(webjars.ASSETS))(webjars.asset)
