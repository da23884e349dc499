"""Base patterns: the maps that perturbed sequences start from. Non-negative, of mean 1, on any H × W.

- `turbulent`: exp of a random-phase Gaussian field whose shell spectrum falls as k^(−5/3) (Kolmogorov, 1941)
- `laminar`: a Poiseuille profile between two walls, 1 − (2y/L − 1)², over a floor; no change along the stream
- `vortex`: kinetic energy of a few Lamb–Oseen vortices, v = Γ/(2πr)·(1 − exp(−r²/r_c²)) (Saffman 1992)
- `random`: independent exponential cells

All but `laminar` are periodic. Means of 1 keep errors comparable between scales; the patterns are pictures, no
solutions of an equation. Saffman, Vortex Dynamics (1992).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from nvp.errors import FieldError

PatternName = Literal["turbulent", "laminar", "vortex", "random"]
Map = Float[np.ndarray, "h w"]

# standard deviation of ln E
CONTRAST = 0.7
# of the shell spectrum of ln E
SLOPE = -5 / 3
# E far from everything, relative to the peak
FLOOR = 0.05
VORTICES = (3, 8)
# of a vortex, relative to the shorter side
CORE = (0.04, 0.10)


def pattern(name: str, shape: tuple[int, int], rng: np.random.Generator) -> Map:
    """A map of this pattern, drawn from `rng`; raises `FieldError` for another name or an empty grid."""
    if name not in PATTERNS:
        raise FieldError(
            "UNKNOWN_PATTERN",
            f"expected a pattern out of {', '.join(PATTERNS)}, got {name!r}.",
            next_step="Choose one of them.",
        )
    if len(shape) != 2 or min(shape) < 2:
        raise FieldError(
            "BAD_SHAPE", f"expected at least 2×2 cells, got {shape}.", next_step="Use 64×64, or any other grid."
        )
    energy = PATTERNS[name](shape, rng)
    unit: Map = energy / energy.mean()
    return unit


def turbulent(shape: tuple[int, int], rng: np.random.Generator) -> Map:
    """exp of a Gaussian field with random phases and a power-law spectrum."""
    h, w = shape
    k = np.hypot(np.fft.fftfreq(h, 1 / h)[:, None], np.fft.rfftfreq(w, 1 / w)[None, :] * h / w)
    # a shell of radius k holds about k modes: shell energy k^SLOPE is mode energy k^(SLOPE − 1)
    amplitude = np.where(k > 0, k, 1.0) ** ((SLOPE - 1) / 2)
    amplitude[0, 0] = 0.0
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * amplitude, s=shape)
    energy: Map = np.exp(CONTRAST * field / field.std())
    return energy


def laminar(shape: tuple[int, int], rng: np.random.Generator) -> Map:
    """A Poiseuille profile across y or x, with a drawn floor."""
    across = int(rng.integers(2))
    floor = rng.uniform(FLOOR, 0.5)
    s = (2 * np.arange(shape[across]) + 1) / shape[across] - 1
    profile = floor + 1 - s**2
    energy: Map = np.array(np.broadcast_to(profile[:, None] if across == 0 else profile[None, :], shape))
    return energy


def vortex(shape: tuple[int, int], rng: np.random.Generator) -> Map:
    """Kinetic energies of a few vortices, each in the nearest of its periodic images."""
    h, w = shape
    energy = np.zeros(shape)
    for _ in range(int(rng.integers(*VORTICES, endpoint=True))):
        y, x = rng.uniform(0, h), rng.uniform(0, w)
        core = rng.uniform(*CORE) * min(h, w)
        circulation = rng.uniform(0.5, 1.0)
        dy = np.abs(np.arange(h) - y)[:, None]
        dx = np.abs(np.arange(w) - x)[None, :]
        r2 = np.minimum(dy, h - dy) ** 2 + np.minimum(dx, w - dx) ** 2
        # Γ/r·(1 − exp(−r²/r_c²)) is 0 in the centre; a tiny radius stands for none
        r2 = np.maximum(r2, 1e-12)
        energy += circulation**2 * core**2 * (-np.expm1(-r2 / core**2)) ** 2 / r2
    raised: Map = energy + FLOOR * energy.max()
    return raised


def random(shape: tuple[int, int], rng: np.random.Generator) -> Map:
    """Independent cells, each exponentially distributed."""
    return rng.standard_exponential(shape)


PATTERNS: dict[str, Callable[[tuple[int, int], np.random.Generator], Map]] = {
    name: globals()[name] for name in get_args(PatternName)
}
