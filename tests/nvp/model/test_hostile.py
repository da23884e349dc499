"""What holds without training, and whatever the weights are: persistence, ΣP = ΣE and P >= 0, on maps made to break it.

Every network sees one-hot maps, empty ones, spikes, twelve orders of magnitude, in a flow of up to five cells per step.
"""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float32

from nvp.dynamics.domain import domain
from nvp.model import heads
from nvp.model.config import config_for
from nvp.model.inputs import Inputs
from nvp.model.nvp import NVP
from nvp.model.padding import Boundaries
from nvp.model.statistics import fit_statistics
from nvp.training.step import predict_step, split
from tests.nvp.fields import fluid_series

SHAPES = [(64, 64), (128, 128), (256, 256), (128, 384), (384, 128)]
# maps of five kinds in turn, each with draws of its own; on the larger shapes that many are left to the slow tests
MAPS, FEW = 100, 5
NOISE = 4
STEPS = 20


def hostile(shape: tuple[int, int], count: int) -> Float32[np.ndarray, "n h w 1"]:
    """Maps that break careless sums."""
    rng = np.random.default_rng(shape[1])
    maps = np.zeros((count, *shape, 1))
    for number, field in enumerate(maps):
        kind = number % 5
        if kind == 0:  # one-hot
            field[rng.integers(shape[0]), rng.integers(shape[1])] = 10.0 ** rng.uniform(-6, 6)
        elif kind == 1 and number > 1:  # zeros but for a few cells; the first is empty
            field[tuple(rng.integers(0, side, 5) for side in shape)] = rng.uniform(0, 1, (5, 1))
        elif kind == 2:  # spikes on a floor
            field += 1e-3
            field[:: rng.integers(5, 20), :: rng.integers(5, 20)] = 1e5
        elif kind == 3:
            field += 10.0 ** rng.uniform(-6, 6, field.shape)
        elif kind == 4:  # half empty
            field[: shape[0] // 2] = rng.uniform(0, 1)
    return maps.astype(np.float32)


def network(*, gain: float, width: int = 8) -> NVP:
    """The conserving network of a known flow, its last layer silent or random of this size."""
    series = fluid_series(scale=32)
    config = replace(config_for(domain(series.domain), series), widths=(width, 8, 8), latent=16, noise=NOISE)
    model = NVP(config, fit_statistics(config, [series]), rng=np.random.default_rng(0))
    rng = np.random.default_rng(1)
    for kernel in (model.unet.decoder.leave.kernel, *(film.dense.kernel for film in model.unet.decoder.film)):
        kernel[...] = jnp.asarray(gain * rng.standard_normal(kernel.shape), jnp.float32)
    noisy = model.unet.fusion.noise.kernel
    noisy[...] = jnp.asarray(gain * rng.standard_normal(noisy.shape), jnp.float32)
    return model


def step(model: NVP, inputs: Inputs, noise: Array) -> Float32[np.ndarray, "n h w 1"]:
    """One step of as many rows as there are maps, in batches of one size: compiled once per shape, whatever weights."""
    graph, *weights = split(model)
    rows = [Inputs(*(values[at : at + FEW] for values in inputs)) for at in range(0, len(noise), FEW)]
    made = [
        predict_step(graph, *weights, each, noise=noise[FEW * n : FEW * (n + 1)]).mean for n, each in enumerate(rows)
    ]
    return np.concatenate(made)


def inputs_for(maps: Float32[np.ndarray, "n h w 1"]) -> Inputs:
    rng = np.random.default_rng(3)
    n, *shape, _ = maps.shape
    return Inputs(
        history=maps[:, None],
        context=rng.uniform(-5, 5, (n, *shape, 2)).astype(np.float32),
        parameters=np.tile(np.float32([[0.1, 0.1]]), (n, 1)),
        clock=np.zeros((n, 2), np.float32),
        dt=np.ones(n, np.float32),
        apart=np.zeros(n, np.int32),
    )


def check(state: Float32[np.ndarray, "n h w 1"], start: Float32[np.ndarray, "n h w 1"]) -> None:
    """The law of a closed domain."""
    found = np.asarray(state, np.float64)
    assert np.isfinite(found).all()
    assert found.min() >= 0
    held = start.astype(np.float64).sum(axis=(1, 2, 3))
    assert (np.abs(found.sum(axis=(1, 2, 3)) - held) <= 1e-5 * held).all()


def draws(count: int, seed: int) -> Float32[np.ndarray, "n z"]:
    return np.random.default_rng(seed).standard_normal((count, NOISE)).astype(np.float32)


@pytest.fixture(scope="module")
def wild() -> NVP:
    return network(gain=1.0)


@pytest.fixture(scope="module")
def silent() -> NVP:
    return network(gain=0.0)


@pytest.mark.parametrize("shape", SHAPES)
def test_untrained_it_is_persistence_and_with_any_weights_it_keeps_the_law(
    shape: tuple[int, int], silent: NVP, wild: NVP
) -> None:
    maps = hostile(shape, MAPS if shape == (64, 64) else FEW)
    inputs = inputs_for(maps)
    if len(maps) == FEW:
        assert np.array_equal(step(silent, inputs, draws(FEW, 4)), maps)
    members = np.stack([step(wild, inputs, draws(len(maps), seed)) for seed in range(1 + (len(maps) == FEW))])
    for state in (*members, members.mean(axis=0)):
        check(state, maps)
    # all but the empty map change
    assert sum(not np.array_equal(*pair) for pair in zip(members[0], maps, strict=True)) == len(maps) - 1


def test_members_differ_and_the_law_holds_through_a_rollout_of_each(wild: NVP) -> None:
    maps = np.repeat(hostile((64, 64), FEW), 2, axis=0)
    inputs, noise = inputs_for(maps), draws(len(maps), 6)
    for _ in range(STEPS):
        state = step(wild, inputs, noise)
        check(state, maps)
        inputs = inputs._replace(history=state[:, None])
    assert not np.array_equal(state[0], state[1])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("shape", SHAPES)
def test_all_of_it_on_every_shape(shape: tuple[int, int], silent: NVP, wild: NVP) -> None:
    """12 minutes of a processor for all shapes: they are compiled to run fast, unlike those of other tests."""
    maps = hostile(shape, MAPS)
    inputs = inputs_for(maps)
    fast = {"xla_backend_optimization_level": 3, "xla_cpu_use_fusion_emitters": True}
    graph, *weights = split(wild)
    rows = Inputs(*(values[:FEW] for values in inputs))
    compiled = predict_step.lower(graph, *weights, rows, noise=draws(FEW, 0)).compile(fast)

    def ahead(model: NVP, inputs: Inputs, noise: Array) -> Float32[np.ndarray, "n h w 1"]:
        _, *weights = split(model)
        parts = [slice(at, at + FEW) for at in range(0, len(noise), FEW)]
        made = [compiled(*weights, Inputs(*(values[at] for values in inputs)), noise=noise[at]).mean for at in parts]
        return np.concatenate(made)

    assert np.array_equal(ahead(silent, inputs, draws(MAPS, 4)), maps)
    members = np.zeros((3, *maps.shape), np.float32)
    for seed, member in enumerate(members):
        each, noise = inputs, draws(MAPS, seed)
        for _ in range(STEPS):
            member[:] = ahead(wild, each, noise)
            check(member, maps)
            each = each._replace(history=member[:, None])
    check(members.mean(axis=0), maps)
    # all but the empty map have gone somewhere, and members to different places
    assert sum(not np.array_equal(*pair) for pair in zip(members[0], maps, strict=True)) == len(maps) - 1
    assert not np.array_equal(members[0], members[1])


def test_without_the_last_factor_the_law_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The maps are hostile enough to tell."""

    def without(base: Array, flux_x: Array, flux_y: Array, change: Array, edges: None, boundaries: Boundaries) -> tuple:
        flow = flux_x - jnp.roll(flux_x, 1, axis=2) + flux_y - jnp.roll(flux_y, 1, axis=1)
        mean = heads.total(change) / change[0].size
        return heads.positive(base - flow + change - mean[:, None, None], boundaries), jnp.zeros(len(base))

    maps = hostile((64, 64), FEW)
    monkeypatch.setattr(heads, "conserve", without)
    # other widths: a program of its own
    with pytest.raises(AssertionError):
        check(step(network(gain=1.0, width=4), inputs_for(maps), draws(FEW, 4)), maps)
