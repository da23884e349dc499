"""What a learnt first state saves: steps of a relaxation from it, beside those from zero, random states and from ½.

The proposer learns on random graphs that were relaxed, and is judged on graphs that it has not seen, half of them of
another size. Its own rounds each cost a gradient and are counted as steps. Every saving is a paired difference with a
95 % interval by bootstrap over the held-out graphs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import jax
import numpy as np

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import CouplingGraph
from nvp.coordinator.many import relax_many
from nvp.coordinator.proposer import ROUNDS, train_proposer
from nvp.coordinator.relax import Status
from nvp.coordinator.scenarios import random_graph

Report = Callable[[str, float, str], None]
JUDGED = RelaxConfig(mode="gradient", steps=400, gradient_tolerance=1e-5)
RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class AmortiserConfig:
    """What it learns from and what it is judged on."""

    kind: str = "convex"
    modules: int = 16
    graphs: int = 64
    held_out: int = 64
    steps: int = 300
    seed: int = 0


QUICK = AmortiserConfig(modules=8, graphs=8, held_out=8, steps=30)


def bench_amortiser(config: AmortiserConfig, on_progress: Report = lambda *_: None) -> dict[str, Any]:
    """`{results: {starts, saved}, criteria, …}`; exit code 1 where it does not save against zero and random states."""
    rng = np.random.default_rng(config.seed)
    learnt = [random_graph(config.modules, config.kind, rng) for _ in range(config.graphs)]
    began = time.perf_counter()
    trained = train_proposer(
        learnt, seed=config.seed, steps=config.steps, on_progress=lambda done: on_progress("train", done, "")
    )
    seconds = time.perf_counter() - began
    larger = config.modules * 2
    unseen = [
        random_graph(config.modules if number % 2 else larger, config.kind, rng) for number in range(config.held_out)
    ]
    starts = _starts(trained.propose, unseen, rng)
    on_progress("judge", 0.0, "relax from all starts")
    names = list(starts)
    found = relax_many(
        unseen * len(names), JUDGED, jax.random.key(config.seed), [each for name in names for each in starts[name]]
    )
    rows = {name: found[at * len(unseen) : (at + 1) * len(unseen)] for at, name in enumerate(names)}
    on_progress("judge", 1.0, "")
    steps = {name: np.array([float(each.steps) for each in row]) for name, row in rows.items()}
    steps["proposed"] += ROUNDS
    energies = {name: np.array([float(each.energy) for each in row]) for name, row in rows.items()}
    saved = {
        name: {
            "steps": _interval(steps[name] - steps["proposed"], config.seed),
            "energy": _interval(energies[name] - energies["proposed"], config.seed),
        }
        for name in names
        if name != "proposed"
    }
    criteria = {name: saved[name]["steps"]["ci95"][0] > 0 for name in ("zero", "random")}
    return {
        "seed": config.seed,
        "n": config.held_out,
        "libraries": {name: version(name) for name in ("jaxlib", "optax")},
        "kind": config.kind,
        "modules": {"learnt": config.modules, "held_out": [config.modules, larger]},
        "graphs": config.graphs,
        "training": {"seconds": round(seconds, 1), "loss": [trained.losses[0], trained.losses[-1]]},
        "results": {
            "starts": {
                name: {
                    "steps": {"mean": float(steps[name].mean()), "median": float(np.median(steps[name]))},
                    "initial_energy": float(np.mean([each.initial_energy for each in rows[name]])),
                    "energy": float(energies[name].mean()),
                    "converged": float(np.mean([each.status == Status.CONVERGED for each in rows[name]])),
                }
                for name in names
            },
            "saved": saved,
        },
        "rounds": ROUNDS,
        "criteria": criteria,
        "passed": all(criteria.values()),
    }


def _starts(
    propose: Callable[[CouplingGraph], tuple[np.ndarray, np.ndarray]],
    graphs: list[CouplingGraph],
    rng: np.random.Generator,
) -> dict[str, list[np.ndarray]]:
    sizes = [len(graph.modules) for graph in graphs]
    return {
        "proposed": [propose(graph)[0] for graph in graphs],
        "zero": [np.zeros(size) for size in sizes],
        "random": [rng.random(size) for size in sizes],
        "middle": [np.full(size, 0.5) for size in sizes],
    }


def _interval(differences: np.ndarray, seed: int) -> dict[str, Any]:
    """Mean of paired differences with its 95 % interval."""
    rng = np.random.default_rng(seed)
    means = rng.choice(differences, (RESAMPLES, len(differences))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return {"mean": float(differences.mean()), "n": len(differences), "ci95": [float(low), float(high)]}
