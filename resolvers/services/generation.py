"""Generation: simulate or perturb sequences of a domain and take them into the graph.

What the graph has already is not made again: the same seed adds nothing, and an interrupted run goes on with the
sequences that are not there yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from graph.queries import generation
from graph.queries.runs import RunRow
from graph.queries.sequences import NewSequence
from nvp.dynamics.kinds import make
from resolvers.parallel.pool import asked, pool
from resolvers.services.context import Services
from resolvers.services.ingest import ingest_series
from resolvers.services.recipes import configuration, frames_present, plan
from resolvers.services.submission import GenerationRequest
from resolvers.task import Task

# sequences of one task, and between two looks at the graph: a batch of the simulators
BATCH = 4


async def execute(services: Services, run: RunRow, task: Task) -> None:
    """Make what `run.config` says, a `GenerationRequest`; the run's rng seed is the root of everything.

    Batches are made in order, here or side by side on Dask. Raises `FieldError` for settings out of range, `Cancelled`
    and `LeaseLost` between two of them.
    """
    request = GenerationRequest(
        domain=run.config["domain"],
        kind=run.config.get("kind", "pde"),
        preset=run.config.get("preset"),
        sequences=run.config["sequences"],
        settings=run.config["settings"],
        seed=run.rng_seed,
    )
    config, planned = configuration(request), plan(request)
    there: set[str] = set()
    batches: deque[list[NewSequence]] = deque()

    async def missing() -> AsyncIterator[dict[str, Any]]:
        """Batches of which the graph lacks a frame; sequences that it has are recorded as found."""
        for first in range(0, len(planned), BATCH):
            batch = planned[first : first + BATCH]
            found = [one.uid for one in batch if await frames_present(services, request, one) == config.steps]
            if found:
                await generation.record_found(services.gateway, task.lease, sequences=found)
                there.update(found)
            if len(found) < len(batch):
                batches.append(batch)
                yield {"sequences": len(batch), "first": first}

    await task.report(0.0, f"0/{len(planned)} sequences")
    simulate = partial(make, request.kind, request.domain, config, request.seed)
    async with pool(services.settings, task, asked(run.config)) as workers:
        async for made in workers.map(simulate, missing()):
            for sequence, series in zip(batches.popleft(), made, strict=True):
                if sequence.uid in there:
                    continue
                await ingest_series(
                    services,
                    series,
                    source=sequence.source,
                    recipe=sequence.recipe,
                    generator=sequence.generator,
                    label="Simulated",
                    lease=task.lease,
                    rng_seed=sequence.rng_seed,
                )
                there.add(sequence.uid)
            await task.report(len(there) / len(planned), f"{len(there)}/{len(planned)} sequences")
