"""How long a prediction takes through the API, on an idle service and while a training runs, and 16 that come at once.

A prediction is timed from sending the mutation to seeing its run SUCCEEDED, with the answer in the graph: the queue,
the claim, the forecast, the files and the transaction are all in it. Each is a new run from another snapshot. A burst
is sent together and is over when the last of its runs has SUCCEEDED; beside it the same number one after another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graph.errors import GraphError
from graph.queries.run_rows import TERMINAL_STATES
from resolvers.client import Client
from resolvers.demo import PREDICT, START, TRAIN, DemoConfig, run_demo

CANCEL = """
mutation Cancel($run: ID!) {
  cancelRun(uid: $run) { __typename }
}
"""

PROGRESS = """
query Progress($run: ID!) {
  run(uid: $run) { state ... on TrainingRun { epochs(first: 1) { epoch } } }
}
"""
POLL_SECONDS = 0.01
LOOK_SECONDS = 0.2
WARM_UP = 3  # predictions before the timed ones: the first compiles


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingConfig:
    """What is measured."""

    # timed predictions, idle and again during the training
    n: int = 60
    # cells per side and leads of each prediction
    scale: int = 64
    rollout: int = 4
    # predictions of one lead that come at once, and how often that is measured
    burst: int = 16
    bursts: int = 5
    # root of everything random
    seed: int = 0


async def bench_serving(
    client: Client, config: ServingConfig, *, on_progress: Callable[[str, float, str], None]
) -> dict[str, Any]:
    """`{idle, burst, training}`, the ratio of the p95 of training and idle, and the burst's gain over one by one."""
    small = DemoConfig(sequences=6, scale=config.scale, steps=24, seconds=5, seed=config.seed, start=4)
    made = await run_demo(client, small, on_progress=on_progress)
    starts = await _starts(client, made.sequences, config.n)

    async def predict(start: str) -> float:
        began = time.perf_counter()
        given = {"checkpoint": made.checkpoint, "snapshot": start, "steps": config.rollout, "force": True}
        run = await client.mutate(PREDICT, input=given)
        await client.finish(run, on_progress=lambda *_: None, poll_seconds=POLL_SECONDS)
        return 1e3 * (time.perf_counter() - began)

    async def timed(name: str) -> dict[str, Any]:
        for start in starts[:WARM_UP]:
            await predict(start)
        took = []
        for number, start in enumerate(starts, start=1):
            took.append(await predict(start))
            on_progress(name, number / len(starts), f"{took[-1]:.0f} ms")
        p50, p95 = np.percentile(took, (50, 95))
        return {"n": len(took), "p50_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1)}

    async def at_once(chosen: list[str]) -> float:
        """Milliseconds until the last of the runs that were asked for together has ended."""
        began = time.perf_counter()
        given = {"checkpoint": made.checkpoint, "steps": 1, "force": True}
        runs = await asyncio.gather(*(client.mutate(PREDICT, input=given | {"snapshot": start}) for start in chosen))
        await _all_succeeded(client, runs)
        return 1e3 * (time.perf_counter() - began)

    async def bursts() -> dict[str, Any]:
        """Each burst beside the same snapshots one by one, in turns: what the machine does meanwhile hits both."""
        chosen = [starts[number % len(starts)] for number in range(config.burst)]
        await at_once(chosen)  # compiles
        await at_once(chosen[:1])
        together, singly = [], []
        for number in range(config.bursts):
            together.append(await at_once(chosen))
            singly.append(sum([await at_once([start]) for start in chosen]))
            on_progress("burst", (number + 1) / config.bursts, f"{together[-1]:.0f} ms, one by one {singly[-1]:.0f} ms")
        return {
            "n": config.burst,
            "bursts": config.bursts,
            "together_ms": round(float(np.median(together)), 1),
            "one_by_one_ms": round(float(np.median(singly)), 1),
            "gain": round(float(np.median(np.array(singly) / together)), 2),
        }

    idle = await timed("idle")
    burst = await bursts()
    # only a training in its epochs competes: before, it compiles on one core
    given = {"sequences": list(made.sequences), "model": "TINY", "epochs": 100_000, "seed": config.seed, "force": True}
    training = await client.mutate(TRAIN, input=given)
    while not (await client.execute(PROGRESS, run=training))["run"]["epochs"]:  # noqa: ASYNC110, it happens elsewhere
        await asyncio.sleep(LOOK_SECONDS)
    busy = await timed("training")
    await client.execute(CANCEL, run=training)
    return {
        "results": {"idle": idle, "burst": burst, "training": busy},
        "ratio": round(busy["p95_ms"] / idle["p95_ms"], 2),
    }


async def _all_succeeded(client: Client, runs: Sequence[str]) -> None:
    """Wait for all of these with one look at a time; one that failed is raised."""
    query = " ".join(f'r{number}: run(uid: "{uid}") {{ state errorMessage }}' for number, uid in enumerate(runs))
    while True:
        states = (await client.execute(f"{{ {query} }}")).values()
        for state in states:
            if state["state"] in TERMINAL_STATES - {"SUCCEEDED"}:
                raise GraphError("RUN_FAILED", f"a prediction ended {state['state']}: {state['errorMessage']}")
        if all(state["state"] == "SUCCEEDED" for state in states):
            return
        await asyncio.sleep(POLL_SECONDS)


async def _starts(client: Client, sequences: tuple[str, ...], n: int) -> list[str]:
    """Snapshots to predict from, with history before and truth behind them."""
    found: list[str] = []
    for sequence in sequences:
        pages = await client.execute(START, sequence=sequence, after=18)
        found += [edge["node"]["uid"] for edge in pages["sequence"]["snapshots"]["edges"]][4:]
    return [found[number % len(found)] for number in range(n)]
