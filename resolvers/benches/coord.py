"""How fast the coordinator is: F and ∇F beside a loop over the terms, a relaxation beside scipy's L-BFGS-B.

All of it warm and in one process, ours and theirs in turn, so that whatever else the machine does falls on both; what
compiling took stands apart. Ratios are of the least times, which other processes disturb least; medians stand beside
them. Random graphs have four couplings per module.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.energy import precision, value_and_grad, weighed
from nvp.coordinator.problem import Problem, build
from nvp.coordinator.reference import reference_energy
from nvp.coordinator.relax import relax, run
from nvp.coordinator.scenarios import random_graph
from resolvers.benches.coord_df90 import df90
from resolvers.benches.coord_peers import lbfgsb, numpy_value_and_grad

Report = Callable[[str, float, str], None]

SIZES = (16, 64, 256, 1000, 4096, 16384, 65536)
BATCHES = (1, 64, 4096)
NEWTON = RelaxConfig(mode="newton", steps=200, gradient_tolerance=1e-5)
LEAST_LOOP_RATIO = 100.0
"""How many times faster F and ∇F must be than the loop, at `COMPARED` modules."""
COMPARED = 1000
"""Modules from which on a relaxation must be faster than L-BFGS-B."""
LEAST_SHARE = 0.5
"""Share of paired starts on rugged graphs that must not end above L-BFGS-B."""
MOST_STATES = {"baseline": 9, "dense": 17}
"""ΔF90 with line search, at most."""
LOOPED = 4096
"""Modules up to which the loop is timed too."""
SECONDS = 1.5
"""A measurement is repeated until it has taken so long."""
BLOCK = 0.03
"""Seconds of calls of one side before the other's turn."""

_evaluate = jax.jit(value_and_grad)
_evaluate_batch = jax.jit(jax.vmap(value_and_grad, (None, 0)))
_weigh = jax.jit(lambda problem: weighed(problem, problem.weights))


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordConfig:
    """What is measured."""

    sizes: Sequence[int] = SIZES
    batches: Sequence[int] = BATCHES
    # modules × batch of the largest evaluation, and of the largest batch that is relaxed
    most: int = 1 << 22
    most_relaxed: int = 1 << 18
    # starts on one rugged graph of so many modules, each relaxed by both
    starts: int = 100
    rugged: int = 64
    # of ΔF90
    scenarios: Sequence[str] = ("baseline", "dense")
    seed: int = 0


QUICK = CoordConfig(sizes=(16,), batches=(1,), starts=4, rugged=16, scenarios=("baseline",))


@precision
def bench_coord(config: CoordConfig, on_progress: Report = lambda *_: None) -> dict[str, Any]:
    """One row per size, the paired starts, ΔF90, and which criteria hold; times in microseconds."""
    rows = []
    for number, size in enumerate(config.sizes):
        on_progress("sizes", number / len(config.sizes), f"{size} modules")
        rows.append(_of_size(size, config))
    on_progress("sizes", 1.0, "")
    rugged = _paired(config)
    on_progress("starts", 1.0, "rugged")
    counts = df90(scenarios=config.scenarios, sizes=(16,), variants=("armijo",))["results"]
    on_progress("df90", 1.0, "")
    criteria = {
        **{
            f"loop at {row['modules']}": row["loop_ratio"] >= LEAST_LOOP_RATIO
            for row in rows
            if row["modules"] == COMPARED
        },
        **{f"energy at {row['modules']}": row["not_above_lbfgsb"] for row in rows},
        **{f"speed at {row['modules']}": row["lbfgsb_ratio"] > 1 for row in rows if row["modules"] >= COMPARED},
        "rugged": rugged["share_not_above_lbfgsb"] >= LEAST_SHARE,
        **{f"df90 {row['scenario']}": 0 < row["delta_f90"] <= MOST_STATES[row["scenario"]] for row in counts},
    }
    return {
        "seed": config.seed,
        "n": len(rows),
        "jax_device": jax.devices()[0].device_kind,
        "threads": {"cores": len(os.sched_getaffinity(0)), "blas": os.environ.get("OPENBLAS_NUM_THREADS")},
        "libraries": {name: version(name) for name in ("scipy", "jaxlib")},
        "results": rows,
        "rugged": rugged,
        "delta_f90": {row["scenario"]: row["delta_f90"] for row in counts},
        "criteria": criteria,
        "passed": all(criteria.values()),
    }


def _of_size(size: int, config: CoordConfig) -> dict[str, Any]:
    rng = np.random.default_rng([config.seed, size])
    graph = random_graph(size, "convex", rng)
    problem = build(graph)
    on_device = _weigh(jax.device_put(problem))
    batches = [each for each in config.batches if each * size <= config.most]
    states = {batch: _states(rng, batch, size, problem.size) for batch in batches}
    eta = np.asarray(states[batches[0]][0, :size])
    loop = {"loop": lambda: reference_energy(graph, eta)} if size <= LOOPED else {}
    evaluations = {}
    for batch, etas in states.items():
        evaluations[str(batch)] = _evaluation(on_device, etas, loop if batch == 1 else {})
    relaxations = {
        str(batch): _relaxation(problem, etas)
        for batch, etas in states.items()
        if batch > 1 and batch * size <= config.most_relaxed
    }
    looped = evaluations["1"].pop("loop", None) if "1" in evaluations else None
    alone, theirs = _against_lbfgsb(problem)
    return {
        "modules": size,
        "couplings": len(graph.couplings),
        "value_and_grad": evaluations,
        "loop": looped,
        "loop_ratio": looped and round(looped["least_us"] / evaluations["1"]["least_us"], 1),
        "relax": {"1": alone, **relaxations},
        "lbfgsb": theirs,
        "lbfgsb_ratio": round(theirs["least_us"] / alone["least_us"], 2),
        "not_above_lbfgsb": alone["energy"] <= theirs["energy"] + 1e-8 * (1 + abs(theirs["energy"])),
    }


def _states(rng: np.random.Generator, batch: int, size: int, padded: int) -> jax.Array:
    return jnp.asarray(np.pad(rng.random((batch, size)), ((0, 0), (0, padded - size))))


def _evaluation(problem: Problem, etas: jax.Array, beside: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """F and ∇F of a batch of states, of a single one without the batch's axis; others are timed in turn with it."""
    evaluate, at = (_evaluate, etas[0]) if len(etas) == 1 else (_evaluate_batch, etas)
    compile_seconds = _once(lambda: _ready(evaluate(problem, at)))
    took = _timed({"ours": lambda: _ready(evaluate(problem, at)), **beside})
    mine = took.pop("ours")
    per_graph = round(mine["least_us"] / len(etas), 3)
    return {**mine, "us_per_graph": per_graph, "first_call_seconds": compile_seconds, **took}


def _relaxation(problem: Problem, etas: jax.Array) -> dict[str, Any]:
    """A batch of starts on one graph, relaxed together."""
    key, weights = jax.random.key(0), jnp.asarray(problem.weights)

    def work() -> Any:
        return _ready(run(problem, NEWTON, key, etas, weights, layout=None))

    compile_seconds = _once(work)
    took = _timed({"ours": work})["ours"]
    per_graph = round(took["least_us"] / len(etas), 1)
    return {**took, "us_per_graph": per_graph, "first_call_seconds": compile_seconds}


def _against_lbfgsb(problem: Problem) -> tuple[dict[str, Any], dict[str, Any]]:
    """One relaxation from the middle of the box, by both."""
    middle = np.where(np.asarray(problem.mask) > 0, 0.5, 0.0)
    key, weights, start = jax.random.key(0), jnp.asarray(problem.weights), jnp.asarray(middle)
    on_device = jax.device_put(problem)
    vectorised = numpy_value_and_grad(problem)

    def ours() -> Any:
        return _ready(run(on_device, NEWTON, key, start, weights, layout=None))

    compile_seconds = _once(ours)
    state = ours()[0]
    found = lbfgsb(vectorised, middle)
    took = _timed({"ours": ours, "lbfgsb": lambda: lbfgsb(vectorised, middle)})
    mine = {**took["ours"], "first_call_seconds": compile_seconds}
    return (
        {**mine, "energy": float(state.best_energy), "steps": int(state.step)},
        {
            **took["lbfgsb"],
            "energy": float(found.fun),
            "iterations": int(found.nit),
            "evaluations": int(found.nfev),
        },
    )


def _paired(config: CoordConfig) -> dict[str, Any]:
    """Many starts on one graph with many minima: how often the end is not above that of L-BFGS-B."""
    rng = np.random.default_rng([config.seed, config.rugged])
    graph = random_graph(config.rugged, "rugged", rng)
    starts = rng.random((config.starts, config.rugged))
    ours = relax(graph, NEWTON, jax.random.key(config.seed), eta0=starts).energy
    problem = build(graph)
    vectorised, fill = numpy_value_and_grad(problem), problem.size - config.rugged
    theirs = np.array([lbfgsb(vectorised, np.pad(start, (0, fill))).fun for start in starts])
    difference = np.sort(ours - theirs)
    return {
        "modules": config.rugged,
        "starts": config.starts,
        "share_not_above_lbfgsb": float(np.mean(ours <= theirs + 1e-8 * (1 + np.abs(theirs)))),
        "share_below_lbfgsb": float(np.mean(ours < theirs - 1e-8 * (1 + np.abs(theirs)))),
        "difference": {"median": float(np.median(difference)), "low": difference[0], "high": difference[-1]},
    }


def _ready(value: Any) -> Any:
    """The value once it is computed."""
    return jax.block_until_ready(value)  # type: ignore[no-untyped-call]


def _once(work: Callable[[], Any]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    work()
    return round(time.perf_counter() - began, 3)


def _timed(works: dict[str, Callable[[], Any]]) -> dict[str, dict[str, Any]]:
    """Median and least microseconds of calls, in blocks in turn: a call behind a long other one is not warm."""
    took: dict[str, list[float]] = {name: [] for name in works}
    began = time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        for name, work in works.items():
            block = time.perf_counter()
            while time.perf_counter() - block < BLOCK:
                start = time.perf_counter()
                work()
                took[name].append(1e6 * (time.perf_counter() - start))
    return {
        name: {"us": round(float(np.median(each)), 1), "least_us": round(min(each), 1), "repeats": len(each)}
        for name, each in took.items()
    }
