"""`relax(graph, config, key)`: one front over all solvers, and the guard that they share.

A solver proposes, the driver decides: a proposal is taken only where it is finite, inside the box and not above the
energy it started from; otherwise the state stays as it was and the next step is half as long. So F never rises along
the trail of one objective, and F(returned) ≤ F(start), whichever solver proposes what. While a homotopy turns the
couplings up, or an adapter changes the weights, each step is judged by its own objective, and what is returned is the
best state under the full one, whose weights are those of the graph.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nvp.coordinator import bounds, noise
from nvp.coordinator.adapters.adapter import Adapter, look_at
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import CouplingGraph
from nvp.coordinator.energy import energy, precision, scaled_couplings, value_and_grad, weighed
from nvp.coordinator.layout import Layout, edge_colours, incidence
from nvp.coordinator.problem import Problem, build
from nvp.coordinator.solvers import adaptive, admm, coordinate, gradient, lbfgs, mirror, newton, splitting
from nvp.coordinator.solvers.step import Point, Proposal, Setting, Solver, box, projected_gradient
from nvp.coordinator.trail import Trail, begin, record
from nvp.errors import FieldError

SOLVERS: dict[str, Solver] = {
    "gradient": gradient.SOLVER,
    "coordinate": coordinate.SOLVER,
    "adaptive": adaptive.SOLVER,
    "splitting": splitting.SOLVER,
    "admm": admm.SOLVER,
    "newton": newton.SOLVER,
    "lbfgs": lbfgs.SOLVER,
    "mirror": mirror.SOLVER,
}
ROUND_OFF = 1e-13
"""A proposal that promises less than this, relative to 1 + |F|, is as good as none."""


class Status(IntEnum):
    """How a relaxation ended."""

    RUNNING = 0
    CONVERGED = 1
    MAX_STEPS = 2
    REJECTED = 3
    LINE_SEARCH_FAILED = 4
    NONFINITE = 5


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


class _State(NamedTuple):
    step: Array
    accepted: Array
    point: Point
    carry: Any
    rate: Array
    rejected: Array
    status: Array
    key: Array
    score: Array
    best_eta: Array
    best_energy: Array
    # of the objective of the next step, the adapter's memory, and how many objectives there were before
    weights: Array
    memory: Any
    version: Array
    trail: Trail


def relax(
    graph: CouplingGraph,
    config: RelaxConfig,
    key: Array,
    *,
    eta0: Any = None,
    weights: Any = None,
    adapter: Adapter | None = None,
) -> Relaxation:
    """Relax a graph from `eta0`, (n,) or a batch (b, n); by default from the middle of the box.

    `weights` (b, terms) gives each member of a batch weights of its own, in the order of `graph.terms`. A batch is
    relaxed as one array program, and divided over the devices there are if its size allows. An `adapter` gives the
    terms new weights after each step, beginning with these.
    """
    problem = build(graph)
    padded = padded_start(graph, np.full(len(graph.modules), 0.5) if eta0 is None else eta0, problem.size)
    given = np.asarray(problem.weights if weights is None else weights, np.float64)
    require_guard(problem, config)
    tables = layout(problem, config)
    found = run(problem, config, key, padded, given, layout=tables, adapter=adapter)
    return cut(found, len(graph.modules))


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


def descend(
    problem: Problem,
    layout: Layout | None,
    eta0: Array,
    weights: Array,
    key: Array,
    *,
    config: RelaxConfig,
    adapter: Adapter | None = None,
) -> tuple[_State, Array]:
    """The loop. Everything in it is an array program: it may be compiled, batched and divided over devices."""
    solver = SOLVERS[config.mode]
    plain, problem = replace(problem, weights=weights), weighed(problem, weights)
    full = Setting(problem, layout, bounds.lipschitz(problem), config)
    ramped = config.homotopy_steps > 0
    # where F may rise from step to step, the best state under the full objective is kept apart
    wanders = ramped or config.stochastic or adapter is not None

    def setting_of(step: Array, weights: Array) -> tuple[Setting, Array]:
        setting = full
        if adapter is not None:
            given = weighed(plain, weights)
            setting = full._replace(problem=given, lipschitz=bounds.lipschitz(given))
        if not ramped:
            return setting, jnp.ones((), eta0.dtype)
        done = jnp.minimum(1.0, step.astype(eta0.dtype) / config.homotopy_steps)
        scale = config.homotopy_start + (1 - config.homotopy_start) * done
        return setting._replace(problem=scaled_couplings(setting.problem, scale)), scale

    def body(state: _State) -> _State:
        setting, scale = setting_of(state.step, state.weights)
        point = state.point
        if ramped or adapter is not None:
            point = Point(point.eta, *value_and_grad(setting.problem, point.eta))
        proposal = solver.propose(setting, point, state.carry, state.rate)
        key, noise_key = jax.random.split(state.key)
        eta, length = proposal.eta, jnp.zeros_like(point.energy)
        if config.noise > 0:
            eta, length = _with_noise(setting, point, proposal, noise_key, state)
        new = Point(eta, *value_and_grad(setting.problem, eta))
        finite = jnp.isfinite(new.energy) & jnp.isfinite(new.gradient).all()
        inside = (eta >= 0).all() & (eta <= 1).all()
        falls = (new.energy <= point.energy) | config.stochastic
        moved = (eta != point.eta).any()
        ok = finite & inside & falls & moved & ~proposal.failed
        score = state.score
        if config.noise > 0 and config.noise_control:
            seen = noise.signals(
                setting, point, new, step=proposal.step, backtracks=proposal.backtracks.astype(eta.dtype)
            )
            score = jnp.where(ok, seen.score(), score)
        at = jax.tree.map(lambda a, b: jnp.where(ok, a, b), new, point)
        keep = ok | solver.persistent
        carry = jax.tree.map(lambda a, b: jnp.where(keep, a, b), proposal.carry, state.carry)
        rejected = jnp.where(ok, 0, state.rejected + 1)
        rate = state.rate if solver.persistent else jnp.where(ok, state.rate, state.rate / 2)
        best_eta, best_energy = at.eta, at.energy
        true_energy = at.energy
        if wanders:
            true_energy = energy(problem, at.eta)
            better = true_energy < state.best_energy
            best_eta = jnp.where(better, at.eta, state.best_eta)
            best_energy = jnp.where(better, true_energy, state.best_energy)
        step, after, memory = state.step + 1, state.weights, state.memory
        if adapter is not None:
            key, adapter_key = jax.random.split(key)
            after, memory = adapter.update(look_at(plain, at.eta, true_energy), memory, after, adapter_key)
        changed = (after != state.weights).any()
        # what another objective refused says nothing about the next
        rejected, rate = jnp.where(changed, 0, rejected), jnp.where(changed, 1.0, rate)
        status = _status(config, solver, proposal, point, at, ok, finite, rejected, step, (scale < 1) | changed)
        trail = record(
            state.trail,
            step,
            accepted=ok,
            proposal=proposal,
            before=point,
            after=at,
            energy=true_energy,
            scale=scale,
            noise=length,
            version=state.version,
            weights=state.weights,
        )
        return _State(
            step,
            jnp.where(ok, state.accepted + 1, state.accepted),
            at,
            carry,
            rate,
            rejected,
            status,
            key,
            score,
            best_eta,
            best_energy,
            after,
            memory,
            jnp.where(changed, state.version + 1, state.version),
            trail,
        )

    point = Point(eta0, *value_and_grad(problem, eta0))
    start = setting_of(jnp.zeros((), jnp.int32), weights)[0]
    first = Point(eta0, *value_and_grad(start.problem, eta0)) if ramped else point
    zero = jnp.zeros((), jnp.int32)
    one = jnp.ones_like(point.energy)
    there = (jnp.abs(projected_gradient(point)).max() <= config.gradient_tolerance) & (not ramped and adapter is None)
    status = jnp.where(there, Status.CONVERGED, Status.RUNNING).astype(jnp.int32)
    status = jnp.where(jnp.isfinite(point.energy), status, Status.NONFINITE).astype(jnp.int32)
    state = _State(
        zero,
        zero,
        first,
        solver.init(start, first),
        one,
        zero,
        status,
        key,
        one,
        eta0,
        point.energy,
        weights,
        None if adapter is None else adapter.init(plain),
        zero,
        begin(config, point, weights, adapted=adapter is not None),
    )
    end = jax.lax.while_loop(lambda s: s.status == Status.RUNNING, body, state)
    last = Point(end.best_eta, *value_and_grad(problem, end.best_eta)) if wanders else end.point
    return end._replace(best_energy=last.energy), jnp.abs(projected_gradient(last)).max()


_relax = partial(jax.jit, static_argnames=("config", "adapter"))(descend)


def _with_noise(setting: Setting, point: Point, proposal: Proposal, key: Array, state: _State) -> tuple[Array, Array]:
    """The proposal with noise where the guard lets it pass, else without."""
    config = setting.config
    length = config.noise * config.noise_decay ** state.step.astype(point.energy.dtype)
    if config.noise_control:
        length = length * state.score
    noisy = box(proposal.eta + noise.tangent_noise(key, point, setting.problem.mask, length))
    passes = (energy(setting.problem, noisy) <= point.energy) | config.stochastic
    return jnp.where(passes, noisy, proposal.eta), jnp.where(passes, length, 0.0)


def _status(
    config: RelaxConfig,
    solver: Solver,
    proposal: Proposal,
    point: Point,
    at: Point,
    ok: Array,
    finite: Array,
    rejected: Array,
    step: Array,
    ramping: Array,
) -> Array:
    """Whether to go on, and if not, why; the last of these that holds."""
    there = jnp.abs(projected_gradient(at)).max() <= config.gradient_tolerance
    promised = point.gradient @ (point.eta - proposal.eta)
    spent = ~ok & (jnp.abs(promised) <= ROUND_OFF * (1 + jnp.abs(point.energy))) & (proposal.step > 0)
    settled = jnp.abs(projected_gradient(point)).max() <= jnp.sqrt(ROUND_OFF)
    given_up = (rejected >= config.max_rejected) & (not solver.persistent)
    status = jnp.asarray(Status.RUNNING, jnp.int32)
    for condition, which in (
        (step >= config.steps, Status.MAX_STEPS),
        (given_up, Status.REJECTED),
        (given_up & proposal.failed, Status.LINE_SEARCH_FAILED),
        ((there | proposal.done | (spent & settled)) & ~ramping, Status.CONVERGED),
        (~finite, Status.NONFINITE),
    ):
        status = jnp.where(condition, jnp.asarray(which, jnp.int32), status)
    return status


def cut(result: tuple[_State, Any], count: int) -> Relaxation:
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
    )
