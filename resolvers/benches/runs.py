"""The queue under load: many workers, one graph, each run executed exactly once, and what a claim costs.

Fully: worker processes as `fieldgraph worker` starts them, half `batch` (perturbed sequences), half `interactive`
(predictions, by JAX). Quickly: as many claimers in this process, which end their runs at once; it measures the queue
alone. The cost of a claim is the time of `runs.claim` by the number of runs that it got; beside it stands that of one
claimer with nobody else in the graph.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import numpy as np

from graph.gateway import Gateway
from graph.queries import runs, timeline, training
from graph.queries.runs import RunRow
from resolvers.services.context import Services
from resolvers.services.submission import (
    GenerationRequest,
    PredictionRequest,
    TrainingRequest,
    submit_generation,
    submit_prediction,
    submit_training,
)
from resolvers.supervisor import exported
from resolvers.worker import Worker

MOST_MS = 20.0
DOMAIN = "fluid_dynamics"
SIZE = {"scale": 16, "steps": 12}
LOOK_SECONDS = 0.2
ALONE = 40
"""Runs that one claimer takes alone, for comparison."""

# called with a name, the share done (0 … 1) and a message
OnProgress = Callable[[str, float, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsConfig:
    """How many runs wait for how many workers."""

    runs: int = 200
    workers: int = 8
    # root of everything random
    seed: int = 0
    # claim and end only
    quick: bool = False


async def bench_runs(services: Services, config: RunsConfig, *, on_progress: OnProgress) -> dict[str, Any]:
    """`{n, workers, quick, succeeded, lost, duplicated, claim_ms, alone_ms, seconds, criteria, passed}`."""
    alone = await _alone(services.gateway)
    if config.quick:
        asked = [await _empty(services.gateway) for _ in range(config.runs)]
        on_progress("claim", 0.0, "")
        began = time.perf_counter()
        works = (_claimer(services.gateway, f"claimer {n}") for n in range(config.workers))
        claims = [claim for found in await asyncio.gather(*works) for claim in found]
        outputs = dict.fromkeys(asked, 1)
    else:
        asked = await _queued(services, config, on_progress)
        began = time.perf_counter()
        claims = await _worked(services, asked, config, on_progress)
        outputs = await _outputs(services.gateway, asked)
    seconds = time.perf_counter() - began
    return _result(config, await _rows(services.gateway, asked), claims, outputs, alone, seconds)


def _result(
    config: RunsConfig,
    rows: Sequence[RunRow],
    claims: Sequence[tuple[float, int]],
    outputs: dict[str, int],
    alone: float,
    seconds: float,
) -> dict[str, Any]:
    per_run = np.repeat([1e3 * took / number for took, number in claims], [number for _, number in claims])
    claimed = sum(number for _, number in claims)
    succeeded = sum(row.state == "SUCCEEDED" for row in rows)
    twice = sum(row.attempt > 1 or outputs.get(row.uid, 0) > 1 for row in rows)
    lost = sum(row.state != "SUCCEEDED" or outputs.get(row.uid, 0) == 0 for row in rows)
    mean = float(per_run.mean()) if len(per_run) else float("nan")
    criteria = {
        "each exactly once": lost == twice == 0 and claimed == len(rows),
        f"claim below {MOST_MS:g} ms per run": mean < MOST_MS,
    }
    return {
        "n": len(rows),
        "workers": config.workers,
        "quick": config.quick,
        "by_kind": dict(Counter(row.kind for row in rows)),
        "succeeded": succeeded,
        "lost": lost,
        "duplicated": twice,
        "claims": claimed,
        "claim_ms": {
            "mean": round(mean, 2),
            "p50": round(float(np.median(per_run)), 2),
            "p95": round(float(np.quantile(per_run, 0.95)), 2),
            "n": len(per_run),
        },
        "alone_ms": round(alone, 2),
        "ratio": round(mean / alone, 2),
        "seconds": round(seconds, 2),
        "criteria": criteria,
        "passed": all(criteria.values()),
    }


async def _alone(gateway: Gateway) -> float:
    """Milliseconds of a claim where nobody else is; the first few, which compile the queries, do not count."""
    for _ in range(ALONE):
        await _empty(gateway)
    took = [took for took, _ in await _claimer(gateway, "alone")]
    return 1e3 * float(np.mean(took[ALONE // 4 :]))


async def _empty(gateway: Gateway) -> str:
    """A run that nobody will work."""
    row = await runs.submit(
        gateway, kind="evaluation", config={}, capability="batch", dedup_key=None, rng_seed=0, inputs=[]
    )
    return row.uid


async def _claimer(gateway: Gateway, name: str) -> list[tuple[float, int]]:
    """Claim and end runs until there are none; seconds and runs of each claim."""
    claims: list[tuple[float, int]] = []
    while True:
        began = time.perf_counter()
        claimed = await runs.claim(gateway, capability="batch", worker=name, lease_seconds=60)
        if not claimed:
            return claims
        claims.append((time.perf_counter() - began, len(claimed)))
        for row in claimed:
            await runs.transition(gateway, row.uid, "LEASED", "RUNNING", row.lease_token)
            await runs.transition(gateway, row.uid, "RUNNING", "SUCCEEDED", row.lease_token)


async def _queued(services: Services, config: RunsConfig, on_progress: OnProgress) -> list[str]:
    """Something to predict with and from, made by a worker of this process; then all runs in the queue."""
    worker = Worker(services.gateway, services.settings, "batch")
    working = asyncio.create_task(worker.run())
    try:
        making = GenerationRequest(domain=DOMAIN, kind="perturbation", sequences=3, seed=config.seed, settings=SIZE)
        await _ended(services.gateway, [(await submit_generation(services, making)).uid], "simulate", on_progress)
        learning = await submit_training(services, TrainingRequest(domain=DOMAIN, model="ridge", seed=config.seed))
        await _ended(services.gateway, [learning.uid], "train", on_progress)
    finally:
        worker.end()
        await working
    model = await training.model_of_run(services.gateway, learning.uid)
    assert model is not None
    (sequence, *_) = await timeline.sequences_of_domain(services.gateway, DOMAIN)
    frames = await timeline.frames(services.gateway, sequence.uid, sequence.first + 4, sequence.last - 1)
    asked = []
    for number in range(config.runs):
        at, odd = divmod(number, 2)
        if odd:
            start, steps = frames[at % len(frames)].uid, 1 + at // len(frames)
            request = PredictionRequest(checkpoints=(str(model.best_checkpoint),), starts=(start,), steps=steps)
            row = await submit_prediction(services, request)
        else:
            seed = config.seed + 1 + number
            one = GenerationRequest(domain=DOMAIN, kind="perturbation", sequences=1, seed=seed, settings=SIZE)
            row = await submit_generation(services, one)
        asked.append(row.uid)
        on_progress("queue", number / config.runs, "")
    return asked


async def _worked(
    services: Services, asked: Sequence[str], config: RunsConfig, on_progress: OnProgress
) -> list[tuple[float, int]]:
    """Have worker processes do all that was asked; what their claims took."""
    with tempfile.TemporaryDirectory(prefix="fieldgraph-claims-") as folder:
        files = [Path(folder) / f"{number}.json" for number in range(config.workers)]
        started = []
        for number, file in enumerate(files):
            capability = ("batch", "interactive")[number % 2]
            command = (sys.executable, "-m", "resolvers.benches.runs_worker", capability, str(file), str(os.getpid()))
            environment = {**os.environ, **exported(services.settings)}
            started.append(await asyncio.create_subprocess_exec(*command, env=environment))
        try:
            await _ended(services.gateway, asked, "work", on_progress)
        finally:
            for process in started:
                process.terminate()
            await asyncio.gather(*(process.wait() for process in started))
        return [
            (took, number) for file in files for took, number in json.loads(await asyncio.to_thread(file.read_text))
        ]


async def _ended(gateway: Gateway, uids: Sequence[str], name: str, on_progress: OnProgress) -> None:
    done = 0
    while done < len(uids):
        await asyncio.sleep(LOOK_SECONDS)
        done = sum(row.finished for row in await _rows(gateway, uids))
        on_progress(name, done / len(uids), f"{done} of {len(uids)}")


async def _rows(gateway: Gateway, uids: Sequence[str]) -> list[RunRow]:
    return await runs.watch(gateway, uids)


async def _outputs(gateway: Gateway, uids: Sequence[str]) -> dict[str, int]:
    """How many predictions or sequences each run has made: one, where it was executed once."""
    found = await gateway.read(_OUTPUTS, uids=list(uids))
    return {row["uid"]: row["outputs"] for row in found}


_OUTPUTS: LiteralString = """
MATCH (r:Run) WHERE r.uid IN $uids
RETURN r.uid AS uid, COUNT { (r)<-[:WAS_GENERATED_BY]-(n) WHERE n:Prediction OR n:Sequence } AS outputs
"""
