"""What one step costs on this device: a forecast, a training step compiled and not, its share of what the device
promises, and how near its dearest kernels come to the roofline.

    forecast   the network `small` on one state of 128², whose inputs lie on the device
    compiled   one training step of `tiny`, compiled as a whole and operation by operation, compilation apart
    training   steps in bfloat16, on a GPU eight per dispatch, as the training loop takes them

Operations are XLA's count of the step as it is written, before it is optimised. What is asked of a GPU is asked of a
GPU only: elsewhere these criteria are null, and the sizes are what a processor can bear.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nvp.model.config import Compute, Size
from resolvers.benches.costs import flops_of, memory_of, mfu, on_gpu, peak
from resolvers.benches.epochs import Work, drifting
from resolvers.benches.kernels import dearest
from resolvers.benches.suites import Report, SuiteConfig

MOST_MS, LEAST_MFU, LEAST_GAIN = 2.0, 0.20, 1.0
_SCANNED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What is measured."""

    # grid of the forecast, and calls of it
    forecast: int
    calls: int
    # grid and batch of the step that is taken with and without compilation
    plain: tuple[int, int]
    # network, grid and batches of the training, and dispatches of each
    network: Size
    scale: int
    batches: tuple[int, ...]
    dispatches: int


_ON_GPU = Sizes(forecast=128, calls=200, plain=(64, 8), network="base", scale=256, batches=(8, 16, 32), dispatches=10)
_ELSEWHERE = Sizes(forecast=128, calls=50, plain=(64, 8), network="tiny", scale=64, batches=(8,), dispatches=10)
_QUICK = Sizes(forecast=16, calls=5, plain=(16, 2), network="tiny", scale=16, batches=(2,), dispatches=2)


class Step:
    """A training step and a forecast of one network on one batch."""

    def __init__(self, size: Size, scale: int, batch: int, *, compute: Compute, seed: int) -> None:
        import jax

        from nvp.dynamics.domain import domain
        from nvp.model.config import config_for
        from nvp.model.nvp import NVP, parameter_count
        from nvp.model.statistics import fit_statistics
        from nvp.training.config import TrainingConfig
        from nvp.training.data import Examples
        from nvp.training.recipes import suited
        from nvp.training.step import NextState, first_state, plan_of

        series = [drifting(Work(size=size, scale=scale, sequences=1, steps=batch), seed=seed, number=0)]
        spec = domain(series[0].domain)
        model = config_for(spec, series[0], size=size)
        settings = suited(TrainingConfig(size=size, batch=batch, compute=compute), model, spec)
        model = replace(model, compute=compute)
        network = NVP(model, fit_statistics(model, series), rng=np.random.default_rng(seed))
        self.parameters = parameter_count(network)
        self.batch = batch
        self.rate, self.seed = jax.numpy.float32(1e-4), jax.numpy.uint32(seed)
        plan = plan_of(settings, model)
        self.graph, state, self.constants = first_state(network, plan)
        self.goal = NextState(self.graph, plan)
        self.examples = jax.device_put(Examples(model, series).rollouts(np.arange(batch), 1))
        self.state = state

    def take(self, step: Callable[..., Any], *, batches: Any = None, rates: Any = None) -> None:
        """One call of a step, over before it returns."""
        given = self.examples if batches is None else batches
        rate = self.rate if rates is None else rates
        self.state, loss = step(self.state, self.constants, given, rate, self.seed)
        loss.total.block_until_ready()


def run(config: SuiteConfig, progress: Report) -> dict[str, Any]:
    """Times, operations and shares, and whether a GPU gives what is asked of one."""
    gpu = on_gpu()
    sizes = _QUICK if config.quick else _ON_GPU if gpu else _ELSEWHERE
    seed = config.seeds[0]
    progress("steps", 0.0, "forecast")
    forecast = _forecast(sizes, seed)
    progress("steps", 0.25, "compiled and not")
    compiled = _compiled(sizes, seed)
    progress("steps", 0.5, "training")
    rows = [_training(sizes, batch, seed, gpu=gpu) for batch in sizes.batches]
    best = max(rows, key=lambda row: row["gflop_per_second"])
    progress("steps", 0.9, "kernels")
    kernels = _kernels(sizes, best["batch"], seed, gpu=gpu)
    progress("steps", 1.0, "")
    criteria = {
        f"forecast in {MOST_MS:g} ms": forecast["p50_ms"] <= MOST_MS if gpu else None,
        f"{100 * LEAST_MFU:g} % of what the device promises": best["mfu"] >= LEAST_MFU
        if gpu and best["mfu"] is not None
        else None,
        "compiled is faster": compiled["gain"] > LEAST_GAIN,
    }
    return {
        "suite": "steps",
        "n": sizes.dispatches,
        "seed": seed,
        "results": {
            "forecast": forecast,
            "compiled": compiled,
            "training": {"best_batch": best["batch"], "mfu": best["mfu"], "by_batch": rows},
            "kernels": kernels,
        },
        "criteria": criteria,
        "passed": all(held is not False for held in criteria.values()),
    }


def _forecast(sizes: Sizes, seed: int) -> dict[str, Any]:
    """Milliseconds of one forecast of one state."""
    from nvp.training.step import predict_step

    one = Step("small", sizes.forecast, 1, compute="float32", seed=seed)
    given = (one.state.ema, one.constants, one.examples.inputs)
    lowered = predict_step.lower(one.graph, *given)
    began = time.perf_counter()
    predict = lowered.compile()
    compiled = time.perf_counter() - began
    walls = _timed(lambda: predict(*given).mean.block_until_ready(), sizes.calls, warm_up=5)
    p50, p95 = np.percentile(walls, [50, 95])
    return {
        "size": "small",
        "scale": sizes.forecast,
        "batch": 1,
        "n": sizes.calls,
        "p50_ms": round(1e3 * float(p50), 3),
        "p95_ms": round(1e3 * float(p95), 3),
        "gflop": round(flops_of(lowered) / 1e9, 3),
        "compile_seconds": round(compiled, 2),
    }


def _compiled(sizes: Sizes, seed: int) -> dict[str, Any]:
    """A training step compiled as a whole, and the same operation by operation."""
    import jax

    from nvp.training.step import train_step

    scale, batch = sizes.plain
    one = Step("tiny", scale, batch, compute="float32", seed=seed)
    began = time.perf_counter()
    step = train_step.lower(one.goal, one.state, one.constants, one.examples, one.rate, one.seed).compile()
    compiled = time.perf_counter() - began
    whole = _timed(lambda: one.take(step), 10, warm_up=1)

    def interpreted() -> None:
        with jax.disable_jit():
            one.take(lambda *given: train_step(one.goal, *given))

    began = time.perf_counter()
    interpreted()  # compiles each operation
    first = time.perf_counter() - began
    single = _timed(interpreted, 3, warm_up=0)
    return {
        "size": "tiny",
        "scale": scale,
        "batch": batch,
        "step_ms": round(1e3 * float(np.median(whole)), 2),
        "step_uncompiled_ms": round(1e3 * float(np.median(single)), 2),
        "gain": round(float(np.median(single) / np.median(whole)), 2),
        "compile_seconds": round(compiled, 2),
        "first_uncompiled_seconds": round(first, 2),
        "n": {"compiled": len(whole), "uncompiled": len(single)},
    }


def _training(sizes: Sizes, batch: int, seed: int, *, gpu: bool) -> dict[str, Any]:
    """Steps in bfloat16 as the loop takes them."""
    import jax

    from nvp.training.step import train_step, train_steps

    one = Step(sizes.network, sizes.scale, batch, compute="bfloat16", seed=seed)
    told = (one.goal, one.state, one.constants)
    lowered = train_step.lower(*told, one.examples, one.rate, one.seed)
    flops, count = flops_of(lowered), _SCANNED if gpu else 1
    stacked = jax.tree.map(lambda leaf: jax.numpy.stack([leaf] * _SCANNED), one.examples) if gpu else None
    rates = np.full(_SCANNED, one.rate) if gpu else None
    began = time.perf_counter()
    step = (train_steps.lower(*told, stacked, rates, one.seed) if gpu else lowered).compile()
    compiled = time.perf_counter() - began
    walls = _timed(lambda: one.take(step, batches=stacked, rates=rates), sizes.dispatches, warm_up=1)
    wall = float(np.median(walls)) / count
    return {
        "size": sizes.network,
        "parameters": one.parameters,
        "scale": sizes.scale,
        "batch": batch,
        "compute": "bfloat16",
        "steps_per_dispatch": count,
        "n": len(walls),
        "step_ms": round(1e3 * wall, 4),
        "samples_per_second": round(batch / wall, 2),
        "step_gflop": round(flops / 1e9, 6),
        "gflop_per_second": round(flops / wall / 1e9, 4),
        "mfu": None if (share := mfu(flops / wall, "bfloat16")) is None else round(share, 4),
        "memory_gib": memory_of(step),
        "compile_seconds": round(compiled, 2),
    }


def _kernels(sizes: Sizes, batch: int, seed: int, *, gpu: bool) -> dict[str, Any] | None:
    """The dearest kernels of a training step."""
    from nvp.training.step import train_step

    one = Step(sizes.network, sizes.scale, batch, compute="bfloat16", seed=seed)
    lowered = train_step.lower(one.goal, one.state, one.constants, one.examples, one.rate, one.seed)
    # kernels that are launched together have no names of their own
    step = lowered.compile({"xla_gpu_enable_command_buffer": ""}) if gpu else lowered.compile()
    one.take(step)
    return dearest(step, lambda: one.take(step), calls=3, compute="bfloat16", promised=peak())


def _timed(call: Callable[[], Any], times: int, *, warm_up: int) -> list[float]:
    """Seconds of each call."""
    walls = []
    for number in range(warm_up + times):
        began = time.perf_counter()
        call()
        if number >= warm_up:
            walls.append(time.perf_counter() - began)
    return walls
