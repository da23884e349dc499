"""Random graphs, relaxed by every solver: does the energy ever rise, is what is returned ever worse than the start?

The judge is not the driver: both ends of each step are evaluated anew, under the objective that the step was judged by
(its share of the couplings, its weights), and the start and the returned state are compared by the plain loop of
`reference`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nvp.coordinator.batch import split, stack
from nvp.coordinator.config import MODES, RelaxConfig
from nvp.coordinator.descent import Status, descend
from nvp.coordinator.energy import energy, precision, scaled_couplings, weighed
from nvp.coordinator.problem import Problem, build
from nvp.coordinator.reference import reference_energy
from nvp.coordinator.relax import layout
from nvp.coordinator.scenarios import random_graph
from nvp.coordinator.trail import Trail

COUNT = 8
"""Modules of each graph."""
STEPS = 30
TOLERANCE = 1e-10

# settings that have let an energy rise elsewhere: steps far too long and without guard, noise, couplings turned up
VARIANTS: dict[str, dict[str, Any]] = {
    **{mode: {"mode": mode} for mode in MODES},
    "gradient, long fixed step": {
        "mode": "gradient",
        "line_search": False,
        "stability_guard": False,
        "step_size": 1.0,
    },
    "gradient, noise": {"mode": "gradient", "noise": 0.3, "noise_control": True},
    "gradient, homotopy": {"mode": "gradient", "homotopy_steps": 10},
    "gradient, stochastic": {"mode": "gradient", "noise": 0.3, "stochastic": True},
    "gradient, capped": {"mode": "gradient", "coupling_cap": 4.0},
    "gradient, balanced": {
        "mode": "gradient",
        "auto_balance": True,
        "term_norm_target": 0.2,
        "max_term_norm_ratio": 1.5,
    },
    "gradient, preconditioned": {"mode": "gradient", "precondition": True, "temperature": 0.02},
}


def fuzz(
    runs: int, modes: Sequence[str], seed: int, *, on_progress: Callable[[str, float, str], None] = lambda *_: None
) -> dict[str, Any]:
    """`{runs, rises, worse_than_start, by_mode}`; each variant of the modes gets its share of the runs."""
    chosen = {name: settings for name, settings in VARIANTS.items() if settings["mode"] in modes}
    shares = [len(part) for part in np.array_split(np.arange(runs), len(chosen))]
    rng = np.random.default_rng(seed)
    by_mode = {}
    for number, ((name, settings), share) in enumerate(zip(chosen.items(), shares, strict=True)):
        if share:
            config = RelaxConfig(**settings, steps=STEPS, record_states=True)
            by_mode[name] = _relax_all(config, share, rng)
        on_progress("relax", (number + 1) / len(chosen), name)
    totals = {key: sum(row[key] for row in by_mode.values()) for key in ("runs", "rises", "worse_than_start")}
    return {**totals, "by_mode": by_mode}


@precision
def _relax_all(config: RelaxConfig, runs: int, rng: np.random.Generator) -> dict[str, Any]:
    """Relax `runs` random graphs at once from random states, corners of the box among them."""
    kinds = ("convex", "rugged")
    graphs = [random_graph(COUNT, kinds[number % 2], rng, per_module=3) for number in range(runs)]
    problems = stack([build(graph) for graph in graphs])
    tables = [layout(problem, config) for problem in split(problems, runs)]
    empty = problems.pairs.i.shape[-1]
    starts = np.clip(rng.uniform(-0.3, 1.3, (runs, COUNT)), 0, 1)
    keys = jax.random.split(jax.random.key(int(rng.integers(2**31))), runs)
    state, rises = jax.device_get(
        _descend_all(problems, stack(tables, empty=empty), jnp.asarray(starts), problems.weights, keys, config=config)
    )
    taken = np.arange(1, STEPS + 1) <= state.step[:, None]
    rise = np.where(taken & (not config.stochastic), rises, -np.inf)
    before = np.array([reference_energy(*pair)[0] for pair in zip(graphs, starts, strict=True)])
    after = np.array([reference_energy(*pair)[0] for pair in zip(graphs, state.best_eta, strict=True)])
    inside = (state.best_eta >= 0) & (state.best_eta <= 1) & np.isfinite(state.best_eta)
    return {
        "runs": runs,
        "rises": int((rise > TOLERANCE).any(axis=1).sum()),
        "worse_than_start": int((~(after <= before + TOLERANCE) | ~inside.all(axis=1)).sum()),
        "status": {each.name.lower(): int((state.status == each).sum()) for each in Status if each},
    }


@partial(jax.jit, static_argnames=("config",))
def _descend_all(problems, tables, starts, weights, keys, *, config):  # type: ignore[no-untyped-def]
    """End states, and what each step along the trails raises its own objective by."""
    state, _ = jax.vmap(partial(descend, config=config))(problems, tables, starts, weights, keys)

    def along(problem: Problem, weights: Array, trail: Trail) -> Array:
        def rise(step: tuple[Array, Array, Array, Array]) -> Array:
            before, after, scale, given = step
            own = scaled_couplings(weighed(problem, given), scale)
            return energy(own, after) - energy(own, before)

        given = trail.weights[1:] if trail.weights.size else jnp.broadcast_to(weights, (STEPS, len(weights)))
        rises: Array = jax.lax.map(rise, (trail.states[:-1], trail.states[1:], trail.scale[1:], given))
        return rises

    return state, jax.vmap(along)(problems, weights, state.trail)
