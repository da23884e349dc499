"""The loop of a second stage: another objective on the same examples, by Adam, with a running mean of the parameters.

    for event in descend(objective, params, fixed, examples, config): …      # ends in the running mean

An objective is a function of (parameters, what stays fixed, a batch, a key); it is compiled once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from nvp.errors import FieldError
from nvp.model.inputs import Inputs
from nvp.training.data import Examples
from nvp.training.events import CheckpointSaved, Progress
from nvp.training.stage_config import StageConfig

Objective = Callable[[Any, Any, Inputs, Float[Array, "b h w c"], PRNGKeyArray], Float[Array, ""]]

# share of a stage in which the learning rate rises
_WARM_UP = 0.05
_PROGRESS_SECONDS = 0.5


class StageState(NamedTuple):
    """All that changes."""

    params: Any
    opt_state: optax.OptState
    ema: Any
    step: Int[Array, ""]


class Trained(NamedTuple):
    """How a stage ended."""

    # the running mean of the parameters
    params: Any
    steps: int
    epochs: int
    # mean over the last epoch
    loss: float
    reason: str


def descend(
    objective: Objective, params: Any, fixed: Any, examples: Examples, config: StageConfig
) -> Iterator[Progress | Trained]:
    """Progress at most twice a second, and `Trained` at the end; raises `FieldError` (`DIVERGED`)."""
    optimizer = optax.chain(optax.clip_by_global_norm(config.clip), optax.scale_by_adam(b2=0.99))

    def advance(
        state: StageState, fixed: Any, inputs: Inputs, truth: Float[Array, "b h w c"], rate: Float[Array, ""]
    ) -> tuple[StageState, Array]:
        key = jax.random.fold_in(jax.random.key(config.rng_seed), state.step)
        loss, gradients = jax.value_and_grad(objective)(state.params, fixed, inputs, truth, key)
        with jax.numpy_dtype_promotion("standard"):  # optax raises floats to integer powers
            direction, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params = jax.tree.map(lambda p, d: p - rate * d, state.params, direction)
        n = state.step.astype(jnp.float32)
        decay = jnp.minimum(config.ema, (1 + n) / (10 + n))
        ema = jax.tree.map(lambda e, p: decay * e + (1 - decay) * p, state.ema, params)
        # a step that is not finite changes nothing
        fine = jnp.isfinite(loss) & jnp.isfinite(optax.tree.norm(gradients))
        changed = StageState(params, opt_state, ema, state.step + 1)
        kept = jax.tree.map(lambda new, old: jnp.where(fine, new, old), changed, state)
        return kept._replace(step=state.step + 1), loss

    step_once = jax.jit(advance, donate_argnums=0)
    copies = [jax.tree.map(jnp.array, params) for _ in range(2)]
    state = StageState(copies[0], optimizer.init(params), copies[1], jnp.zeros((), jnp.int32))
    per_epoch = examples.steps(config.batch)
    began, reported = time.perf_counter(), time.perf_counter()
    cpu_began: float | None = None
    step, epoch, losses, reason = 0, 0, [math.nan], "epochs"
    share = 0.0
    while epoch < config.epochs and reason == "epochs":
        losses = []
        batches = examples.epoch(epoch, batch=config.batch, rng_seed=config.rng_seed, augment=config.augment)
        for batch in batches:
            rate = config.rate * _schedule(share)
            state, loss = step_once(state, fixed, batch.inputs, batch.truth[:, 0], np.float32(rate))
            losses.append(loss)
            step += 1
            if cpu_began is None:
                loss.block_until_ready()
                cpu_began = time.process_time()
            wall, cpu = time.perf_counter() - began, time.process_time() - cpu_began
            shares = {
                "epochs": step / (config.epochs * per_epoch),
                "seconds": wall / config.seconds if config.seconds else 0.0,
                "cpu_seconds": cpu / config.cpu_seconds if config.cpu_seconds else 0.0,
            }
            nearest = max(shares, key=lambda name: shares[name])
            share = min(1.0, shares[nearest])
            if time.perf_counter() - reported >= _PROGRESS_SECONDS:
                reported = time.perf_counter()
                yield Progress(
                    epoch=epoch + 1,
                    epochs=config.epochs,
                    step=step,
                    loss=float(loss),
                    samples_per_second=step * config.batch / max(wall, 1e-9),
                    fidelity=None,
                    eta=wall * (1 - share) / max(share, 1e-9),
                    fraction=share,
                )
            if share >= 1 and nearest != "epochs":
                reason = nearest
                break
        epoch += 1
    last = np.array([np.asarray(loss) for loss in losses])
    if not np.isfinite(last).any():
        raise FieldError(
            "DIVERGED",
            f"expected a finite loss, got none in the last epoch of the stage, at step {step}.",
            next_step="Lower the learning rate of the stage.",
        )
    yield Trained(jax.tree.map(np.asarray, state.ema), step, epoch, float(last[np.isfinite(last)].mean()), reason)


def facts_of(manifest: Mapping[str, Any], config: StageConfig, ended: Trained) -> dict[str, Any]:
    """What a checkpoint says of the stage that made it: steps and epochs count on from those of its base."""
    return {
        "stage": config.to_json(),
        "base": manifest["sha256"],
        "step": manifest.get("step", 0) + ended.steps,
        "epoch": manifest.get("epoch", 0) + ended.epochs,
    }


def saved(path: Path, facts: Mapping[str, Any], sha256: str) -> CheckpointSaved:
    """The event of a written checkpoint."""
    return CheckpointSaved(
        path=path, step=facts["step"], epoch=facts["epoch"], val_fidelity=facts["val_fidelity"], sha256=sha256
    )


def _schedule(share: float) -> float:
    """A rise, then a cosine to 0."""
    if share < _WARM_UP:
        return max(share / _WARM_UP, 0.02)
    return 0.5 * (1 + math.cos(math.pi * (share - _WARM_UP) / (1 - _WARM_UP)))
