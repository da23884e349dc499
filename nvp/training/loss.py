"""The loss: a weighted sum of terms, each of which is logged without its weight.

O is the state the forecast starts from, P a prediction and T its truth, at one lead; of several leads the mean counts.

    fidelity      sqrt(Σ‖P − T‖²/Σ‖T − O‖²) over the batch: the metric itself, 1 − fidelity
    pairs         mean over the examples of sqrt(‖P − T‖²/‖T − O‖²): one that hardly changes counts like the others
    variance      mean of ½ (log σ² + (P − T)²/σ²) less ½ log of the mean squared change (persistence's best is about ½)
    mse           mean of ((P − T)/m)², m the mean of |O|: of fields of unit mean the plain mean squared error
    conservation  |ΣP − ΣT|/ΣT, mean over the batch
    entropy       max(0, S(O) − S(P) − threshold), S the spatial entropy in nats; or S(T) in place of S(O)
    gradient      the fidelity term of the differences between neighbours (H1 seminorm)
    spectral      mean over wave numbers of (1 − p_P/p_T)², p the power in a shell

The conservation term compares with the truth, not with the first law; a head that conserves leaves it no signal where
nothing enters or leaves. The entropy term is the second law of the model where it starts from O.

References: Seitzer et al., On the pitfalls of heteroscedastic uncertainty estimation, ICLR (2022), for beta;
Chakraborty et al., Binned spectral power loss, arXiv:2502.00472 (2025).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nvp.atlas.entropy import spatial_entropy
from nvp.model.padding import Boundaries, shifted
from nvp.training.config import LossConfig

# keeps ratios finite where nothing changes
_TINY = 1e-37
# share of the mean squared change of a batch below which a pair stands still
_STILL = 1e-6
# share of a field's variance below which a shell of its spectrum is rounding
_FLOOR = 1e-6


class Loss(NamedTuple):
    """What is minimised, and its terms, unweighted."""

    total: Float[Array, ""]
    terms: dict[str, Float[Array, ""]]


def loss_of(
    config: LossConfig,
    boundaries: Boundaries,
    mean: Float[Array, "b k h w c"],
    log_var: Float[Array, "b k h w c"],
    origin: Float[Array, "b h w c"],
    truth: Float[Array, "b k h w c"],
) -> Loss:
    """The loss of one batch at k leads."""
    leads = [_terms(config, boundaries, mean[:, k], log_var[:, k], origin, truth[:, k]) for k in range(truth.shape[1])]
    terms = {name: jnp.mean(jnp.stack([lead[name] for lead in leads])) for name in config.weights}
    total = jnp.sum(jnp.stack([weight * terms[name] for name, weight in config.weights.items()]))
    return Loss(total, terms)


def _terms(
    config: LossConfig,
    boundaries: Boundaries,
    mean: Float[Array, "b h w c"],
    log_var: Float[Array, "b h w c"],
    origin: Float[Array, "b h w c"],
    truth: Float[Array, "b h w c"],
) -> dict[str, Array]:
    terms: dict[str, Callable[[], Array]] = {
        "fidelity": lambda: relative_error(mean, truth, origin),
        "pairs": lambda: pair_error(mean, truth, origin),
        "variance": lambda: likelihood(mean, log_var, truth, origin, beta=config.beta),
        "mse": lambda: squared_error(mean, truth, origin),
        "conservation": lambda: conservation(mean, truth),
        "entropy": lambda: entropy_fall(
            origin if config.entropy_from == "state" else truth, mean, threshold=config.entropy_threshold
        ),
        "gradient": lambda: relative_error(*(differences(field, boundaries) for field in (mean, truth, origin))),
        "spectral": lambda: spectral_error(mean, truth, boundaries),
    }
    return {name: terms[name]() for name in config.weights}


def relative_error(predicted: Float[Array, "*n"], truth: Float[Array, "*n"], origin: Float[Array, "*n"]) -> Array:
    """sqrt(Σ‖P − T‖²/Σ‖T − O‖²)."""
    wrong, change = jnp.sum((predicted - truth) ** 2), jnp.sum((truth - origin) ** 2)
    # the square root's slope at 0 is infinite: a floor far below any error that matters
    return jnp.sqrt(wrong / (change + _TINY) + 1e-10)


def pair_error(
    predicted: Float[Array, "b h w c"], truth: Float[Array, "b h w c"], origin: Float[Array, "b h w c"]
) -> Float[Array, ""]:
    """Mean of sqrt(‖P − T‖²/‖T − O‖²); a pair that stands still is held against a small share of the mean change."""
    axes = (1, 2, 3)
    wrong, change = jnp.sum((predicted - truth) ** 2, axis=axes), jnp.sum((truth - origin) ** 2, axis=axes)
    return jnp.mean(jnp.sqrt(wrong / (change + _STILL * jnp.mean(change) + _TINY) + 1e-10))


def likelihood(
    mean: Float[Array, "b h w c"],
    log_var: Float[Array, "b h w c"],
    truth: Float[Array, "b h w c"],
    origin: Float[Array, "b h w c"],
    *,
    beta: float | None,
) -> Array:
    """Negative Gaussian log-likelihood in units of the change; without `beta` no gradient reaches the mean."""
    scale = jnp.sum((truth - origin) ** 2) / truth.size + _TINY
    squared = (mean - truth) ** 2
    if beta is None:
        squared = jax.lax.stop_gradient(squared)
    terms = log_var - jnp.log(scale) + squared * jnp.exp(-log_var)
    if beta is not None:
        terms = terms * jax.lax.stop_gradient(jnp.exp(beta * (log_var - jnp.log(scale))))
    return 0.5 * jnp.mean(terms)


# the three terms of the seeds, for arrays of JAX and of NumPy


def squared_error(
    predicted: Float[Any, "b h w c"], truth: Float[Any, "b h w c"], origin: Float[Any, "b h w c"]
) -> Float[Any, ""]:
    """Mean of ((P − T)/m)², m the mean of |O| of each example (1 where that is 0)."""
    xp = truth.__array_namespace__()
    size = xp.mean(xp.abs(origin), axis=(1, 2, 3), keepdims=True)
    return xp.mean(((predicted - truth) / xp.where(size > 0, size, xp.ones_like(size))) ** 2)


def conservation(predicted: Float[Any, "b h w c"], truth: Float[Any, "b h w c"]) -> Float[Any, ""]:
    """Mean of |ΣP − ΣT|/Σ|T|."""
    xp = truth.__array_namespace__()
    missing = xp.abs(xp.sum(predicted - truth, axis=(1, 2, 3)))
    return xp.mean(missing / (xp.sum(xp.abs(truth), axis=(1, 2, 3)) + _TINY))


def entropy_fall(
    before: Float[Any, "b h w c"], after: Float[Any, "b h w c"], *, threshold: float = 0.0
) -> Float[Any, ""]:
    """Mean of max(0, S(before) − S(after) − threshold)."""
    xp = before.__array_namespace__()
    fall = spatial_entropy(before) - spatial_entropy(after) - threshold
    return xp.mean(xp.where(fall > 0, fall, xp.zeros_like(fall)))


def differences(field: Float[Array, "b h w c"], boundaries: Boundaries) -> Float[Array, "two b h w c"]:
    """Each cell's difference to the next along y and x; 0 across walls and open edges."""
    y, x = boundaries
    return jnp.stack([shifted(field, 1, y, axis=1) - field, shifted(field, 1, x, axis=2) - field])


def spectral_error(
    predicted: Float[Array, "b h w c"], truth: Float[Array, "b h w c"], boundaries: Boundaries
) -> Float[Array, ""]:
    """Mean over shells, examples and channels of (1 − p_P/p_T)²."""
    theirs, true = power(predicted, boundaries), power(truth, boundaries)
    floor = _FLOOR * jnp.sum(true, axis=1, keepdims=True) + _TINY
    return jnp.mean((1 - (theirs + floor) / (true + floor)) ** 2)


def power(field: Float[Array, "b h w c"], boundaries: Boundaries) -> Float[Array, "b shells c"]:
    """Power in shells of equal width, from one wave along the shorter side to half a wave per cell, without the mean.

    Fields are mirrored at walls and open edges, so that an edge is no jump.
    """
    for axis, boundary in zip((1, 2), boundaries, strict=True):
        if boundary != "periodic":
            field = jnp.concatenate([field, jnp.flip(field, axis)], axis=axis)
    _, height, width, _ = field.shape
    waves = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    shells = min(height, width) // 2
    # shell s holds (s − ½, s + ½] waves along the shorter side; what is finer than half a wave per cell goes to none
    shell = np.ceil(waves * min(height, width) - 0.5).astype(int)
    # of a real field each wave but those of the first and last column stands for two
    twice = np.where((np.arange(waves.shape[1]) == 0) | (np.arange(waves.shape[1]) * 2 == width), 1.0, 2.0)
    density = jnp.abs(jnp.fft.rfft2(field, axes=(1, 2))) ** 2 * jnp.asarray(twice, field.dtype)[None, None, :, None]
    density = density.reshape(density.shape[0], -1, density.shape[-1]) / (height * width) ** 2
    found: Float[Array, "b shells c"] = jax.vmap(
        lambda one: jax.ops.segment_sum(one, jnp.asarray(shell.ravel()), num_segments=shells + 1)
    )(density)[:, 1:]
    return found
