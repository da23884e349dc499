"""Noise along the level set, in all directions, and Langevin moves: which leaves shallow minima at equal evaluations?

Each trial is a rugged graph and a start of its own. All arms evaluate F and ∇F equally often and hand back the least
state that they saw, which is then relaxed alike; beside them, descent without noise, which stays in the minimum that it
is led into. A step of the first three is η ← P(η − ∇F/L + z), z of length σ·decay^t among the free coordinates: none,
tangent to the level set, or isotropic. Langevin moves (MALA) are made on logits ζ, η = σ(ζ), where the density
e^(−F/T) over the box becomes e^(−U), U = F/T − Σ ln η(1 − η), and accepted by Metropolis' rule.

Roberts & Tweedie, "Exponential convergence of Langevin distributions and their discrete approximations", Bernoulli 2
(1996).
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nvp.coordinator import bounds
from nvp.coordinator.batch import stack
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.energy import energy, precision, value_and_grad, weighed
from nvp.coordinator.experiments.config import EscapeConfig
from nvp.coordinator.experiments.finding import Check, Finding, Report, mean_effect, share_effect, verdict
from nvp.coordinator.many import relax_many
from nvp.coordinator.noise import free_coordinates, tangent_noise
from nvp.coordinator.problem import Problem, build
from nvp.coordinator.reference import reference_energy
from nvp.coordinator.scenarios import random_graph
from nvp.coordinator.solvers.mirror import logit
from nvp.coordinator.solvers.step import Point, box

HYPOTHESIS = "Noise along the level set ends at less F than noise of the same length in all directions."
ARMS = ("no noise", "tangent", "isotropic", "MALA")
DECAY = 0.99
"""Of the length of the noise, per step."""
LOWER = 1e-6
"""F lower by less counts as the same minimum."""
INSIDE = 1e-6
"""Starts are kept so far from the bounds, where logits are infinite."""


def run(config: EscapeConfig, progress: Report) -> Finding:
    """Every graph under every arm, and from where each left it to the minimum there."""
    rngs = [np.random.default_rng((config.seed, trial)) for trial in range(config.trials)]
    graphs = [random_graph(config.count, "rugged", rng) for rng in rngs]
    starts = np.array([rng.uniform(INSIDE, 1 - INSIDE, config.count) for rng in rngs])
    progress("wander", 0.0, f"{len(ARMS)} ways of {config.trials} graphs")
    least = _wander_all(stack([build(graph) for graph in graphs]), starts, config)
    progress("relax", 0.5, f"{len(ARMS) * config.trials} states at once")
    ends = [eta[: config.count] for arm in ARMS for eta in least[arm]]
    found = relax_many(graphs * len(ARMS), RelaxConfig(steps=100), jax.random.key(config.seed), ends)
    progress("relax", 1.0, "done")
    reached = dict(zip(ARMS, np.array([float(each.energy) for each in found]).reshape(len(ARMS), -1), strict=True))
    first = np.array([reference_energy(graph, start)[0] for graph, start in zip(graphs, starts, strict=True)])
    still, tangent, seed = reached["no noise"], reached["tangent"], config.seed
    beyond = mean_effect("F: isotropic − tangent", reached["isotropic"] - tangent, seed=seed)
    rise = float(max((each - first).max() for each in reached.values()))
    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=verdict(beyond),
        reading="What noise is worth is said by descent without it, what this noise is worth by the other kinds.",
        effects=[
            beyond,
            mean_effect("F: MALA − tangent", reached["MALA"] - tangent, seed=seed),
            mean_effect("F: no noise − tangent", still - tangent, seed=seed),
        ],
        arms={
            name: [
                mean_effect("F", each, seed=seed),
                share_effect("end lower than without noise", each < still - LOWER),
                share_effect("end higher than without noise", each > still + LOWER),
            ]
            for name, each in reached.items()
        },
        checks=[Check(name="largest rise of F", value=rise, bound="<= 1e-12", met=rise <= 1e-12)],
    )


@precision
def _wander_all(problems: Problem, starts: np.ndarray, config: EscapeConfig) -> dict[str, np.ndarray]:
    """The least state that each arm saw of each graph."""
    padded = np.pad(starts, ((0, 0), (0, problems.mask.shape[1] - starts.shape[1])), constant_values=0.5)
    keys = jax.random.split(jax.random.key(config.seed), len(starts))
    found: dict[str, np.ndarray] = jax.device_get(_wander(problems, jnp.asarray(padded), keys, config=config))
    return found


@partial(jax.jit, static_argnames=("config",))
def _wander(problems, starts, keys, *, config):  # type: ignore[no-untyped-def]
    def of_graph(problem: Problem, start: Array, key: Array) -> dict[str, Array]:
        problem = weighed(problem, problem.weights)
        steps = jax.random.split(key, config.steps)
        noisy = {name: noisy_descent(problem, start, steps, name, config.noise) for name in ARMS[:3]}
        return {**noisy, "MALA": langevin(problem, start, steps, config.temperature, config.langevin_step)}

    return jax.vmap(of_graph)(problems, starts, keys)


def noisy_descent(problem: Problem, start: Array, keys: Array, kind: str, noise: float) -> Array:
    """The least state of descent by ∇F/L with noise of a kind."""
    rate = 1 / bounds.lipschitz(problem)

    def turn(state: tuple[Array, Array, Array, Array], key: Array) -> tuple[tuple[Array, Array, Array, Array], None]:
        eta, best, least, length = state
        point = Point(eta, *value_and_grad(problem, eta))
        lower = point.energy < least
        best, least = jnp.where(lower, eta, best), jnp.where(lower, point.energy, least)
        free = free_coordinates(point, problem.mask)
        if kind == "tangent":
            z = tangent_noise(key, point, problem.mask, length)
        else:
            drawn = free * jax.random.normal(key, eta.shape, eta.dtype)
            z = length * drawn / jnp.maximum(jnp.sqrt(drawn @ drawn), 1e-9)
        moved = eta - rate * point.gradient + (z if kind != "no noise" else 0.0)
        return (box(moved), best, least, DECAY * length), None

    begin = start, start, jnp.asarray(jnp.inf, start.dtype), jnp.asarray(noise, start.dtype)
    return jax.lax.scan(turn, begin, keys)[0][1]


Walk = tuple[Array, Array, Array, Array, Array]
"""Logits, U and ∇U there, the logits of the least F so far, and that F."""


def langevin(problem: Problem, start: Array, keys: Array, temperature: float, step: float) -> Array:
    """The least state of a Metropolis-adjusted Langevin walk on logits at a temperature."""

    def potential(zeta: Array) -> tuple[Array, Array]:
        eta = jnp.where(problem.mask > 0, jax.nn.sigmoid(zeta), start)
        cost = energy(problem, eta)
        volume = problem.mask * (jax.nn.log_sigmoid(zeta) + jax.nn.log_sigmoid(-zeta))
        return cost / temperature - volume.sum(), cost

    evaluated = jax.value_and_grad(potential, has_aux=True)

    def odds(to: Array, since: Array, slope: Array) -> Array:
        """ln q(to | since), up to a constant."""
        away = to - since + step * slope
        return -(away @ away) / (4 * step)

    def turn(state: Walk, key: Array) -> tuple[Walk, None]:
        zeta, value, slope, best, least = state
        for_move, for_rule = jax.random.split(key)
        drawn = problem.mask * jax.random.normal(for_move, zeta.shape, zeta.dtype)
        moved = zeta - step * slope + jnp.sqrt(2 * step) * drawn
        (there, cost), rise = evaluated(moved)
        log_ratio = value - there + odds(zeta, moved, rise) - odds(moved, zeta, slope)
        taken = jnp.log(jax.random.uniform(for_rule, (), zeta.dtype)) < log_ratio
        lower = cost < least
        best, least = jnp.where(lower, moved, best), jnp.where(lower, cost, least)
        here = jax.tree.map(lambda a, b: jnp.where(taken, a, b), (moved, there, rise), (zeta, value, slope))
        return (*here, best, least), None

    zeta = logit(start)
    (value, cost), slope = evaluated(zeta)
    begin: Walk = zeta, value, slope, zeta, cost
    # the start is the first evaluation, as of the others
    best = jax.lax.scan(turn, begin, keys[1:])[0][3]
    return jnp.where(problem.mask > 0, jax.nn.sigmoid(best), 0.0)
