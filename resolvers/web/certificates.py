"""Certificates as files: what `fieldgraph certificate issue` writes, for whoever has a browser and no shell here."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from graph.errors import NotFound
from graph.queries import certificates
from resolvers.certificates.issuing import stored
from resolvers.services.context import Services


async def certificate(request: Request) -> Response:
    """GET /certificates/{run}.json; one that was changed in the graph is not handed out."""
    services: Services = request.state.services
    run = request.path_params["run"]
    row = await certificates.of_run(services.gateway, run)
    if row is None:
        raise NotFound("Certificate", run, by="run", next_step=f"`fieldgraph runs show {run}` says what became of it.")
    name = f"certificate-{row.number}.json"
    return Response(
        stored(row).document(),
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-cache"},
    )
