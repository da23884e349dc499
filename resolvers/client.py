"""A GraphQL client over HTTP, as any dashboard or script would use the API; the demo is its first user."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any

import httpx

from graph.errors import GraphError, Outage
from graph.queries.run_rows import TERMINAL_STATES

POLL_SECONDS = 0.5
PASSING = frozenset({"OUTAGE", "TIMEOUT"})  # codes of errors after which the same operation may succeed
RUN = """
query Run($uid: ID!) {
  run(uid: $uid) { uid state progress message attempt errorMessage }
}
"""


class Client:
    """One connection to the API at `url`, with the rights of `token`."""

    def __init__(self, url: str, *, token: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def execute(self, document: str, /, **variables: Any) -> dict[str, Any]:
        """The `data` of one operation; GraphQL errors are raised in one line, those that may pass as Outage."""
        try:
            response = await self._http.post("/graphql", json={"query": document, "variables": variables})
            answer = response.json()
        except (httpx.TransportError, ValueError) as error:  # ValueError: an answer that broke off
            raise Outage(
                "API_UNREACHABLE",
                f"expected the API at {self._http.base_url}, got {type(error).__name__}.",
                next_step="Start it with `fieldgraph serve`.",
            ) from None
        if answer.get("errors"):
            first = answer["errors"][0]
            code = (first.get("extensions") or {}).get("code", "GRAPHQL_ERROR")
            raise (Outage if code in PASSING else GraphError)(code, first["message"])
        data: dict[str, Any] = answer["data"]
        return data

    async def mutate(self, document: str, /, **variables: Any) -> str:
        """Send a mutation of one field that queues a Run; returns the run's uid."""
        (result,) = (await self.execute(document, **variables)).values()
        if not result["__typename"].endswith("Run"):
            raise GraphError(result["__typename"], result["message"])
        uid: str = result["uid"]
        return uid

    async def finish(
        self, run: str, *, on_progress: Callable[[float, str], None], poll_seconds: float = POLL_SECONDS
    ) -> None:
        """Wait until the run has ended, telling its progress (0 … 1) and message; a run that failed is raised."""
        while True:
            state = (await self.execute(RUN, uid=run))["run"]
            if state["state"] in TERMINAL_STATES:
                on_progress(1.0, "")
                break
            on_progress(state["progress"], state["message"])
            await asyncio.sleep(poll_seconds)
        if state["state"] != "SUCCEEDED":
            raise GraphError(
                "RUN_FAILED",
                f"run {run} ended {state['state']}: {state['errorMessage']}",
                next_step=f"See `fieldgraph runs show {run}`.",
            )
