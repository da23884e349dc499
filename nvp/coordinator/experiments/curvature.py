"""How much room a bound on the curvature leaves unused, and whether one state would do to read it off.

A fixed step α contracts where αL < 2. The guard takes L from Gershgorin's rows with every hinge active and every well
at its steepest, so that L ≥ max |λ(∇²F(η))| all over the box; the quotient of the two is how long such a step is beside
the longest that the states allow, and L − max |λ| its slack. The rows of |∇²F| in a single state, the usual shortcut,
bound that state alone: where a hinge that was idle there is active, or a well steeper, they are passed.

Gershgorin, "Über die Abgrenzung der Eigenwerte einer Matrix", Izv. Akad. Nauk SSSR (1931).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nvp.coordinator import bounds
from nvp.coordinator.batch import stack
from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.energy import energy, precision, weighed
from nvp.coordinator.experiments.config import CurvatureConfig
from nvp.coordinator.experiments.finding import (
    Check,
    Effect,
    Finding,
    Report,
    exact_effect,
    mean_effect,
    share_effect,
    verdict,
)
from nvp.coordinator.problem import Problem, build
from nvp.coordinator.scenarios import KINDS, random_graph

HYPOTHESIS = "A bound that holds all over the box leaves fixed steps at least half as long as the states would allow."
ROUND_OFF = 1e-12
IDLE = CouplingGraph(
    modules=[Module("compression")] * 2,
    couplings=[Coupling("directed_hinge", 0, 1, {"weight": 50.0})],
)
"""A stiff hinge, idle while η₀ ≥ η₁."""
IDLE_STATES = ((0.9, 0.1), (0.1, 0.9))


class Curved(NamedTuple):
    """What some graphs have."""

    # max |λ(∇²F)|, and the largest of Gershgorin's rows, in each state
    largest: Float[np.ndarray, "g s"]
    rows: Float[np.ndarray, "g s"]
    # L of each graph's box
    bound: Float[np.ndarray, "g"]


def run(config: CurvatureConfig, progress: Report) -> Finding:
    """Random graphs of both kinds, each in states of its own."""
    measured = {}
    for number, kind in enumerate(KINDS):
        rng = np.random.default_rng((config.seed, number))
        graphs = [random_graph(config.count, kind, rng) for _ in range(config.trials)]
        # faces and corners of the box among them
        states = np.clip(rng.uniform(-0.3, 1.3, (config.trials, config.states, config.count)), 0, 1)
        measured[kind] = curvatures(graphs, states)
        progress("curvature", (number + 1) / len(KINDS), f"{config.trials} {kind} graphs")
    return found_of(config, measured, curvatures([IDLE], np.array([IDLE_STATES])))


def found_of(config: CurvatureConfig, measured: Mapping[str, Curved], idle: Curved) -> Finding:
    """What was measured of each kind of graph, and of the idle hinge, says."""
    seed = config.seed
    tight = {kind: each.largest.max(axis=1) / each.bound for kind, each in measured.items()}
    passed = {kind: each.largest.max(axis=1) > each.rows[:, 0] * (1 + ROUND_OFF) for kind, each in measured.items()}
    every = mean_effect("largest curvature in any state / L", np.concatenate(list(tight.values())), seed=seed)
    worst = max(float(each.max()) for each in [*tight.values(), idle.largest.max(axis=1) / idle.bound])

    def arm(kind: str) -> list[Effect]:
        found, _, bound = measured[kind]
        return [
            mean_effect("largest curvature in any state / L", tight[kind], seed=seed),
            mean_effect("slack: L − largest curvature", bound - found.max(axis=1), seed=seed),
            mean_effect("step 2/L", 2 / bound, seed=seed),
            share_effect("graphs that pass what is read off one state", passed[kind]),
        ]

    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=verdict(every, over=0.5),
        reading="The bound of the box costs some length; one that is read off a single state is passed in others.",
        effects=[
            every,
            share_effect("graphs that pass what is read off one state", np.concatenate(list(passed.values()))),
        ],
        arms={
            **{kind: arm(kind) for kind in measured},
            "a stiff hinge, idle in the first state": [
                exact_effect("read off the first state", float(idle.rows[0, 0])),
                exact_effect("largest curvature once it is active", float(idle.largest.max())),
                exact_effect("L", float(idle.bound[0])),
            ],
        },
        checks=[
            Check(
                name=f"largest curvature / L in {sum(each.largest.size for each in measured.values())} states",
                value=worst,
                bound="at most 1",
                met=worst <= 1 + ROUND_OFF,
            )
        ],
    )


@precision
def curvatures(graphs: Sequence[CouplingGraph], states: Float[np.ndarray, "g s n"]) -> Curved:
    """How curved F is in states of each graph, and how curved it is at most."""
    problems = stack([build(graph) for graph in graphs])
    size = problems.mask.shape[-1]
    padded = np.pad(states, [(0, 0), (0, 0), (0, size - states.shape[-1])])
    return Curved(*jax.device_get(_of_graphs(problems, jnp.asarray(padded))))


@jax.jit
def _of_graphs(
    problems: Problem, states: Float[Array, "g s n"]
) -> tuple[Float[Array, "g s"], Float[Array, "g s"], Float[Array, "g"]]:
    def of_graph(
        each: tuple[Problem, Float[Array, "s n"]],
    ) -> tuple[Float[Array, "s"], Float[Array, "s"], Float[Array, ""]]:
        problem = weighed(each[0], each[0].weights)
        bent = jax.vmap(lambda eta: jax.hessian(energy, argnums=1)(problem, eta))(each[1])
        return (
            jnp.abs(jnp.linalg.eigvalsh(bent)).max(axis=-1),
            jnp.abs(bent).sum(axis=-1).max(axis=-1),
            bounds.lipschitz(problem),
        )

    found: tuple[Array, Array, Array] = jax.lax.map(of_graph, (problems, states))
    return found
