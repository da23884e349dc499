"""The literal layout: parameters, memory and time of a training step on one grid; at 256² its shapes alone."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from resolvers.benches.costs import flops_of, memory_of
from resolvers.benches.suites import Report

# the grid it was drawn for
_DRAWN_FOR = 256
_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LiteralBenchConfig:
    """What is timed."""

    scale: int = 64
    batch: int = 8
    # timed training steps, after one that warms up
    steps: int = 10
    seed: int = 0


def bench_literal(config: LiteralBenchConfig, progress: Report) -> dict[str, Any]:
    """Parameters on both grids, and time, operations and memory of a training step on the smaller one."""
    import jax

    from nvp.model.literal import sizes
    from nvp.model.literal_config import LiteralConfig
    from nvp.model.padding import Boundaries
    from nvp.training.config import TrainingConfig
    from nvp.training.literal import LiteralGoal, first_literal_state, literal_batch, literal_predict
    from nvp.training.recipes import SEEDS_LOSS
    from nvp.training.step import descent_of, train_step

    progress("literal", 0.0, "shapes")
    drawn = sizes(LiteralConfig(input_shape=(_DRAWN_FOR, _DRAWN_FOR)))
    layout = LiteralConfig(input_shape=(config.scale, config.scale))
    here = sizes(layout)
    progress("literal", 0.1, "weights")
    descent = descent_of(TrainingConfig(beta2=0.999, ema=0.0))
    rng = np.random.default_rng(config.seed)
    graph, state = first_literal_state(rng, layout, descent)
    before, after = (
        rng.lognormal(size=(config.batch, config.scale, config.scale, 1)).astype(np.float32) for _ in range(2)
    )
    boundaries: Boundaries = ("periodic", "periodic")
    began = time.perf_counter()
    goal, given = LiteralGoal(graph, descent, SEEDS_LOSS, boundaries), literal_batch(before, after)
    rate, seed = np.float32(1e-4), np.uint32(config.seed)
    step = train_step.lower(goal, state, (), given, rate, seed).compile()
    compile_seconds = time.perf_counter() - began
    walls, cpu = [], 0.0
    for number in range(config.steps + 1):
        wall, spent = time.perf_counter(), time.process_time()
        state, loss = step(state, (), given, rate, seed)
        loss.total.block_until_ready()
        if number:  # the first one touches its memory for the first time
            walls.append(time.perf_counter() - wall)
            cpu += time.process_time() - spent
        progress("literal", 0.1 + 0.8 * number / config.steps, f"step {number}")
    predict = literal_predict.lower(graph, state.params, state.statistics, before[:1], boundaries=boundaries).compile()
    single = _best(lambda: predict(state.params, state.statistics, before[:1]))

    def interpreted() -> Any:
        with jax.disable_jit():
            one = jax.numpy.asarray(before[:1])
            return literal_predict(graph, state.params, state.statistics, one, boundaries=boundaries)

    plain = _best(interpreted)
    progress("literal", 1.0, "")
    return {
        "seed": config.seed,
        "n": config.steps,
        "batch": config.batch,
        "results": {
            f"{config.scale}": {
                "parameters": here,
                "weights_gib": _gib(here["total"]),
                "step_ms": {"median": _ms(float(np.median(walls))), "min": _ms(min(walls)), "max": _ms(max(walls))},
                "step_cpu_ms": _ms(cpu / config.steps),
                "step_gflop": round(flops_of(step) / 1e9, 2),
                "step_memory_gib": memory_of(step),
                "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
                "compile_seconds": round(compile_seconds, 1),
                "predict_ms": _ms(single),
                # the same without compiling it as a whole: operation by operation
                "predict_uncompiled_ms": _ms(plain),
                "compilation_gain": round(plain / single, 1),
            },
            f"{_DRAWN_FOR}": {
                "parameters": drawn,
                "weights_gib": _gib(drawn["total"]),
                # weights, both moments of Adam and the gradient
                "training_gib": round(4 * drawn["total"] * _BYTES / 2**30, 2),
            },
        },
        "passed": True,
    }


def _best(call: Callable[[], Any]) -> float:
    """Seconds of the faster of two calls, after one that warms up."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        call()[0].block_until_ready()
        took.append(time.perf_counter() - began)
    return min(took[1:])


def _gib(parameters: int) -> float:
    return round(parameters * _BYTES / 2**30, 3)


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 2)
