"""Ways to advance that come to the same: in parts, several at a time, on several devices. And steps that are none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.errors import FieldError
from nvp.training.accumulation import train_in_parts
from nvp.training.config import TrainingConfig
from nvp.training.devices import Devices
from nvp.training.step import NextState, TrainState, first_state, train_step, train_steps
from tests.nvp.training.toy import Toy, batch, setting

RATE, SEED = np.float32(1e-2), np.uint32(3)


def begun(plan: Any, model: Any) -> tuple[Any, TrainState, Any]:
    return first_state(Toy(model, rng=np.random.default_rng(0)), plan)


def gap(one: Any, other: Any) -> float:
    """Largest difference of two trees, relative to their size."""
    wide = ([np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(tree) if np.size(leaf)] for tree in (one, other))
    return max(float(np.abs(a - b).max() / (np.abs(b).max() + 1e-12)) for a, b in zip(*wide, strict=True))


def cut(given: Any, parts: int) -> list[Any]:
    size = given.truth.shape[0] // parts
    return [jax.tree.map(lambda leaf, at=at: leaf[at * size : (at + 1) * size], given) for at in range(parts)]


@pytest.mark.parametrize("settings", [{}, {"unroll": 2, "unroll_gradient": "all"}])
def test_a_batch_in_parts_is_the_whole_batch(settings: dict[str, Any]) -> None:
    _, model, plan = setting(**settings)
    given = batch(model, range(8), horizon=settings.get("unroll", 1))
    graph, state, constants = begun(plan, model)
    whole, loss = train_step(NextState(graph, plan), state, constants, given, RATE, SEED)
    _, state, _ = begun(plan, model)
    parts, of_parts = train_in_parts(NextState(graph, plan), state, constants, cut(given, 4), RATE, SEED)
    assert gap(of_parts, loss) < 1e-5
    # Adam's first step hardly depends on the gradient, its means do
    assert gap((parts.params, parts.opt_state), (whole.params, whole.opt_state)) < 1e-5


def test_steps_in_one_dispatch_are_the_steps_one_by_one() -> None:
    _, model, plan = setting(dropout=0.2, input_noise=0.1)
    batches = [batch(model, range(start, start + 4)) for start in range(3)]
    rates = np.array([1e-2, 5e-3, 1e-3], np.float32)
    graph, state, constants = begun(plan, model)
    losses = []
    for given, rate in zip(batches, rates, strict=True):
        state, loss = train_step(NextState(graph, plan), state, constants, given, rate, SEED)
        losses.append(float(loss.total))
    _, other, _ = begun(plan, model)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches)
    other, together = train_steps(NextState(graph, plan), other, constants, stacked, rates, SEED)
    assert int(other.step) == int(state.step) == 3
    assert np.allclose(together.total, losses, rtol=1e-5)
    assert gap(other.params, state.params) < 1e-5


def test_what_is_random_follows_from_seed_and_step() -> None:
    _, model, plan = setting(dropout=0.3)
    given = batch(model)

    def after(seed: int, steps: int = 1) -> Any:
        graph, state, constants = begun(plan, model)
        for _ in range(steps):
            state, loss = train_step(NextState(graph, plan), state, constants, given, np.float32(0), np.uint32(seed))
        return float(loss.total)

    assert after(0) == after(0)
    assert after(0) != after(1)
    assert after(0) != after(0, steps=2)


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_step_that_is_not_finite_changes_its_counters_only(where: str) -> None:
    _, model, plan = setting()
    graph, state, constants = begun(plan, model)
    good = batch(model)
    if where == "loss":
        bad = good._replace(truth=good.truth.at[0, 0, 0, 0].set(jnp.nan))
    else:
        # finite in the loss, beyond float32 in its square's slope
        plan = replace(plan, loss=replace(plan.loss, fidelity=0.0, variance=0.0, mse=1e38))
        bad = good
    before = jax.tree.map(np.array, state)
    after, loss = train_step(NextState(graph, plan), state, constants, bad, RATE, SEED)
    assert np.isfinite(loss.total) == (where == "gradient")
    assert (int(after.step), int(after.skipped), int(after.row)) == (1, 1, 1)
    for name in ("params", "opt_state", "ema"):
        assert gap(getattr(after, name), getattr(before, name)) == 0
    after, _ = train_step(NextState(graph, setting()[2]), after, constants, good, RATE, SEED)
    assert (int(after.step), int(after.skipped), int(after.row)) == (2, 1, 0)
    assert gap(after.params, before.params) > 0


def test_more_devices_than_there_are_is_an_error() -> None:
    assert Devices(None, batch=7).count == 1
    with pytest.raises(FieldError, match="expected 5000 devices"):
        Devices(5000, batch=5000)
    with pytest.raises(FieldError, match="a batch that 3 parts divide"):
        TrainingConfig(batch=8, accumulate=3)


def test_four_devices_come_to_what_one_does() -> None:
    """Three steps on four devices, and on one of them."""
    assert jax.local_device_count() >= 4
    found, counts = [], []
    for count in (4, 1):
        _, model, plan = setting(dropout=0.2, input_noise=0.1)
        devices = Devices(count, batch=8)
        graph, *rest = begun(plan, model)
        state, constants = devices.everywhere(rest)
        for step in range(3):
            given = devices.shared(jax.tree.map(np.asarray, batch(model, range(step, step + 8))))
            counts.append(len(given.truth.sharding.device_set) if count > 1 else 1)
            state, loss = train_step(NextState(graph, plan), state, constants, given, RATE, SEED)
        found.append((jax.tree.map(np.asarray, state.params), float(loss.total)))
        if count == 4:
            assert given.truth.addressable_shards[0].data.shape[0] == 2
            assert len(jax.tree.leaves(state.params)[0].sharding.device_set) == 4
    assert gap(found[0], found[1]) < 1e-5, gap(found[0], found[1])
    assert (max(counts), min(counts)) == (4, 1)
