"""`relax(graph, config, key)`: one front over all solvers, for one start or a batch of them, over all devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nvp.coordinator import bounds
from nvp.coordinator.adapters.adapter import Adapter
from nvp.coordinator.adapters.registry import adapter_of
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import CouplingGraph
from nvp.coordinator.descent import SOLVERS, State, Status, descend
from nvp.coordinator.energy import precision, weighed
from nvp.coordinator.homotopy import shares_of
from nvp.coordinator.layout import Layout, edge_colours, incidence
from nvp.coordinator.problem import Problem, build
from nvp.coordinator.trail import Trail
from nvp.errors import FieldError

__all__ = ["Relaxation", "State", "Status", "Trail", "descend", "relax"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """The relaxed state and how it was reached; with a batch, every entry has it as its first axis."""

    eta: np.ndarray
    energy: np.ndarray
    initial_energy: np.ndarray
    # of `Status`
    status: np.ndarray
    # steps taken, and how many of them were accepted
    steps: np.ndarray
    accepted: np.ndarray
    # largest coordinate of the projected gradient at `eta`
    residual: np.ndarray
    trail: Trail
    # what the solver says of itself: the residuals of ADMM, how often `adaptive` went to coordinates
    told: Mapping[str, np.ndarray] = field(default_factory=dict)


def relax(
    graph: CouplingGraph,
    config: RelaxConfig,
    key: Array,
    *,
    eta0: Any = None,
    weights: Any = None,
    adapter: Adapter | None = None,
    active: Any = None,
) -> Relaxation:
    """Relax a graph from `eta0`, (n,) or a batch (b, n); by default from the middle of the box.

    `weights` (b, terms) gives each member of a batch weights of its own, in the order of `graph.terms`. A batch is
    relaxed as one array program, and divided over the devices there are if its size allows. An `adapter`, by default
    the one that the configuration names, gives the terms new weights after each step, beginning with these. Only
    `active` modules, (n,) of truth values, move; by default all.
    """
    problem = prepare(graph, config, active=active)
    padded = padded_start(graph, np.full(len(graph.modules), 0.5) if eta0 is None else eta0, problem.size)
    given = np.asarray(problem.weights if weights is None else weights, np.float64)
    adapter = adapter or adapter_of(config.adapter, graph)
    found = run(problem, config, key, padded, given, layout=layout(problem, config), adapter=adapter)
    relaxation = cut(found, len(graph.modules), config)
    if config.assert_monotonic:
        require_monotonic(relaxation, config)
    return relaxation


def prepare(graph: CouplingGraph, config: RelaxConfig, *, active: Any = None) -> Problem:
    """The arrays of a graph as this configuration relaxes it; raises `FieldError` where the two do not fit."""
    problem = build(graph)
    if config.homotopy_terms:
        if unknown := sorted({name for name, _ in config.homotopy_terms} - set(graph.terms)):
            raise FieldError(
                "UNKNOWN_TERM",
                f"expected homotopy_terms out of {', '.join(graph.terms)}, got {', '.join(unknown)}.",
                next_step="Name terms of the graph.",
            )
        shares: Any = np.array(shares_of(graph.terms, config))
        problem = replace(problem, shares=shares)
    if active is not None:
        mask: Any = np.pad(np.asarray(active, np.float64), (0, problem.size - len(graph.modules)))
        problem = replace(problem, mask=mask)
    require_guard(problem, config)
    return problem


def padded_start(graph: CouplingGraph, eta0: Any, size: int) -> np.ndarray:
    """Checked starts (n,) or (b, n), padded to `size` modules."""
    count = len(graph.modules)
    start = np.asarray(eta0, np.float64)
    if start.shape[-1:] != (count,) or start.ndim not in (1, 2):
        raise FieldError(
            "BAD_STATE",
            f"expected {count} values for each start, got shape {start.shape}.",
            next_step="Give one per module.",
        )
    if not np.isfinite(start).all():
        raise FieldError("NONFINITE", "expected finite order parameters, got others.", next_step="Correct the start.")
    if start.min() < 0 or start.max() > 1:
        raise FieldError(
            "BAD_STATE",
            f"expected order parameters in [0, 1], got {start.min()} to {start.max()}.",
            next_step="Clip them.",
        )
    return np.pad(start, [(0, 0)] * (start.ndim - 1) + [(0, size - count)])


def layout(problem: Problem, config: RelaxConfig) -> Layout | None:
    """The tables that the solver needs, if it needs any."""
    wants = config.mode in ("coordinate", "adaptive"), config.mode == "splitting"
    if not any(wants):
        return None
    none: Any = np.zeros((0, 0), np.int32)
    return Layout(
        incidence(problem) if wants[0] else none,
        edge_colours(problem) if wants[1] else none,
    )


@precision
def require_guard(problem: Problem, config: RelaxConfig) -> None:
    """Refuse a fixed step where no bound on the curvature makes one safe."""
    fixed = config.mode == "gradient" and not config.line_search and config.stability_guard
    if fixed and not jnp.isfinite(_bound(problem)):
        raise FieldError(
            "GUARD_VIOLATED",
            "expected a bounded curvature for a fixed step, got a coupling whose slope jumps or is vertical.",
            next_step="Use line_search, or powers of 1 or at least 2 and redemptions without margin.",
        )


@precision
def run(
    problem: Problem,
    config: RelaxConfig,
    key: Array,
    eta0: Any,
    weights: Any,
    *,
    layout: Layout | None,
    adapter: Adapter | None = None,
) -> Any:
    """Relax arrays: a single start (n,), or a batch of starts (b, n) or weights (b, t) under `vmap`."""
    starts, weights = jnp.asarray(eta0), jnp.asarray(weights)
    if starts.ndim == weights.ndim == 1:
        return _relax(problem, layout, starts, weights, key, config=config, adapter=adapter)
    size = len(starts) if starts.ndim == 2 else len(weights)
    keys = jax.random.split(key, size)
    axes = (None, None, 0 if starts.ndim == 2 else None, 0 if weights.ndim == 2 else None, 0)
    if size % jax.device_count() == 0 and jax.device_count() > 1:
        mesh = jax.make_mesh((jax.device_count(),), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
        divided = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("batch"))  # type: ignore[no-untyped-call]
        whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())  # type: ignore[no-untyped-call]
        put = [
            jax.device_put(each, divided if axis == 0 else whole)
            for each, axis in zip((starts, weights, keys), axes[2:], strict=True)
        ]
        starts, weights, keys = put
        problem, layout = jax.device_put((problem, layout), whole)
    return _relax_batch(problem, layout, starts, weights, keys, config=config, axes=axes, adapter=adapter)


@partial(jax.jit, static_argnames=("config", "axes", "adapter"))
def _relax_batch(problem, layout, eta0, weights, keys, *, config, axes, adapter):  # type: ignore[no-untyped-def]
    one = partial(descend, config=config, adapter=adapter)
    return jax.vmap(one, in_axes=axes)(problem, layout, eta0, weights, keys)


_bound = jax.jit(lambda problem: bounds.lipschitz(weighed(problem, problem.weights)))


_relax = partial(jax.jit, static_argnames=("config", "adapter"))(descend)


def cut(result: tuple[State, Any], count: int, config: RelaxConfig) -> Relaxation:
    """The result on the host, without padding."""
    state, residual = jax.device_get(result)
    trail: Trail = state.trail
    return Relaxation(
        eta=state.best_eta[..., :count],
        energy=state.best_energy,
        initial_energy=np.asarray(trail.energy)[..., 0],
        status=state.status,
        steps=state.step,
        accepted=state.accepted,
        residual=residual,
        trail=trail._replace(states=trail.states[..., :count]),
        told={name: np.asarray(value) for name, value in SOLVERS[config.mode].told(state.carry).items()},
    )


def require_monotonic(found: Relaxation, config: RelaxConfig) -> None:
    """Raise where a refused step would have raised F by more than the tolerance: a sign of a wrong gradient."""
    rise = np.asarray(found.trail.rise)
    if not (rise > config.monotonic_tolerance).any():
        return
    step = int(np.argwhere(rise > config.monotonic_tolerance)[0][-1])
    worst = rise[..., step].max()
    raise FieldError(
        "GUARD_VIOLATED",
        f"expected F to fall at every step, got one that would have raised it by {worst:.3g} at step {step}.",
        next_step="Check the gradient, shorten the step, or leave out assert_monotonic: the step was taken back.",
    )
