"""Adapters of weights side by side, compared by the one thing that they cannot bend: F with all weights 1.

Each trial has a random start and random configured weights, the same for every arm: weights that stay (`fixed`), each
adapter, weights of 1 (which relaxes the measure itself), and weights learnt by implicit gradients of it. What is
reported is F of the last η under weights of 1; beside it, to show what such comparisons are worth, how far below the
least F there is an arm seems to end under the weights that it made itself.

GSPO is also taught alone, by a stream of random norms, and its rewards are held against the closed form that it is
rewarded for (rounded to its buckets) and against chance.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nvp.coordinator.adapters.adapter import Adapter, Seen, look_at
from nvp.coordinator.adapters.closed_form import clipped_ratio, decoded
from nvp.coordinator.adapters.gspo import GspoConfig, gspo
from nvp.coordinator.adapters.registry import ADAPTERS
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import CouplingGraph
from nvp.coordinator.energy import energy, precision, weighed
from nvp.coordinator.experiments.config import AdaptersConfig
from nvp.coordinator.experiments.finding import Check, Effect, Finding, Report, exact_effect, mean_effect, verdict
from nvp.coordinator.implicit import SETTLED, free_energy, learning, weight_gradient
from nvp.coordinator.problem import Problem, build
from nvp.coordinator.relax import Relaxation, relax
from nvp.coordinator.scenarios import baseline, dense, random_graph

HYPOTHESIS = "Adapting the weights while η relaxes ends at less F (all weights 1) than the weights it was given."
CONTROLS = ("closed_form", "random_buckets")
ROUNDS, RATE = 30, 0.2
"""Of the learning by implicit gradients; a round is a whole relaxation."""
TERMS, LAST = 4, 20
"""Terms of the prompts that GSPO is taught by, and updates that a mean reward is taken over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What one way of weighing left, trial by trial."""

    # F with all weights 1, and under the arm's own last weights
    plain: np.ndarray
    own: np.ndarray
    # log₁₀ of the largest over the smallest pull w‖∇F_t‖ of the terms that pull at all
    imbalance: np.ndarray
    versions: np.ndarray
    # of the returned state, under the configured weights
    rise: float
    seconds: float


def run(config: AdaptersConfig, progress: Report) -> Finding:
    """All arms on all scenarios, and GSPO's rewards."""
    scenarios = dict(list(_scenarios(config).items())[: config.scenarios])
    arms: dict[str, list[Effect]] = {}
    gains: dict[str, list[np.ndarray]] = {}
    checks = []
    for place, (name, graph) in enumerate(scenarios.items()):

        def on_arm(share: float, said: str, place: int = place) -> None:
            progress("relax", (place + share) / len(scenarios), said)

        found, drop, error = _compare(graph, config, place, on_arm)
        least = min(float(arm.plain.min()) for arm in found.values())
        fixed = found["fixed"]
        for each, arm in found.items():
            gain = (fixed.plain - arm.plain) / np.maximum(drop - least, 1e-12)
            gains.setdefault(each, []).append(gain)
            arms[f"{name}: {each}"] = _told(each, arm, fixed, gain, least, config.seed)
        checks += _checks(name, found, error)
    progress("teach", 0.0, f"{config.trials} policies")
    arms |= taught(config)
    progress("teach", 1.0, "done")
    pooled = {name: np.mean(values, axis=0) for name, values in gains.items()}
    adapters = [pooled[name] for name in pooled if name in ADAPTERS and name not in CONTROLS]
    first = mean_effect(
        "share of the possible drop gained over fixed weights, mean of the adapters",
        np.mean(adapters, 0),
        seed=config.seed,
    )
    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=verdict(first),
        reading="Under weights of its own an arm can seem to lie below the least F there is; F itself decides.",
        effects=[
            first,
            *(
                mean_effect(f"{name}: share of the possible drop gained over fixed weights", gain, seed=config.seed)
                for name, gain in pooled.items()
                if name != "fixed"
            ),
        ],
        arms=arms,
        checks=checks,
    )


def _scenarios(config: AdaptersConfig) -> Mapping[str, CouplingGraph]:
    rng = np.random.default_rng((config.seed, 1))
    return {
        "baseline": baseline(),
        "rugged": random_graph(config.count, "rugged", rng),
        "dense": dense(config.count),
    }


def _compare(
    graph: CouplingGraph, config: AdaptersConfig, place: int, on_arm: Any
) -> tuple[dict[str, Arm], np.ndarray, float]:
    """Every arm on one graph; F of the starts, and how far the implicit gradient is from finite differences."""
    rng = np.random.default_rng((config.seed, 2, place))
    starts = rng.random((config.trials, len(graph.modules)))
    weights = np.exp(rng.uniform(-1, 1, (config.trials, len(graph.terms))) * np.log(config.spread))
    ones = np.ones_like(weights)
    adapters: dict[str, tuple[np.ndarray, Adapter | None]] = {
        "fixed": (weights, None),
        "weights of 1": (ones, None),
        # nothing here has a price that could follow
        **{name: (weights, make(graph)) for name, make in ADAPTERS.items() if name != "gate_cost"},
    }
    found = {}
    for number, (name, (given, adapter)) in enumerate(adapters.items()):
        on_arm(number / (len(adapters) + 1), name)
        found[name] = arm_of(
            graph, starts, given, adapter, steps=config.steps, seed=config.seed, repeats=config.repeats
        )
    on_arm(len(adapters) / (len(adapters) + 1), "implicit gradients")
    found["implicit"] = _learnt(graph, config, starts, weights)
    return found, plain_energies(graph, starts), _gradient_error(graph, starts[0], weights[0])


def arm_of(
    graph: CouplingGraph,
    starts: np.ndarray,
    weights: np.ndarray,
    adapter: Adapter | None,
    *,
    steps: int,
    seed: int,
    repeats: int = 0,
) -> Arm:
    """Relax every trial from its start and weights, and once more for each repeat that is timed."""
    settings = RelaxConfig(mode="gradient", steps=steps, record_states=True)
    key = jax.random.key(seed)

    def once() -> Relaxation:
        return relax(graph, settings, key, eta0=starts, weights=weights, adapter=adapter)

    found = once()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - began)
    rows = np.arange(len(starts))
    eta = np.asarray(found.trail.states)[rows, found.steps]
    last = weights if adapter is None else np.asarray(found.trail.weights)[rows, found.steps]
    return Arm(
        **_measured(graph, eta, last),
        versions=np.asarray(found.trail.version)[rows, found.steps] + 1.0,
        rise=float((found.energy - found.initial_energy).max()),
        seconds=float(np.median(seconds)) if seconds else float("nan"),
    )


def _learnt(graph: CouplingGraph, config: AdaptersConfig, starts: np.ndarray, weights: np.ndarray) -> Arm:
    """Each trial learns weights of its own."""
    key = jax.random.key(config.seed)

    @precision
    def once() -> Any:
        problem = jax.tree.map(jnp.asarray, build(graph))
        padded = np.pad(starts, ((0, 0), (0, problem.size - starts.shape[1])))
        return jax.device_get(_learn_each(problem, jnp.asarray(padded), jnp.asarray(weights), key))

    found = once()
    began = time.perf_counter()
    once()
    seconds = time.perf_counter() - began
    eta = found.eta[:, 0, : starts.shape[1]]
    return Arm(
        **_measured(graph, eta, found.weights), versions=np.full(len(eta), ROUNDS + 1.0), rise=-np.inf, seconds=seconds
    )


@jax.jit
def _learn_each(problem: Problem, starts: jax.Array, weights: jax.Array, key: jax.Array) -> Any:
    one = jax.tree.map(lambda leaf: leaf[None], problem)

    def each(start: jax.Array, given: jax.Array) -> Any:
        return learning(one, start[None], start[None], given, key, outer=free_energy, rounds=ROUNDS, rate=RATE)

    return jax.vmap(each)(starts, weights)


@precision
def _measured(graph: CouplingGraph, eta: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """F with all weights 1, F under `weights`, and how unequal the pulls are."""
    problem = jax.tree.map(jnp.asarray, build(graph))
    states = jnp.asarray(np.pad(eta, ((0, 0), (0, problem.size - eta.shape[1]))))
    plain, own, pulls = jax.device_get(_measure(problem, states, jnp.asarray(weights)))
    pulling = pulls > 1e-9
    highest = np.where(pulling, pulls, 1e-9).max(axis=1)
    lowest = np.where(pulling, pulls, np.inf).min(axis=1)
    ratio = np.where(pulling.any(axis=1), highest / lowest, 1.0)
    return {"plain": plain, "own": own, "imbalance": np.log10(ratio)}


@jax.jit
@partial(jax.vmap, in_axes=(None, 0, 0))
def _measure(problem: Problem, eta: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    plain = energy(weighed(problem, jnp.ones_like(weights)), eta)
    own = energy(weighed(problem, weights), eta)
    return plain, own, weights * look_at(problem, eta, plain).norms


def plain_energies(graph: CouplingGraph, eta: np.ndarray) -> np.ndarray:
    """F with all weights 1."""
    return _measured(graph, eta, np.ones((len(eta), len(graph.terms))))["plain"]


def _gradient_error(graph: CouplingGraph, start: np.ndarray, weights: np.ndarray) -> float:
    """Of dF/dw by the implicit function theorem against central differences, relative to the largest of them."""
    key, step = jax.random.key(0), 1e-3
    settled = relax(graph, SETTLED, key, eta0=start, weights=weights)
    shifts = step * np.eye(len(weights))
    moved = np.concatenate([weights + shifts, weights - shifts])
    again = relax(graph, SETTLED, key, eta0=np.tile(settled.eta, (len(moved), 1)), weights=moved)
    up, down = np.split(plain_energies(graph, again.eta), 2)
    numeric = (up - down) / (2 * step)
    return float(np.abs(_implicit(graph, settled.eta, weights) - numeric).max() / max(np.abs(numeric).max(), 1e-12))


@precision
def _implicit(graph: CouplingGraph, eta: np.ndarray, weights: np.ndarray) -> np.ndarray:
    problem = jax.tree.map(jnp.asarray, build(graph))
    state = jnp.asarray(np.pad(eta, (0, problem.size - len(eta))))
    given = jnp.asarray(weights)
    slope = jax.grad(energy, argnums=1)(weighed(problem, jnp.ones_like(given)), state)
    return np.asarray(jax.jit(weight_gradient)(problem, given, state, slope).slope)


def taught(config: AdaptersConfig) -> dict[str, list[Effect]]:
    """Rewards of GSPO by a stream of prompts, of the bucket nearest to the closed form, and of a random one."""
    settings = GspoConfig()
    norms = np.random.default_rng((config.seed, 3)).uniform(-1, 1, (config.trials, config.updates, TERMS))
    norms = (10.0**norms).astype(np.float32)
    keys = jax.random.split(jax.random.key(config.seed), (config.trials, config.updates))
    began = time.perf_counter()
    rewards = np.asarray(_teach(jnp.asarray(norms), keys))
    seconds = time.perf_counter() - began
    limits = {"floor": settings.floor, "ceiling": settings.ceiling}
    wanted = np.asarray(clipped_ratio(jnp.asarray(norms), target=settings.target, **limits))[:, -LAST:]
    tokens = jnp.arange(settings.buckets, dtype=jnp.int32)
    buckets = np.asarray(decoded(tokens, buckets=settings.buckets, **limits))
    away = np.abs(wanted[..., None] - buckets)
    means = {
        f"gspo, first {LAST} updates": rewards[:, :LAST],
        f"gspo, last {LAST} of {config.updates} updates": rewards[:, -LAST:],
        "the closed form's bucket": -away.min(axis=-1),
        "a random bucket": -away.mean(axis=-1),
    }
    told = {
        f"taught: {name}": [
            mean_effect("reward −mean |w − ŵ|", values.reshape(len(values), -1).mean(1), seed=config.seed)
        ]
        for name, values in means.items()
    }
    told[f"taught: gspo, last {LAST} of {config.updates} updates"].append(
        exact_effect("seconds, compilation included", seconds, n=config.trials)
    )
    return told


@jax.jit
@jax.vmap
def _teach(norms: jax.Array, keys: jax.Array) -> jax.Array:
    """The mean reward of each update; every policy begins with the same parameters and draws responses of its own."""
    adapter = gspo()

    def look(norms: jax.Array) -> Seen:
        return Seen(jnp.zeros_like(norms), norms, jnp.zeros((), norms.dtype))

    def turn(memory: Any, seen: tuple[jax.Array, jax.Array]) -> tuple[Any, jax.Array]:
        _, memory = adapter.update(look(seen[0]), memory, jnp.ones_like(seen[0]), seen[1])
        return memory, memory.reward

    start = adapter.init(build(baseline()), look(norms[0]))  # it needs nothing of the graph
    return jax.lax.scan(turn, start, (norms, keys))[1]


def _told(name: str, arm: Arm, fixed: Arm, gain: np.ndarray, least: float, seed: int) -> list[Effect]:
    own = "F under its own last weights, above the least F known (below 0: an artefact)"
    told = [
        mean_effect("F with all weights 1, above the least known", arm.plain - least, seed=seed),
        mean_effect(own, arm.own - least, seed=seed),
        mean_effect("log10 of the largest over the smallest pull", arm.imbalance, seed=seed),
        mean_effect("objectives", arm.versions, seed=seed),
        exact_effect("seconds over those of fixed weights", arm.seconds / fixed.seconds),
    ]
    if name != "fixed":
        told.insert(1, mean_effect("share of the possible drop gained over fixed weights", gain, seed=seed))
    return told


def _checks(name: str, found: Mapping[str, Arm], error: float) -> list[Check]:
    rise = max(arm.rise for arm in found.values())
    return [
        Check(
            name=f"{name}: rise of F (configured weights) from start to returned state",
            value=rise,
            bound="<= 1e-12",
            met=rise <= 1e-12,
        ),
        Check(
            name=f"{name}: relative error of the implicit gradient",
            value=error,
            bound="<= 1e-3",
            met=error <= 1e-3,
        ),
    ]
