"""Figures of one API process for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.requests import Request
from starlette.responses import Response


class Metrics:
    """A registry of its own, so that several apps in one process do not meet."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "fieldgraph_graphql_seconds",
            "Time of a GraphQL operation; a subscription's is its life",
            ["type", "outcome"],
            registry=self._registry,
        )
        self._bytes = Counter("fieldgraph_array_bytes", "Array bytes by direction", ["way"], registry=self._registry)
        self._watchers = Gauge("fieldgraph_progress_watchers", "Open runProgress streams", registry=self._registry)

    def operation(self, kind: str, outcome: str, seconds: float) -> None:
        """One GraphQL operation has ended."""
        self._seconds.labels(kind, outcome).observe(seconds)

    def array(self, way: str, size: int) -> None:
        """Array bytes went `out` or came `in`."""
        self._bytes.labels(way).inc(size)

    def count_watchers(self, watchers: Callable[[], int]) -> None:
        """Ask this for the number of open streams whenever the figures are read."""
        self._watchers.set_function(watchers)

    def text(self) -> bytes:
        """The figures in Prometheus' text format."""
        return generate_latest(self._registry)


async def metrics(request: Request) -> Response:
    """GET /metrics."""
    figures: Metrics = request.state.metrics
    return Response(figures.text(), media_type=CONTENT_TYPE_LATEST)
