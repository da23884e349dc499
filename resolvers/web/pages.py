"""The page at /graphql: GraphiQL, from our own files and the WebJars, under a policy that lets nothing else in."""

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
OWN = {"page.js": "text/javascript", "page.css": "text/css"}


async def home(request: Request) -> Response:
    """GET /: to GraphiQL, until there is a dashboard."""
    return RedirectResponse("/graphql")


def graphiql() -> Response:
    """The page itself; everything that it loads is below /static."""
    return HTMLResponse((STATIC / "graphiql.html").read_text("utf-8"))


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


_asset = lru_cache(maxsize=len(webjars.ASSETS))(webjars.asset)
