"""Generation: simulate or perturb sequences of a domain and take them into the graph.

What the graph has already is not made again: the same seed adds nothing, and an interrupted run goes on with the
sequences that are not there yet.
"""

from __future__ import annotations

from graph.queries import generation
from graph.queries.runs import RunRow
from nvp.dynamics.kinds import make
from resolvers.services.context import Services
from resolvers.services.ingest import ingest_series
from resolvers.services.recipes import configuration, frames_present, plan
from resolvers.services.submission import GenerationRequest
from resolvers.task import Task

# sequences made between two looks at the graph: a batch of the simulators
BATCH = 4


async def execute(services: Services, run: RunRow, task: Task) -> None:
    """Make what `run.config` says, a `GenerationRequest`; the run's rng seed is the root of everything.

    Raises `FieldError` for settings out of range, `Cancelled` and `LeaseLost` between two batches.
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
    for first in range(0, len(planned), BATCH):
        await task.report(first / len(planned), f"{first}/{len(planned)} sequences")
        batch = planned[first : first + BATCH]
        present = [await frames_present(services, request, sequence) == config.steps for sequence in batch]
        if not all(present):
            made = await task.compute(
                make, request.kind, request.domain, config, request.seed, sequences=len(batch), first=first
            )
            task.check()
            for sequence, series in zip(batch, made, strict=True):
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
        found = [sequence.uid for sequence, there in zip(batch, present, strict=True) if there]
        await generation.record_found(services.gateway, task.lease, sequences=found)
    await task.report(1.0, f"{len(planned)}/{len(planned)} sequences")
