"""How long it takes to bring fields that lie in the store into the graph: read, hash, describe and write them.

The store and Neo4j are new. The segments are written first, untimed, as a simulator or another host would leave them;
then `ingest_stored` does everything that an ingest does, and does it again, which must add nothing. Stages overlap (a
thread describes one segment while Neo4j writes another), so beside the whole each is timed alone, on the same segments.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import psutil
from jaxtyping import Float32
from neo4j import AsyncManagedTransaction

from graph.gateway import Gateway
from graph.queries.census import census
from graph.queries.sequences import NewSequence
from nvp.atlas.segment_file import frame_digests
from nvp.atlas.series import Series
from nvp.atlas.statistics import frame_statistics
from nvp.atlas.store import ArrayStore
from resolvers.services.context import Services
from resolvers.services.ingest import ingest_stored
from resolvers.services.material import SEGMENT_FRAMES

T = TypeVar("T")
WAVES = 6

Report = Callable[[str, float, str], None]
"""Called with a stage's name, the share of it that is done, and a line for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestConfig:
    """What is ingested."""

    frames: int = 20_000
    # cells of one side
    scale: int = 64
    seed: int = 0


class TimedGateway(Gateway):
    """Adds up how long transactions take, commit included."""

    seconds = 0.0

    async def transact(self, work: Callable[[AsyncManagedTransaction], Awaitable[T]]) -> T:
        """As `Gateway.transact`."""
        began = time.perf_counter()
        try:
            return await super().transact(work)
        finally:
            self.seconds += time.perf_counter() - began


async def bench_ingest(services: Services, config: IngestConfig, *, on_progress: Report) -> dict[str, Any]:
    """The figures; nothing else may be in the graph."""
    sequence = NewSequence(
        domain="fluid_dynamics",
        source="bench",
        recipe={"frames": config.frames, "scale": config.scale},
        height=config.scale,
        width=config.scale,
        dt=1.0,
        generator="bench",
        rng_seed=config.seed,
    )
    uris = await asyncio.to_thread(_write, services.store, config, sequence.uid, on_progress)
    gateway = TimedGateway(services.gateway.driver, uri=services.gateway.uri, database=services.gateway.database)
    timed = replace(services, gateway=gateway)
    memory: list[int] = []

    def look(done: int, total: int) -> None:
        memory.append(psutil.Process().memory_info().rss)
        on_progress("ingest", done / total, f"{done}/{total} snapshots")

    began = time.perf_counter()
    report = await ingest_stored(timed, sequence, uris, label="Simulated", progress=look)
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    again = await ingest_stored(services, sequence, uris, label="Simulated")
    rerun = time.perf_counter() - began
    counted = await census(services.gateway)
    alone = await asyncio.to_thread(_alone, services.store, uris, on_progress)
    return {
        "n": report.created,
        "seconds": round(seconds, 2),
        "snapshots_per_second": round(report.created / seconds, 1),
        "stages": {**alone, "graph": round(gateway.seconds, 2)},
        "rss_mib": {
            "half": round(memory[len(memory) // 2] / 2**20, 1),
            "end": round(memory[-1] / 2**20, 1),
            "peak": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10, 1),
        },
        "graph": {"snapshots": counted.snapshots, "next_links": counted.next_links, "segments": report.segments},
        "rerun": {"created": again.created, "seconds": round(rerun, 2)},
    }


def _write(store: ArrayStore, config: IngestConfig, uid: str, on_progress: Report) -> list[str]:
    uris = []
    for series in _series(config, uid):
        uris.append(store.write_segment(series).uri)
        on_progress("store", (series.first + len(series)) / config.frames, "writing segments")
    return uris


def _series(config: IngestConfig, uid: str) -> Iterator[Series]:
    """Waves of random length that drift, with noise: no two frames are equal."""
    rng = np.random.default_rng(config.seed)
    wave = rng.integers(1, config.scale // 4, size=(WAVES, 2))
    speed = rng.normal(scale=0.1, size=WAVES)
    for first in range(0, config.frames, SEGMENT_FRAMES):
        steps = np.arange(first, min(first + SEGMENT_FRAMES, config.frames))
        energy = np.stack([_frame(config.scale, wave, speed * step, rng) for step in steps])
        yield Series(energy=energy[..., None], dt=1.0, first=first, domain="fluid_dynamics", uid=uid)


def _frame(scale: int, wave: Any, phase: Any, rng: np.random.Generator) -> Float32[np.ndarray, "h w"]:
    at = 2 * np.pi * np.arange(scale) / scale
    # cos(a + b) = cos a cos b − sin a sin b: the plane waves as two matrix products
    y, x = wave[:, :1] * at, wave[:, 1:] * at + phase[:, None]
    planes = np.cos(y).T @ np.cos(x) - np.sin(y).T @ np.sin(x)
    field: np.ndarray = (10.0 + planes + 0.1 * rng.random((scale, scale))).astype(np.float32)
    return field


def _alone(store: ArrayStore, uris: list[str], on_progress: Report) -> dict[str, float]:
    spent = {"read": 0.0, "hash": 0.0, "describe": 0.0}
    for number, uri in enumerate(uris):
        marks = [time.perf_counter()]
        series = store.read_segment(uri)
        marks.append(time.perf_counter())
        frame_digests(series)
        marks.append(time.perf_counter())
        frame_statistics(series.energy, signed=False)
        marks.append(time.perf_counter())
        for k, name in enumerate(spent):
            spent[name] += marks[k + 1] - marks[k]
        on_progress("stages", (number + 1) / len(uris), "each by itself")
    return {name: round(seconds, 2) for name, seconds in spent.items()}
