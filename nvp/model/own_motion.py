"""Fields that carry themselves, fitted on the training part (numpy): which, how far, and how they fade.

Two kinds are known, on periodic grids: a field of two channels that is a `velocity` (Burgers' equation), and one of
one channel that is a `vorticity`, whose velocity is u = (∂ψ/∂y, −∂ψ/∂x) with ∇²ψ = −ω. Nobody has to say so: the data
show it where transport by that velocity explains the change far better than diffusion alone.

    (f(t+dt) − f(t)) / dt = −a u·∇f − s f ∇·u + d ∇²f,    the right-hand side at the mean of both frames

is solved for a, s and d by least squares, with spectral derivatives. The displacement is then a·u·dt; what transport
leaves to explain linearly is a multiplier of each wavenumber, fitted last (diffusion, drag, the mean of the rest).

Reference: Brunton, Proctor & Kutz, Discovering governing equations from data, PNAS 113 (2016).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from nvp.atlas.series import Series

OwnMotion = Literal["velocity", "vorticity"]

# wavenumbers (cycles per cell) at which the multiplier is kept, from 0 to the corner of the spectrum
WAVENUMBERS: Float[np.ndarray, "k"] = (np.arange(47) / 64).astype(np.float32)
# pairs of frames that are looked at
_PAIRS = 256
# transport is there where it leaves at most this share of what diffusion alone leaves unexplained
_CLEARLY = 0.5
# no mode is said to grow faster than this in one step
_FASTEST = 1.5


class Motion(NamedTuple):
    """What was fitted."""

    # a and s: cells per unit time and unit of the velocity; share of the field that unit divergence takes per unit time
    reach: float
    squeeze: float
    # share of the squared change that is left unexplained, with transport and by diffusion alone
    unexplained: float
    by_diffusion: float


def own_velocity(field: Any, kind: OwnMotion, xp: Any) -> Any:
    """The velocity (b, h, w, 2), order x, y, of a field (b, h, w, c); `xp` is numpy or jax.numpy."""
    if kind == "velocity":
        return field
    height, width = field.shape[1:3]
    kx, ky = (2 * np.pi * k for k in _axes(height, width))
    square = kx**2 + ky**2
    square[0, 0] = 1.0
    stream = xp.fft.rfft2(field[..., 0], axes=(1, 2)) * (1 / square).astype(np.complex64)[None]
    # an odd derivative has no Nyquist mode
    along = [np.where(np.abs(k) < np.pi - 1e-9, 1j * k, 0).astype(np.complex64)[None] for k in (ky, -kx)]
    parts = [xp.fft.irfft2(stream * k, s=(height, width), axes=(1, 2)) for k in along]
    return xp.stack(parts, axis=-1)


def faded(field: Any, table: Any, steps: Any, xp: Any) -> Any:
    """A field (b, h, w, c), each Fourier mode multiplied by the `table` over `WAVENUMBERS` to the power of `steps`."""
    height, width = field.shape[1:3]
    kx, ky = _axes(height, width)
    size = np.sqrt(kx**2 + ky**2).astype(np.float32)
    factor = xp.interp(size, WAVENUMBERS, table)[None] ** steps[:, None, None]
    modes = xp.fft.rfft2(field, axes=(1, 2)) * factor[..., None].astype(np.complex64)
    return xp.fft.irfft2(modes, s=(height, width), axes=(1, 2))


def detect(series: Sequence[Series]) -> OwnMotion | None:
    """The kind of motion that the data show, if any."""
    kind: OwnMotion = "velocity" if series[0].energy.shape[-1] == 2 else "vorticity"
    if series[0].energy.shape[-1] > 2:
        return None
    motion = fit_motion(kind, series)
    return kind if motion.unexplained < _CLEARLY * motion.by_diffusion else None


def fit_motion(kind: OwnMotion, series: Sequence[Series]) -> Motion:
    """Coefficients of transport, by least squares over pairs of frames spread evenly over the data."""
    before, after, dt = _pairs(series)
    middle = 0.5 * (before + after)
    velocity = own_velocity(middle, kind, np)
    gx, gy = _derivative(middle, 2), _derivative(middle, 1)
    divergence = (_derivative(velocity[..., :1], 2) + _derivative(velocity[..., 1:], 1)) * (kind == "velocity")
    diffusion = _derivative(gx, 2) + _derivative(gy, 1)
    terms = [-(velocity[..., :1] * gx + velocity[..., 1:] * gy), -middle * divergence, diffusion]
    terms = [(term * dt).ravel() for term in terms]
    change = (after - before).ravel()
    whole = float(change @ change)
    # without divergence there is nothing to fit to it
    chosen = terms if kind == "velocity" else [terms[0], terms[2]]
    fitted, left = _solved(chosen, change)
    _, alone = _solved([terms[2]], change)
    return Motion(
        reach=float(fitted[0]),
        squeeze=float(fitted[1]) if kind == "velocity" else 0.0,
        unexplained=left / whole if whole else 1.0,
        by_diffusion=alone / whole if whole else 1.0,
    )


def fit_fading(series: Sequence[Series], moved: Callable[[Any, np.float32], Any]) -> Float[np.ndarray, "k"]:
    """The multiplier of each wavenumber that leads best from the moved field to the next: Σ Re(m* n) / Σ |m|².

    `moved` moves frames (b, h, w, c) over a time step.
    """
    before, after, _ = _pairs(series)
    steps = {part.dt for part in series}
    moved_frames = np.asarray(moved(before.astype(np.float32), np.float32(np.mean(list(steps)))))
    kx, ky = _axes(*before.shape[1:3])
    at = np.round(np.sqrt(kx**2 + ky**2) * 64).astype(int)
    m, n = (np.fft.rfft2(frames, axes=(1, 2)) for frames in (moved_frames, after))
    both = np.bincount(at.ravel(), (m.conj() * n).real.sum(axis=(0, 3)).ravel(), len(WAVENUMBERS))
    own = np.bincount(at.ravel(), (np.abs(m) ** 2).sum(axis=(0, 3)).ravel(), len(WAVENUMBERS))
    there = own > 1e-12 * own.max()
    # the mean is not a wave: it stays; where there is nothing, as at the nearest wavenumber that has something
    there[0] = False
    found = np.clip(both[there] / own[there], 0.0, _FASTEST) if there.any() else np.ones(1)
    table: np.ndarray = np.interp(WAVENUMBERS, WAVENUMBERS[there] if there.any() else np.zeros(1), found)
    table[0] = 1.0
    return table


def _pairs(series: Sequence[Series]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames, the frames that follow them, and the steps between, (b, h, w, c) and (b, 1, 1, 1)."""
    places = [(i, t) for i, part in enumerate(series) for t in range(len(part) - 1)]
    chosen = [places[k] for k in np.unique(np.linspace(0, len(places) - 1, min(_PAIRS, len(places))).astype(int))]
    before, after = (np.stack([series[i].energy[t + ahead].astype(np.float64) for i, t in chosen]) for ahead in (0, 1))
    return before, after, np.array([series[i].dt for i, _ in chosen])[:, None, None, None]


def _solved(terms: list[np.ndarray], change: np.ndarray) -> tuple[np.ndarray, float]:
    """Coefficients and the squared rest, by the normal equations."""
    matrix = np.array([[one @ other for other in terms] for one in terms])
    right = np.array([term @ change for term in terms])
    found = np.linalg.lstsq(matrix, right, rcond=None)[0]
    return found, max(0.0, float(change @ change - right @ found))


def _derivative(field: np.ndarray, axis: int) -> np.ndarray:
    size = field.shape[axis]
    k = np.fft.rfftfreq(size)
    factor = np.where(k < 0.5, 2j * np.pi * k, 0)
    shape = [1] * field.ndim
    shape[axis] = len(k)
    return np.fft.irfft(np.fft.rfft(field, axis=axis) * factor.reshape(shape), n=size, axis=axis)


def _axes(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Wavenumbers along x and y (cycles per cell) of the modes of a real transform, (h, w/2 + 1) each."""
    ky, kx = np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij")
    return kx, ky
