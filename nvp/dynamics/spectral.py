"""What spectral code shares: wavenumbers, and leave to multiply complex coefficients by real numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

P = ParamSpec("P")
R = TypeVar("R")


def spectral(function: Callable[P, R]) -> Callable[P, R]:
    """Let real and complex numbers mix inside `function`, even where the session is strict about promotion."""

    @wraps(function)
    def mixed(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return function(*args, **kwargs)

    return mixed


def wavenumbers(h: int, w: int) -> tuple[Float[Array, "h 1"], Float[Array, "1 w_half"]]:
    """ky and kx of a real transform of h × w cells, in radians per cell."""
    return 2 * jnp.pi * jnp.fft.fftfreq(h)[:, None], 2 * jnp.pi * jnp.fft.rfftfreq(w)[None, :]


def directions(h: int, w: int) -> Float[Array, "2 h w_half"]:
    """k/|k|, order x, y; where k is 0, the x axis."""
    ky, kx = wavenumbers(h, w)
    with jax.numpy_rank_promotion("allow"):
        k = jnp.hypot(kx, ky)
        return jnp.stack([jnp.where(k > 0, kx, 1), jnp.broadcast_to(ky, k.shape)]) / jnp.where(k > 0, k, 1)
