"""What survives when processes die: runs asked for by the API while workers, API and Neo4j are killed.

A service as `fieldgraph serve` starts it, with a second API process and a second `batch` worker. Runs are asked for
until they are acknowledged; meanwhile faults happen in random order (`faults_storm`). When all faults are over and all
runs have ended, `faults_check` says what was lost, done twice, or written by those who had lost their lease; and every
training that was taken over is done anew without a fault: its states must be the same bit for bit.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from graph.errors import Outage
from graph.gateway import Gateway
from graph.settings import Settings
from resolvers.benches import faults_check
from resolvers.benches.faults_storm import FAULTS, PATIENCE_SECONDS, Fault, Storm, until
from resolvers.benches.faults_watch import Request, Watch
from resolvers.client import Client
from resolvers.demo import GENERATE, PREDICT, SEQUENCES, START, TRAIN, TRAINED
from resolvers.supervisor import Supervised, exported

LEASE_SECONDS = 4.0
IN_FLIGHT = 4  # runs that are asked for while faults go on: each fault shall hit one
AGAIN_SECONDS = 0.3  # until a request without an answer is sent again
LEAST_CHECKPOINTS = 3
# of ten runs, which are predictions and which a generation; the others are trainings
PREDICTIONS, GENERATION = (1, 4, 7), 9
DOMAIN = "fluid_dynamics"

# called with a name, the share done (0 … 1) and a message
OnProgress = Callable[[str, float, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultsConfig:
    """What is asked for, and what happens to it."""

    # three of five runs are trainings, the others predictions and, one in ten, generations
    runs: int = 50
    # how often each fault happens
    times: int = 4
    # epochs of each training; a checkpoint after each
    epochs: int = 8
    # cells per side and frames of the sequences
    scale: int = 16
    steps: int = 16
    # root of everything random
    seed: int = 0


def impatient(settings: Settings) -> Settings:
    """Settings under which a lost worker is noticed in seconds, and costs a run nothing but an attempt."""
    return settings.model_copy(update={"lease_seconds": LEASE_SECONDS, "max_attempts": 100, "api_processes": 2})


async def bench_faults(
    gateway: Gateway,
    settings: Settings,
    config: FaultsConfig,
    *,
    client: Client,
    url: str,
    points: Path,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """`{runs, lost, duplicated, stale_writes, resume_bit_equal, by_failpoint, …}`.

    The service at `url` has the settings `impatient`, and `points` as the folder of its failpoints.
    """
    rng = np.random.default_rng(config.seed)
    one = await _prepared(client, config, on_progress)
    (counted,) = await gateway.read("MATCH (r:Run) RETURN count(r) AS runs")
    faults = [fault for fault in FAULTS for _ in range(config.times)]
    faults = [faults[number] for number in rng.permutation(len(faults))]
    watch, again, ending = Watch(gateway), Watch(gateway), asyncio.Event()
    environment = {**os.environ, **exported(settings)}
    second = Supervised(name="batch 2", module="resolvers.worker", arguments=("batch",), environment=environment)
    storm = Storm(settings, watch, url=url, points=points, rng=rng)
    async with asyncio.TaskGroup() as group:
        for helper in (second, watch, again):
            group.create_task(helper.run(ending))
        asking = group.create_task(_ask(client, one, watch, storm, least=config.runs))
        for number, fault in enumerate(faults):
            on_progress("faults", number / len(faults), fault)
            await storm.strike(fault)
        storm.over = True
        on_progress("faults", 1.0, "")
        await asking
        await _all_ended(watch, "runs", on_progress)
        resumed = [uid for uid in watch.taken_over() if watch.asked[uid].kind == "training"]
        anew: dict[str, str] = {}
        for uid in resumed:
            undisturbed = replace(watch.asked[uid], given={**watch.asked[uid].given, "force": True})
            anew[uid] = await _acknowledged(client, undisturbed)
            again.asked[anew[uid]] = undisturbed
        await _all_ended(again, "anew", on_progress)
        ending.set()
    found = await faults_check.check(
        gateway, watch, anew=anew, store=settings.store, epochs=config.epochs, before=counted["runs"]
    )
    return _result(found, watch, faults, config)


def _result(found: dict[str, Any], watch: Watch, faults: Sequence[Fault], config: FaultsConfig) -> dict[str, Any]:
    trainings = [uid for uid, request in watch.asked.items() if request.kind == "training"]
    by_fault = Counter(faults)
    written = found.pop("states")
    fewest = min((written[uid] for uid in trainings), default=0)
    bit_equal = found["resumed"] > 0 and not found["unequal"]
    criteria = {
        "nothing lost": found["lost"] == 0,
        "nothing duplicated": found["duplicated"] == 0,
        "no stale write": found["stale_writes"] == 0 and found["stale_tried"] > 0,
        "resumed bit by bit": bit_equal,
        "checkpoints": fewest >= LEAST_CHECKPOINTS,
    }
    return {
        "runs": len(watch.asked),
        "trainings": len(trainings),
        **found,
        "resume_bit_equal": bit_equal,
        "taken_over": len(watch.taken_over()),
        "most_attempts": max(watch.attempts.values(), default=0),
        "fewest_checkpoints": fewest,
        "epochs": config.epochs,
        "by_failpoint": {fault: by_fault[fault] for fault in FAULTS},
        "criteria": criteria,
        "passed": all(criteria.values()),
    }


async def _prepared(client: Client, config: FaultsConfig, on_progress: OnProgress) -> Callable[[int], Request]:
    """Sequences and a first checkpoint to predict with; then what is asked for, by number."""
    size = {"scale": config.scale, "steps": config.steps}

    async def done(name: str, request: Request) -> str:
        run = await _acknowledged(client, request)
        await _finished(client, run, lambda share, message: on_progress(name, share, message))
        return run

    making = Request("generation", GENERATE, {"domain": DOMAIN, "sequences": 4, "seed": config.seed, "settings": size})
    made = (await client.execute(SEQUENCES, run=await done("simulate", making)))["run"]["sequences"]
    sequences = [sequence["uid"] for sequence in made]

    def training(seed: int) -> Request:
        # a state after each epoch, and all of them left to be counted and compared
        often = {"checkpoint_seconds": 0.001, "keep": config.epochs, "batch": 4}
        given = {"sequences": sequences, "model": "TINY", "epochs": config.epochs, "seed": seed, "settings": often}
        return Request("training", TRAIN, given)

    first = await done("train", training(config.seed))
    checkpoint = (await client.execute(TRAINED, run=first))["run"]["model"]["bestCheckpoint"]["uid"]
    page = (await client.execute(START, sequence=sequences[-1], after=config.steps))["sequence"]["snapshots"]
    starts = [edge["node"]["uid"] for edge in page["edges"]][2:-2]

    def one(number: int) -> Request:
        round_, place = divmod(number, 10)
        if place in PREDICTIONS:
            # another start or one more lead each time: what was asked before would be the run that was
            leads, start = divmod(len(PREDICTIONS) * round_ + PREDICTIONS.index(place), len(starts))
            return Request(
                "prediction", PREDICT, {"checkpoint": checkpoint, "snapshot": starts[start], "steps": 1 + leads}
            )
        seed = config.seed + 1 + number
        if place == GENERATION:
            given = {"domain": DOMAIN, "sequences": 1, "seed": seed, "settings": size}
            return Request("generation", GENERATE, given)
        return training(seed)

    return one


async def _ask(client: Client, one: Callable[[int], Request], watch: Watch, storm: Storm, *, least: int) -> None:
    """Ask for `least` runs, and for more while there are faults that want one to hit."""
    number = 0
    while number < least or not storm.over:
        if not storm.over:
            await until(lambda: storm.over or len(watch.unfinished()) < IN_FLIGHT, "a run to end")
        request = one(number)
        uid = await _acknowledged(client, request)
        watch.asked[uid] = request
        number += 1


async def _acknowledged(client: Client, request: Request) -> str:
    """Ask until there is an answer: the uid of the run. The same request again is the same run."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await client.mutate(request.document, input=dict(request.given))
        except Outage:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(AGAIN_SECONDS)


async def _finished(client: Client, run: str, tell: Callable[[float, str], None]) -> None:
    while True:
        try:
            return await client.finish(run, on_progress=tell)
        except Outage:
            await asyncio.sleep(AGAIN_SECONDS)


async def _all_ended(watch: Watch, name: str, on_progress: OnProgress) -> None:
    """Until every run that was asked for has ended."""

    def ended() -> bool:
        left = len(watch.unfinished())
        on_progress(name, 1 - left / max(len(watch.asked), 1), f"{left} left")
        return left == 0

    await until(ended, "all runs to end", seconds=PATIENCE_SECONDS + 60 * len(watch.asked))
