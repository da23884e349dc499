"""Speed beside pdequinox's UNet of as many parameters: the same batches in the same process, blocks of steps in turn.

The data are APEBench's `diff_burgers`. Three networks take the same 150 steps: ours (delta head, whose forward
operations must be at least 0.8 of the UNet's), the UNet as APEBench trains it, and the UNet with its channels last
(`unet_nhwc.py`). A step is whole: the host's batch, the transfer, the gradient, the optimizer. Beside it the time of
one forecast of a `small` network at 256².
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from nvp.atlas.series import Series
from resolvers.benches.costs import flops_of, memory_of, mfu
from resolvers.benches.peers import applied, build, pairs, rate_at, size_of, stepper
from resolvers.benches.scenarios import ScenarioSize, Trajectories, lenient, series_of, simulate
from resolvers.benches.suites import Report, SuiteConfig

LEAST_RATIO = 1.5
LEAST_WORK = 0.8
MOST_MS = 100.0
_SCENARIO = "diff_burgers"
_BATCH = 8
# a UNet of 17 channels and two levels has as many parameters as ours of these widths
_PEER = "UNet;17;2;relu"
_WIDTHS, _LATENT = (32, 32, 16), 32
_STEPS, _BLOCK = 150, 10


@dataclass(slots=True, kw_only=True)
class Contestant:
    """One network in training."""

    parameters: int
    # operations of one forward pass and of one step, per example
    forward_gflop: float
    step_gflop: float
    step_memory_gib: float | None
    compile_seconds: float
    # take a step on the pairs of these numbers, at this share of the training
    step: Callable[[np.ndarray, float], None]
    advance: Callable[[np.ndarray], np.ndarray]
    walls: list[float] = field(default_factory=list)
    cpu: float = 0.0


def run(config: SuiteConfig, progress: Report) -> dict[str, Any]:
    """Samples per second, operations and errors by grid; and the latency of a forecast."""
    scales = (32,) if config.quick else (64, 128)
    steps, block = (4, 2) if config.quick else (_STEPS, _BLOCK)
    seed = config.seeds[0]
    results = {}
    for scale in scales:
        size = ScenarioSize(points=scale, train=2, test=1, steps=6) if config.quick else _size(scale)
        progress(f"{scale}²", 0.0, "data")
        results[str(scale)] = _grid(simulate(_SCENARIO, size, seed=seed), steps, block, seed, f"{scale}²", progress)
    latency = _latency(64 if config.quick else 256, config.keep, 5 if config.quick else 50, progress)
    criteria = {
        **{f"samples_per_second at {scale}": one["ratio"] >= LEAST_RATIO for scale, one in results.items()},
        **{f"forward operations at {scale}": one["work"] >= LEAST_WORK for scale, one in results.items()},
        **{f"error at {scale}": one["error_ratio"] <= 1 for scale, one in results.items()},
        "forecast": latency["p50_ms"] < MOST_MS,
    }
    return {
        "seed": seed,
        "n": steps,
        "batch": _BATCH,
        "threads": len(os.sched_getaffinity(0)),
        "libraries": {package: version(package) for package in ("exponax", "pdequinox", "equinox", "optax")},
        "results": results,
        "forecast": latency,
        "criteria": criteria,
        "passed": all(criteria.values()),
    }


def _size(scale: int) -> ScenarioSize:
    return ScenarioSize(points=scale, train=20 if scale <= 64 else 8, test=4)


def _grid(data: Trajectories, steps: int, block: int, seed: int, name: str, progress: Report) -> dict[str, Any]:
    from nvp.thermo.apebench_metrics import nrmse

    contestants: dict[str, Contestant] = {}
    for number, (who, made) in enumerate((("ours", _ours), ("unet", _unet), ("unet_nhwc", _unet_nhwc))):
        progress(name, 0.1 * number, f"{who}: compile")
        contestants[who] = made(data, seed)
    rng = np.random.default_rng(seed)
    n = data.train.shape[0] * (data.train.shape[1] - 1)
    order = np.concatenate([rng.permutation(n) for _ in range(-(-steps * _BATCH // n))])
    chosen = order[: steps * _BATCH].reshape(steps, _BATCH)
    bounds = [*range(0, steps, block), steps]
    for first, last in pairwise(bounds):
        # in turn, so that whatever else the machine does falls on all of them
        for one in contestants.values():
            wall, cpu = time.perf_counter(), time.process_time()
            for step in range(first, last):
                one.step(chosen[step], step / steps)
            one.walls.append((time.perf_counter() - wall) / (last - first))
            one.cpu += time.process_time() - cpu
        progress(name, 0.3 + 0.6 * last / steps, f"step {last} of {steps}")
    test = data.test
    before = test[:, :-1].reshape(-1, *test.shape[2:])
    errors = {"persistence": float(nrmse(before.reshape(test[:, 1:].shape), test[:, 1:]).mean())}
    rows: dict[str, Any] = {}
    for who, one in contestants.items():
        ahead = np.concatenate([one.advance(before[at : at + _BATCH]) for at in range(0, len(before), _BATCH)])
        errors[who] = float(nrmse(ahead.reshape(test[:, 1:].shape), test[:, 1:]).mean())
        rows[who] = _row(one, steps, errors[who])
    progress(name, 1.0, "")
    ours, unet = contestants["ours"], contestants["unet"]
    return {
        **rows,
        "persistence": {"one_step_nrmse": errors["persistence"]},
        "ratio": float(np.median(np.array(unet.walls) / np.array(ours.walls))),
        "cpu_ratio": unet.cpu / ours.cpu,
        "work": ours.forward_gflop / unet.forward_gflop,
        "parameters_ratio": ours.parameters / unet.parameters,
        "error_ratio": errors["ours"] / errors["unet"],
    }


def _row(one: Contestant, steps: int, error: float) -> dict[str, Any]:
    wall = float(np.median(one.walls))
    return {
        "one_step_nrmse": error,
        "samples_per_second": round(_BATCH / wall, 2),
        "step_ms": {"median": round(1e3 * wall, 2), "min": round(1e3 * min(one.walls), 2)},
        "step_cpu_ms": round(1e3 * one.cpu / steps, 2),
        "parameters": one.parameters,
        "forward_gflop": round(one.forward_gflop, 4),
        "step_gflop": round(one.step_gflop, 4),
        "gflop_per_second": round(one.step_gflop * _BATCH / wall, 2),
        "mfu": mfu(1e9 * one.step_gflop * _BATCH / wall),
        "step_memory_gib": one.step_memory_gib,
        "compile_seconds": round(one.compile_seconds, 1),
    }


def _ours(data: Trajectories, seed: int) -> Contestant:
    from nvp.dynamics.domain import domain
    from nvp.model.config import config_for
    from nvp.model.nvp import NVP, parameter_count
    from nvp.model.statistics import fit_statistics
    from nvp.training.config import LossConfig, TrainingConfig
    from nvp.training.data import Examples
    from nvp.training.recipes import suited
    from nvp.training.step import NextState, first_state, learning_rate, plan_of, predict_step, train_step

    series = series_of(data.train, _SCENARIO)
    spec = domain(_SCENARIO)
    model = replace(config_for(spec, series[0]), widths=_WIDTHS, latent=_LATENT)
    # as long as this the running mean of the parameters has no time to follow
    given = TrainingConfig(batch=_BATCH, ema=0.9, loss=LossConfig(fidelity=0.0, pairs=1.0, variance=0.005))
    settings = suited(given, model, spec)
    plan = plan_of(settings, model)
    network = NVP(model, fit_statistics(model, series), rng=np.random.default_rng(seed))
    graph, state, constants = first_state(network, plan)
    examples = Examples(model, series)
    first = examples.rollouts(np.arange(_BATCH), 1)
    began = time.perf_counter()
    step = train_step.lower(NextState(graph, plan), state, constants, first, np.float32(0), np.uint32(seed)).compile()
    compiled = time.perf_counter() - began
    forward = predict_step.lower(graph, state.params, constants, first.inputs).compile()
    held = [state]

    def take(numbers: np.ndarray, share: float) -> None:
        rate = np.float32(learning_rate(settings, share))
        held[0], loss = step(held[0], constants, examples.rollouts(numbers, 1), rate, np.uint32(seed))
        loss.total.block_until_ready()

    def advance(states: np.ndarray) -> np.ndarray:
        at = np.resize(np.arange(len(states)), _BATCH)
        inputs = first.inputs._replace(history=states[at][:, None])
        return np.asarray(forward(held[0].ema, constants, inputs).mean)[: len(states)]

    return Contestant(
        parameters=parameter_count(network),
        forward_gflop=flops_of(forward) / _BATCH / 1e9,
        step_gflop=flops_of(step) / _BATCH / 1e9,
        step_memory_gib=memory_of(step),
        compile_seconds=compiled,
        step=take,
        advance=advance,
    )


def _unet(data: Trajectories, seed: int) -> Contestant:
    import equinox

    net = build(_PEER, data.train.shape[-1], seed=seed)
    arrays, static = equinox.partition(net, equinox.is_inexact_array)

    def said(arrays: Any, states: Any) -> Any:
        return applied(equinox.combine(arrays, static), False, states)

    return _trained(arrays, said, pairs(data.train), size_of(net), channels=1)


def _unet_nhwc(data: Trajectories, seed: int) -> Contestant:
    from resolvers.benches import unet_nhwc

    net = build(_PEER, data.train.shape[-1], seed=seed)
    both = tuple(np.ascontiguousarray(np.moveaxis(part, 1, -1)) for part in pairs(data.train))
    return _trained(unet_nhwc.port(net), unet_nhwc.apply, both, size_of(net), channels=3)


def _trained(
    weights: Any, said: Callable[[Any, Any], Any], data: tuple[np.ndarray, ...], parameters: int, *, channels: int
) -> Contestant:
    """A peer with its channels on this axis, as APEBench trains it."""
    import jax

    before, after = data
    with lenient():
        state, step = stepper(said, weights)
        began = time.perf_counter()
        step = step.lower(weights, state, before[:_BATCH], after[:_BATCH], np.float32(0)).compile()
        compiled = time.perf_counter() - began
        forward = jax.jit(said).lower(weights, before[:_BATCH]).compile()
    held = [(weights, state)]

    def take(numbers: np.ndarray, share: float) -> None:
        *now, error = step(*held[0], before[numbers], after[numbers], np.float32(rate_at(share)))
        held[0] = tuple(now)
        error.block_until_ready()

    def advance(states: np.ndarray) -> np.ndarray:
        at = np.resize(np.arange(len(states)), _BATCH)
        ahead = forward(held[0][0], np.ascontiguousarray(np.moveaxis(states[at], -1, channels)))
        return np.moveaxis(np.asarray(ahead), channels, -1)[: len(states)]

    return Contestant(
        parameters=parameters,
        forward_gflop=flops_of(forward) / _BATCH / 1e9,
        step_gflop=flops_of(step) / _BATCH / 1e9,
        step_memory_gib=memory_of(step),
        compile_seconds=compiled,
        step=take,
        advance=advance,
    )


def _latency(scale: int, keep: Path | None, n: int, progress: Report) -> dict[str, Any]:
    """Time of one forecast of one state, one step ahead, by the kept checkpoint if there is one."""
    from nvp.prediction.forecaster import load_forecaster, windows

    progress("forecast", 0.0, f"{scale}²")
    rng = np.random.default_rng(0)
    # the last of a training's best is the one that was scored
    places = sorted(path.parent for path in keep.rglob("told/best-*/config.json")) if keep is not None else []
    names = [place for place in places if "fluid_dynamics" in place.parts] or places
    shape = (2, scale, scale)
    series = Series(
        energy=rng.lognormal(size=(*shape, 1)).astype(np.float32),
        context={"velocity": rng.normal(size=(*shape, 2)).astype(np.float32)},
        dt=2.1,
        domain="fluid_dynamics",
    )
    forecaster: Any = load_forecaster(names[-1]) if names else _untrained(series)
    if forecaster.history > 1:
        series = replace(
            series,
            energy=np.repeat(series.energy, forecaster.history, axis=0),
            context={key: np.repeat(values, forecaster.history, axis=0) for key, values in series.context.items()},
        )
    window = windows(series, history=forecaster.history, starts=[len(series) - 2], steps=1)
    parameters = getattr(getattr(forecaster, "config", None), "parameters", ())
    window = replace(window, parameters=dict.fromkeys(parameters, 1.0))
    walls = []
    for number in range(n + 5):
        began = time.perf_counter()
        forecaster.forecast(window, 1)
        if number >= 5:  # compilation and warming up
            walls.append(1e3 * (time.perf_counter() - began))
        progress("forecast", (number + 1) / (n + 5), f"{scale}²")
    p50, p95 = np.percentile(walls, [50, 95])
    return {
        "scale": scale,
        "size": "small",
        "n": n,
        "checkpoint": names[-1].name if names else None,
        "p50_ms": round(float(p50), 2),
        "p95_ms": round(float(p95), 2),
    }


def _untrained(series: Series) -> Any:
    from nvp.dynamics.domain import domain
    from nvp.model.config import config_for
    from nvp.model.nvp import NVP
    from nvp.model.statistics import fit_statistics
    from nvp.prediction.rollout import NetworkForecaster
    from nvp.training.step import split

    config = config_for(domain(series.domain), series, size="small")
    network = NVP(config, fit_statistics(config, [series]), rng=np.random.default_rng(0))
    return NetworkForecaster(config, *split(network))
