"""The graph behind an energy atlas: what it knows of a domain, and how it learns what was saved.

    with GraphAtlas(Settings()) as graph:
        atlas = EnergyAtlasLoader("atlas", "fluid_dynamics", graph=graph)

An atlas is read by plain calls, while the driver lives in an event loop: it has one of its own in a thread, and
connects when it is first asked.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float32

from graph.errors import NotFound, Outage
from graph.queries import atlas as queries
from graph.queries import timeline
from graph.queries.timeline import SequenceRow
from graph.settings import Settings
from nvp.atlas.maps.metadata import EnergyMapMetadata
from nvp.atlas.maps.port import Known
from nvp.atlas.maps.sequence import Located
from nvp.atlas.series import Series
from nvp.atlas.time_axis import step_of
from nvp.dynamics.domain import domain as registered_domain
from resolvers.services.context import Services, open_services
from resolvers.services.ingest import ingest_series

GENERATOR = "atlas"
"""Generator of the sequences that were recorded out of a folder atlas; their source is the folder's sequence."""

T = TypeVar("T")


class GraphAtlas:
    """`nvp.atlas.maps.port.AtlasGraph` over Neo4j and the array store; close it, or use it as a context."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="graph-atlas", daemon=True)
        self._thread.start()
        self._stack = AsyncExitStack()
        self._services: Services | None = None

    def __enter__(self) -> GraphAtlas:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect and end the thread."""
        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._stack.aclose(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def sequences(self, domain: str) -> Sequence[Known]:
        """All sequences of a domain, by uid."""

        async def work(services: Services) -> list[Known]:
            found: list[SequenceRow] = []
            while page := await timeline.sequences_of_domain(
                services.gateway, domain, after=found[-1].uid if found else ""
            ):
                found += page
            return [Known(row.uid, row.source, row.generator == GENERATOR) for row in found]

        return self._run(work)

    def frames(self, uid: str) -> Sequence[Located]:
        """All frames of a sequence in order of time; none where there is no such sequence."""

        async def work(services: Services) -> list[Located]:
            try:
                sequence = await timeline.sequence(services.gateway, uid)
            except NotFound:
                return []
            return [_located(services, sequence, row) async for row in queries.maps(services.gateway, uid)]

        return self._run(work)

    def record(self, energy: Float32[np.ndarray, "t h w 1"], metadata: Sequence[EnergyMapMetadata]) -> None:
        """Ingest the maps as segments of their sequence; those that are there with other values are replaced."""

        async def work(services: Services) -> None:
            for start, stop in stretches([one.step for one in metadata]):
                head = metadata[start]
                await ingest_series(
                    services,
                    as_series(energy[start:stop], metadata[start:stop]),
                    source=head.sequence,
                    recipe={"atlas": "folder"},
                    generator=GENERATOR,
                    label="Observed" if head.source == "real" else "Simulated",
                    rng_seed=head.seed,
                    replace=True,
                )

        self._run(work)

    def _run(self, work: Callable[[Services], Awaitable[T]]) -> T:
        async def connected() -> T:
            if self._services is None:
                self._services = await self._stack.enter_async_context(open_services(self._settings))
            return await work(self._services)

        try:
            return asyncio.run_coroutine_threadsafe(connected(), self._loop).result()
        except Outage as error:
            raise ConnectionError(str(error)) from error


def _located(services: Services, sequence: SequenceRow, row: queries.MapRow) -> Located:
    spec = registered_domain(sequence.domain)
    # absolute steps are the folder's own; those before 1970 are counted from the first frame
    origin = sequence.anchor if sequence.anchor + sequence.first >= 0 else -sequence.first
    metadata = EnergyMapMetadata(
        domain=sequence.domain,
        sequence=sequence.uid,
        step=origin + row.t_index,
        shape=(row.height, row.width),
        units=spec.units,
        sha256=row.sha256,
        total_energy=row.total_energy,
        energy_mean=row.mean,
        energy_variance=row.variance,
        entropy=row.entropy,
        regime=row.regime or "unknown",
        dx=spec.dx,
        dy=spec.dy,
        t=row.t,
        timestamp=None if row.valid_time is None else row.valid_time.isoformat(),
        source="real" if sequence.origin == "Observed" else "synthetic",
        seed=sequence.rng_seed,
        source_total=row.source_total,
    )
    return Located(services.store.path(row.uri), "energy", int(row.uri.partition("#")[2]), metadata)


def as_series(energy: Float32[np.ndarray, "t h w 1"], metadata: Sequence[EnergyMapMetadata]) -> Series:
    """Consecutive maps of a folder atlas as a series; `first` is the folder's step."""
    head = metadata[0]
    series = Series(energy=energy, dt=registered_domain(head.domain).dt, first=head.step, domain=head.domain)
    known: dict[str, Any] = {}
    sources = [one.source_total for one in metadata]
    if None not in sources:
        known["source_total"] = np.array(sources, float)
    stamps = [one.timestamp for one in metadata]
    if None not in stamps:
        times = np.array([str(stamp).removesuffix("Z").removesuffix("+00:00") for stamp in stamps], "datetime64[ns]")
        # a calendar that counts other steps than the folder would put the map elsewhere
        if step_of(times[0], series.dt) == head.step:
            known["valid_time"] = times
    return replace(series, **known)


def stretches(steps: Sequence[int]) -> list[tuple[int, int]]:
    """Ranges of positions whose steps follow each other."""
    edges = [0, *(k for k in range(1, len(steps)) if steps[k] != steps[k - 1] + 1), len(steps)]
    return list(pairwise(edges))
