"""The loop that all solvers share, and the guard in it.

A solver proposes, the driver decides: a proposal is taken only where it is finite, inside the box and not above the
energy it started from; otherwise the state stays as it was and the next step is half as long. So F never rises along
the trail of one objective, and F(returned) ≤ F(start), whichever solver proposes what. While a homotopy turns the
couplings up, a cap holds them down or an adapter changes the weights, each step is judged by its own objective, and
what is returned is the best state under the full one, whose weights are those of the graph.
"""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nvp.coordinator import bounds, noise
from nvp.coordinator.adapters.adapter import Adapter, look_at
from nvp.coordinator.adapters.balance import auto_balance
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.energy import energy, scaled_couplings, value_and_grad, weighed
from nvp.coordinator.guards import events_of, lowers_free_energy
from nvp.coordinator.homotopy import progress, share
from nvp.coordinator.layout import Layout
from nvp.coordinator.problem import Problem
from nvp.coordinator.solvers import adaptive, admm, coordinate, gradient, lbfgs, mirror, newton, splitting
from nvp.coordinator.solvers.step import Point, Proposal, Setting, Solver, box, projected_gradient
from nvp.coordinator.trail import Event, Trail, begin, record

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
    # F changed too little for too long
    STALLED = 6


class State(NamedTuple):
    """Where a relaxation is."""

    step: Array
    accepted: Array
    point: Point
    carry: Any
    rate: Array
    # refused steps in a row, those with little gain in a row, and how often the homotopy was sent back
    rejected: Array
    idle: Array
    halvings: Array
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


class Judge(NamedTuple):
    """The objective of a step: its problem and bound, the share of the couplings in it, and how far its homotopy is."""

    setting: Setting
    scale: Array
    done: Array


def descend(
    problem: Problem,
    layout: Layout | None,
    eta0: Array,
    weights: Array,
    key: Array,
    *,
    config: RelaxConfig,
    adapter: Adapter | None = None,
    state: State | None = None,
    until: Array | None = None,
) -> tuple[State, Array]:
    """The loop. Everything in it is an array program: it may be compiled, batched and divided over devices.

    It may also be left after step `until`, and gone on with from the `state` that it was left in.
    """
    solver = SOLVERS[config.mode]
    plain, problem = replace(problem, weights=weights), weighed(problem, weights)
    full = Setting(problem, layout, bounds.lipschitz(problem), config)
    adapted = adapter is not None or config.auto_balance
    # where the objective is not the full one, or F may rise from step to step, the best state is kept apart
    shifting = config.homotopy_steps > 0 or config.coupling_cap is not None or adapted
    wanders = shifting or config.stochastic

    def judge(step: Array, weights: Array, halvings: Array) -> Judge:
        done = progress(config, step, eta0)
        scale = jnp.ones_like(done)
        if not shifting:
            return Judge(full, scale, done)
        given = weighed(plain, weights * share(plain.shares, done, halvings))
        if config.coupling_cap is not None:
            scale = bounds.room(given, jnp.asarray(config.coupling_cap, eta0.dtype))
        if config.homotopy_steps:
            scale = scale * share(jnp.asarray(config.homotopy_start, eta0.dtype), done, halvings)
        given = scaled_couplings(given, scale)
        return Judge(full._replace(problem=given, lipschitz=bounds.lipschitz(given)), scale, done)

    def body(state: State) -> State:
        setting, scale, done = judge(state.step, state.weights, state.halvings)
        point = state.point
        if shifting:
            point = Point(point.eta, *value_and_grad(setting.problem, point.eta))
        proposal = solver.propose(setting, point, state.carry, state.rate)
        key, noise_key = jax.random.split(state.key)
        eta, length = proposal.eta, jnp.zeros_like(point.energy)
        if config.noise > 0:
            eta, length = _with_noise(setting, point, proposal, noise_key, state)
        new = Point(eta, *value_and_grad(setting.problem, eta))
        finite = jnp.isfinite(new.energy) & jnp.isfinite(new.gradient).all()
        inside = (eta >= 0).all() & (eta <= 1).all()
        falls = ((new.energy <= point.energy) & lowers_free_energy(setting, point, new)) | config.stochastic
        moved = (eta != point.eta).any()
        ok = finite & inside & falls & moved & ~proposal.failed
        events = events_of(setting, point, new, proposal, length, ok)
        score = state.score
        if config.noise > 0 and config.noise_control:
            signals = noise.signals(
                setting, point, new, step=proposal.step, backtracks=proposal.backtracks.astype(eta.dtype)
            )
            score = jnp.where(ok, signals.score(), score)
        at = jax.tree.map(lambda a, b: jnp.where(ok, a, b), new, point)
        keep = ok | solver.persistent
        carry = jax.tree.map(lambda a, b: jnp.where(keep, a, b), proposal.carry, state.carry)
        rejected = jnp.where(ok, 0, state.rejected + 1)
        rate = state.rate if solver.persistent else jnp.where(ok, state.rate, state.rate / 2)
        ramping, halvings = done < 1, state.halvings
        if config.homotopy_steps and config.homotopy_backoff and not solver.persistent:
            back = ~ok & ramping
            halvings = jnp.where(back, halvings + 1, halvings)
            events = events + jnp.where(back, int(Event.BACKED_OFF), 0)
        best_eta, best_energy = at.eta, at.energy
        true_energy = at.energy
        if wanders:
            true_energy = energy(problem, at.eta)
            better = true_energy < state.best_energy
            best_eta = jnp.where(better, at.eta, state.best_eta)
            best_energy = jnp.where(better, true_energy, state.best_energy)
        step, after, memory = state.step + 1, state.weights, state.memory
        if adapted:
            key, adapter_key = jax.random.split(key)
            look = look_at(plain, at.eta, true_energy)
            if adapter is not None:
                after, memory = adapter.update(look, memory, after, adapter_key)
            if config.auto_balance:
                brought = _balanced(config, look, after, adapter_key)
                events = events + jnp.where((brought != after).any(), int(Event.BALANCED), 0)
                after = brought
        reweighed = (after != state.weights).any()
        # what another objective refused says nothing about the next
        rejected, rate = jnp.where(reweighed, 0, rejected), jnp.where(reweighed, 1.0, rate)
        idle = jnp.where(jnp.abs(point.energy - at.energy) < config.stall_gain, state.idle + 1, 0)
        changes = reweighed | ramping
        status = _status(config, solver, proposal, point, at, ok, finite, rejected, idle, step, changes)
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
            rise=jnp.where(ok, 0.0, jnp.maximum(new.energy - point.energy, 0.0)),
            events=events,
        )
        return State(
            step,
            jnp.where(ok, state.accepted + 1, state.accepted),
            at,
            carry,
            rate,
            rejected,
            idle,
            halvings,
            status,
            key,
            score,
            best_eta,
            best_energy,
            after,
            memory,
            jnp.where(changes, state.version + 1, state.version),
            trail,
        )

    if state is None:
        point = Point(eta0, *value_and_grad(problem, eta0))
        zero = jnp.zeros((), jnp.int32)
        one = jnp.ones_like(point.energy)
        start = judge(zero, weights, zero).setting
        first = Point(eta0, *value_and_grad(start.problem, eta0)) if shifting else point
        there = (jnp.abs(projected_gradient(point)).max() <= config.gradient_tolerance) & (not shifting)
        status = jnp.where(there, Status.CONVERGED, Status.RUNNING).astype(jnp.int32)
        status = jnp.where(jnp.isfinite(point.energy), status, Status.NONFINITE).astype(jnp.int32)
        state = State(
            zero,
            zero,
            first,
            solver.init(start, first),
            one,
            zero,
            zero,
            zero,
            status,
            key,
            one,
            eta0,
            point.energy,
            weights,
            None if adapter is None else adapter.init(plain, look_at(plain, eta0, point.energy)),
            zero,
            begin(config, point, weights, adapted=adapted),
        )
    last_step = config.steps if until is None else until
    end = jax.lax.while_loop(lambda s: (s.status == Status.RUNNING) & (s.step < last_step), body, state)
    last = Point(end.best_eta, *value_and_grad(problem, end.best_eta)) if wanders else end.point
    return end._replace(best_energy=last.energy), jnp.abs(projected_gradient(last)).max()


def _balanced(config: RelaxConfig, look: Any, weights: Array, key: Array) -> Array:
    """The weights with those terms brought down that pull too hard."""
    balance = auto_balance(target=config.term_norm_target, ratio=config.max_term_norm_ratio)
    brought, _ = balance.update(look, (), weights, key)
    ceiling = jnp.inf if config.term_weight_ceiling is None else config.term_weight_ceiling
    return jnp.where(brought != weights, jnp.clip(brought, config.term_weight_floor, ceiling), weights)


def _with_noise(setting: Setting, point: Point, proposal: Proposal, key: Array, state: State) -> tuple[Array, Array]:
    """The proposal with noise where the guard lets it pass, else without."""
    config = setting.config
    length = config.noise * config.noise_decay ** state.step.astype(point.energy.dtype)
    if config.noise_control:
        length = length * state.score
    noisy = box(proposal.eta + noise.drawn(key, setting, point, length))
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
    idle: Array,
    step: Array,
    changes: Array,
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
        ((idle >= config.stall_patience) & (config.stall_gain > 0) & ~changes, Status.STALLED),
        (given_up, Status.REJECTED),
        (given_up & proposal.failed, Status.LINE_SEARCH_FAILED),
        ((there | proposal.done | (spent & settled)) & ~changes, Status.CONVERGED),
        (~finite, Status.NONFINITE),
    ):
        status = jnp.where(condition, jnp.asarray(which, jnp.int32), status)
    return status
