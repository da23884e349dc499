"""Samples of a diffusion: noise is followed down its levels to a residual, which the head makes a state of.

    dx/dl = (x − D(x, l))/l

is solved by Heun's second-order steps, two calls of the denoiser each but for the last (deterministic: a draw of noise
decides the sample). `churn` > 0 adds fresh noise before each step, which corrects the errors of earlier ones.

Reference: Karras et al., NeurIPS (2022), algorithms 1 and 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from nvp.model.config import NVPConfig
from nvp.model.denoiser import Conditions, Denoiser, levels, realise
from nvp.model.inputs import Inputs
from nvp.model.nvp import NVP, Prediction
from nvp.prediction.rollout import MEMBERS, Rollout
from nvp.training.diffusion import load_diffusion
from nvp.training.step import Weights, predict_step

# noise levels of a sample; the denoiser is called twice for each but once for the last
STEPS = 16


def heun(
    denoise: Callable[[Any, Any], Any],
    noisy: Float[Any, "b h w c"],
    through: Float[np.ndarray, "steps"],
    *,
    churn: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Float[Any, "b h w c"]:
    """Follow `noisy`, of level `through[0]`, down to the last level; `denoise(x, level)` is D."""
    x = noisy
    extra = min(churn / max(len(through) - 1, 1), np.sqrt(2) - 1)
    for here, below in pairwise(through.tolist()):
        if extra > 0 and rng is not None:
            raised = here * (1 + extra)
            fresh = rng.standard_normal(x.shape, np.float32)
            x, here = x + np.float32(np.sqrt(raised**2 - here**2)) * fresh, raised
        slope = (x - denoise(x, here)) / np.float32(here)
        ahead = x + np.float32(below - here) * slope
        if below > 0:
            end = (ahead - denoise(ahead, below)) / np.float32(below)
            ahead = x + np.float32(below - here) * 0.5 * (slope + end)
        x = ahead
    return x


class DiffusionForecaster(Rollout):
    """A network and the denoiser of its residual; each member is a sample, and goes on from it."""

    def __init__(
        self,
        config: NVPConfig,
        network: tuple[nnx.GraphDef[NVP], Weights, Weights],
        denoiser: tuple[nnx.GraphDef[Denoiser], Weights, Weights],
        *,
        members: int = MEMBERS,
        steps: int = STEPS,
        churn: float = 0.0,
        log_scale: Sequence[float] = (),
        rng_seed: int = 0,
    ) -> None:
        super().__init__(config, members=members, log_scale=log_scale, rng_seed=rng_seed)
        self.steps, self.churn = steps, churn
        self._network, self._denoiser = network, denoiser
        self._deviation = float(nnx.merge(*denoiser, copy=True).deviation[...])

    def step(self, batch: Inputs, rng: np.random.Generator) -> Prediction:
        """A sample around the network's mean, or the mean itself where no members are asked for."""
        said: Prediction = predict_step(*self._network, batch)
        if not self.members:
            return said
        told = _conditions(*self._denoiser, batch, said)
        through = self._deviation * levels(self.steps)
        b = said.mean.shape[0]

        def denoise(x: Float[Array, "b h w c"], level: float) -> Float[Array, "b h w c"]:
            found: Float[Array, "b h w c"] = _denoise(*self._denoiser, x, np.full(b, level, np.float32), told)
            return found

        start = through[0] * rng.standard_normal(said.mean.shape, np.float32)
        residual = heun(denoise, jnp.asarray(start), through, churn=self.churn, rng=rng)
        return Prediction(_realise(self.config, said, residual), said.log_var, said.outflow)


@partial(jax.jit, static_argnames=("graph",))
def _conditions(
    graph: nnx.GraphDef[Denoiser], params: Weights, constants: Weights, inputs: Inputs, said: Prediction
) -> Conditions:
    return nnx.merge(graph, params, constants, copy=True).conditions(inputs, said)


@partial(jax.jit, static_argnames=("graph",))
def _denoise(
    graph: nnx.GraphDef[Denoiser],
    params: Weights,
    constants: Weights,
    noisy: Float[Array, "b h w c"],
    level: Float[Array, "b"],
    told: Conditions,
) -> Float[Array, "b h w c"]:
    found: Float[Array, "b h w c"] = nnx.merge(graph, params, constants, copy=True)(noisy, level, told)
    return found


_realise = jax.jit(realise, static_argnums=0)


def load(directory: Path) -> DiffusionForecaster:
    """Network and denoiser of a checkpoint directory."""
    network, denoiser, config, manifest = load_diffusion(directory)
    return DiffusionForecaster(config, network, denoiser, log_scale=manifest.get("log_scale", ()))
