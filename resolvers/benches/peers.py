"""Networks of pdequinox, trained here as APEBench trains them: what ours are measured beside.

Adam with a warm-up over the first fifth and then a cosine to 0, mean squared error, batches drawn without repetition.
The budget is CPU time of this process, compilation apart; the schedule runs with it. A residual peer predicts
x + 0.1 · net(x).

Reference: Koehler et al., APEBench, NeurIPS (2024).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float32

from nvp.errors import FieldError
from resolvers.benches.scenarios import lenient

# name → APEBench's way to write the net
NETS: Mapping[str, str] = {"unet": "UNet;12;2;relu", "fno": "FNO;12;8;4;gelu"}
PEERS = (*NETS, *(f"{name}_residual" for name in NETS))
_RESIDUAL_SCALE = 0.1
_WARM_UP = 0.2
_PEAK = 1e-3
_REPORT_SECONDS = 1.0

Advance = Callable[[Float32[np.ndarray, "b h w c"]], Float32[np.ndarray, "b h w c"]]
"""One step ahead, of arrays with their channels last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A peer after its training."""

    advance: Advance
    parameters: int
    steps: int
    cpu_seconds: float
    compile_seconds: float


def pdequinox() -> Any:
    """The package; raises `FieldError` where it is not installed."""
    try:
        return import_module("pdequinox")
    except ImportError as error:
        raise FieldError(
            "NO_PEERS", "expected pdequinox, got none.", next_step="Install fieldgraph with the extra `peers`."
        ) from error


def build(net: str, channels: int, *, seed: int) -> Any:
    """The net that APEBench writes so, for fields of so many channels."""
    import jax

    nets = pdequinox().arch
    kind, *sizes, activation = net.split(";")
    common = {"activation": getattr(jax.nn, activation), "boundary_mode": "periodic", "key": jax.random.PRNGKey(seed)}
    if kind == "UNet":
        hidden, levels = (int(size) for size in sizes)
        return nets.ClassicUNet(2, channels, channels, hidden_channels=hidden, num_levels=levels, **common)
    modes, hidden, blocks = (int(size) for size in sizes)
    return nets.ClassicFNO(2, channels, channels, hidden_channels=hidden, num_modes=modes, num_blocks=blocks, **common)


def size_of(net: Any) -> int:
    """Trained numbers of an equinox module."""
    import equinox
    import jax

    return sum(leaf.size for leaf in jax.tree.leaves(equinox.filter(net, equinox.is_inexact_array)))


def applied(net: Any, residual: bool, states: Any) -> Any:
    """One step ahead of each state, channels first."""
    import jax

    ahead = jax.vmap(net)(states)
    return states + _RESIDUAL_SCALE * ahead if residual else ahead


def stepper(said: Callable[[Any, Any], Any], weights: Any) -> tuple[Any, Any]:
    """Adam's state and one compiled step on (weights, Adam's state, before, after, rate) of the mean squared error."""
    import jax
    import optax

    adam = optax.scale_by_adam()

    def loss(weights: Any, before: Any, after: Any) -> Any:
        return jax.numpy.mean((said(weights, before) - after) ** 2)

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(weights: Any, state: Any, before: Any, after: Any, rate: Any) -> Any:
        error, gradient = jax.value_and_grad(loss)(weights, before, after)
        direction, state = adam.update(gradient, state)
        return jax.tree.map(lambda a, d: a - rate * d, weights, direction), state, error

    return adam.init(weights), step


def train_peer(
    name: str,
    frames: Float32[np.ndarray, "n t h w c"],
    *,
    seed: int,
    batch: int,
    cpu_seconds: float,
    on_progress: Callable[[float, str], None],
) -> Trained:
    """Train one peer on all pairs of neighbouring frames for a budget of CPU time."""
    import equinox
    import jax

    residual = name.endswith("_residual")
    net = build(NETS[name.removesuffix("_residual")], frames.shape[-1], seed=seed)
    before, after = pairs(frames)
    with lenient():
        arrays, static = equinox.partition(net, equinox.is_inexact_array)

        def said(arrays: Any, states: Any) -> Any:
            return applied(equinox.combine(arrays, static), residual, states)

        state, step = stepper(said, arrays)
        began = time.perf_counter()
        step = step.lower(arrays, state, before[:batch], after[:batch], np.float32(0)).compile()
        compiled = time.perf_counter() - began
        clock, told, steps, share = time.process_time(), time.perf_counter(), 0, 0.0
        for chosen in _batches(len(before), batch, seed):
            share = (time.process_time() - clock) / cpu_seconds
            if share >= 1:
                break
            rate = np.float32(rate_at(share))
            arrays, state, error = step(arrays, state, before[chosen], after[chosen], rate)
            steps += 1
            if time.perf_counter() - told > _REPORT_SECONDS:
                told = time.perf_counter()
                on_progress(share, f"step {steps}, mean squared error {float(error):.2e}")
        used = time.process_time() - clock
        on_progress(1.0, f"{steps} steps")
        ahead = jax.jit(partial(said, arrays))

    def advance(states: Float32[np.ndarray, "b h w c"]) -> Float32[np.ndarray, "b h w c"]:
        with lenient():
            return np.moveaxis(np.asarray(ahead(np.moveaxis(states, -1, 1))), 1, -1)

    return Trained(advance=advance, parameters=size_of(net), steps=steps, cpu_seconds=used, compile_seconds=compiled)


def pairs(frames: Float32[np.ndarray, "n t h w c"]) -> tuple[np.ndarray, np.ndarray]:
    """All frames but the last of each trajectory and the frames that follow them, channels first."""
    first = np.ascontiguousarray(np.moveaxis(frames, -1, 2))
    return tuple(part.reshape(-1, *part.shape[2:]) for part in (first[:, :-1], first[:, 1:]))  # type: ignore[return-value]


def _batches(n: int, batch: int, seed: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(n)
        for start in range(0, n - batch + 1, batch):
            yield order[start : start + batch]


def rate_at(share: float) -> float:
    if share < _WARM_UP:
        return _PEAK * share / _WARM_UP
    return _PEAK * 0.5 * (1 + float(np.cos(np.pi * (share - _WARM_UP) / (1 - _WARM_UP))))
