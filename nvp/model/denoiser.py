"""A denoiser of the residual: what a deterministic network leaves open, as a distribution over whole fields.

The residual of the truth around the network's mean is counted in the deviations that the network itself says,
r = (E_{t+1} − mean)/σ: its size is the network's affair, what belongs together is learnt here. With the data's own
deviation s of r, the preconditioning of EDM makes every noise level an equally hard task of unit size:

    D(x, l) = s²/(l² + s²) · x + l·s/√(l² + s²) · F(x/√(l² + s²), ln l / 4),      x = r + l·noise

F is the two-path U-Net, told the state, the mean and the context at every level; the noise level enters its fused z_t
and so scales and shifts the features of every decoder level. Untrained F is 0, D the best denoiser of independent
Gaussian cells, and its samples are those of the network's own mean and variance.

References: Karras et al., Elucidating the design space of diffusion-based generative models, NeurIPS (2022); Price et
al., GenCast, Nature 637 (2025), for residuals of a forecast.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from nvp.model import heads
from nvp.model.config import NVPConfig
from nvp.model.hints import slopes
from nvp.model.inputs import Inputs
from nvp.model.nvp import Fitted, Prediction
from nvp.model.padding import Boundaries
from nvp.model.precision import set_precision
from nvp.model.unet import UNet

# lowest and highest noise level, in deviations of the residual, and how dense levels are towards the low ones
LOWEST, HIGHEST, RHO = 0.02, 40.0, 7.0
# frequencies at which ln(level)/4 is told
_FREQUENCIES = (1.0, 2.0, 4.0)


class Conditions(NamedTuple):
    """What the denoiser is told at every noise level, in units of order one."""

    fields: Float[Array, "b h w f"]
    slopes: Float[Array, "b h w g"]


class Denoiser(nnx.Module):
    """D of one network; `config` is that of the network whose residual it denoises."""

    def __init__(
        self,
        config: NVPConfig,
        *,
        context: Float[Array, "x"],
        deviation: Float[Array, ""],
        rng: np.random.Generator,
    ) -> None:
        self.config = config
        # root mean square of each context channel, and deviation of the residual in the training part
        self.context = Fitted(context)
        self.deviation = Fitted(deviation)
        c = config.channels
        self.unet = UNet(
            energy_channels=c * (config.history + 3) + config.context_channels,
            gradient_channels=4 * c,
            scalars=1 + 2 * len(_FREQUENCIES),
            outputs=c,
            widths=config.widths,
            blocks=config.blocks,
            latent=config.latent,
            dropout=0.0,
            boundaries=self.boundaries,
            rng=rng,
        )
        set_precision(self.unet, compute=config.compute, remat=config.remat)

    @property
    def boundaries(self) -> Boundaries:
        """Along y and x."""
        return self.config.boundary_y, self.config.boundary_x

    def conditions(self, inputs: Inputs, said: Prediction) -> Conditions:
        """State, change and doubt of the network's forecast, and the context."""
        state = inputs.history[:, -1]
        centre = state.mean(axis=(1, 2), keepdims=True)
        unit = jnp.sqrt(jnp.mean((state - centre) ** 2, axis=(1, 2), keepdims=True)) + 1e-6 * jnp.abs(centre) + 1e-30
        mean = (said.mean - centre) / unit
        frames = (inputs.history - centre[:, None]) / unit[:, None]
        b, k, h, w, c = frames.shape
        parts = [
            jnp.transpose(frames, (0, 2, 3, 1, 4)).reshape(b, h, w, k * c),
            mean - frames[:, -1],
            # a doubt as large as the field is 0, a ten-thousandth of it about −1
            (0.5 * said.log_var - jnp.log(unit)) / 9,
            inputs.context / self.context[...][None, None, None],
        ]
        return Conditions(jnp.concatenate(parts, axis=-1), jnp.concatenate(slopes(mean, self.boundaries), axis=-1))

    def __call__(
        self, noisy: Float[Array, "b h w c"], level: Float[Array, "b"], told: Conditions
    ) -> Float[Array, "b h w c"]:
        """The residual that is expected behind `noisy`."""
        at, s = level[:, None, None, None], self.deviation[...]
        size = jnp.sqrt(at**2 + s**2)
        return s**2 / size**2 * noisy + at * s / size * self.raw(noisy / size, level, told)

    def raw(
        self, scaled: Float[Array, "b h w c"], level: Float[Array, "b"], told: Conditions
    ) -> Float[Array, "b h w c"]:
        """F: input and output of unit size at every level."""
        x = jnp.log(level)[:, None] / 4
        angles = x * jnp.asarray(_FREQUENCIES)[None]
        scalars = jnp.concatenate([x, jnp.cos(angles), jnp.sin(angles)], axis=-1)
        said: Float[Array, "b h w c"] = self.unet(
            jnp.concatenate([scaled, told.fields], axis=-1),
            jnp.concatenate([*slopes(scaled, self.boundaries), told.slopes], axis=-1),
            scalars,
        )
        return said


def residual(said: Prediction, truth: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """What the network left open, in its own deviations."""
    return (truth - said.mean) * jnp.exp(-0.5 * said.log_var)


def realise(config: NVPConfig, said: Prediction, residual: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """The state that a residual makes of a forecast; with the conserving head of the forecast's own total, and >= 0."""
    change = residual * jnp.exp(0.5 * said.log_var)
    if config.head == "delta":
        return said.mean + change
    silent = jnp.zeros_like(change[..., 0])
    boundaries = (config.boundary_y, config.boundary_x)
    # no flux and a change without mean: the total stays, outflow included
    state, _ = heads.conserve(said.mean[..., 0], silent, silent, change[..., 0], None, boundaries)
    return state[..., None]


def level_loss(
    denoiser: Denoiser,
    clean: Float[Array, "b h w c"],
    noise: Float[Array, "b h w c"],
    level: Float[Array, "b"],
    told: Conditions,
) -> Float[Array, ""]:
    """‖F − target‖² per cell: EDM's weighting of the error of D, under which every level counts the same."""
    at, s = level[:, None, None, None], denoiser.deviation[...]
    size = jnp.sqrt(at**2 + s**2)
    noisy = clean + at * noise
    target = (clean - s**2 / size**2 * noisy) * size / (at * s)
    return jnp.mean((denoiser.raw(noisy / size, level, told) - target) ** 2)


def levels(count: int, *, lowest: float = LOWEST, highest: float = HIGHEST) -> Float[np.ndarray, "steps"]:
    """Noise levels of a sampler, from the highest down to the lowest and 0: dense where they are low (EDM, eq. 5)."""
    share = np.linspace(0, 1, count)
    ends = highest ** (1 / RHO), lowest ** (1 / RHO)
    return np.append((ends[0] + share * (ends[1] - ends[0])) ** RHO, 0.0).astype(np.float32)
