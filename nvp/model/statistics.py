"""What a network remembers of its data besides its weights: units of field and change, and the one site's climate.

Fitted on the training part only (numpy), kept with the parameters, never trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
from jaxtyping import Float, Float32

from nvp.atlas.series import Series
from nvp.model.climate import HOURS, Climate, fit_climate
from nvp.model.config import NVPConfig
from nvp.model.hints import moved_by_itself
from nvp.model.linear import weights_of
from nvp.model.own_motion import fit_fading, fit_motion


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Constants of one network; sizes of 1 broadcast where no site is fitted."""

    # mean and standard deviation of the field, root mean square of its change per step
    mean: Float32[np.ndarray, "c"]
    deviation: Float32[np.ndarray, "c"]
    change: Float32[np.ndarray, "c"]
    # mean and standard deviation of each parameter, and the mean time step
    parameter_mean: Float32[np.ndarray, "p"]
    parameter_deviation: Float32[np.ndarray, "p"]
    dt: Float32[np.ndarray, ""]
    # root mean square of each context channel, in order of `config.context`
    context: Float32[np.ndarray, "x"]
    # mean of each cell and its mean change over the step that begins at each hour, of all days and without groups of
    # them (`climate.py`), and its root mean square change
    normal: Float32[np.ndarray, "g h w c"]
    climate: Float32[np.ndarray, "g hours h w c"]
    activity: Float32[np.ndarray, "h w c"]
    # of a field that carries itself: how far and how much unit velocity moves and squeezes per unit time, and what
    # each wavenumber is multiplied with per step; empty for others
    reach: Float32[np.ndarray, "_two"]
    fading: Float32[np.ndarray, "_k"]
    # weights (f, c) of the linear path (`linear.py`), 0 until they are fitted; empty for networks without one
    linear: Float32[np.ndarray, "*f_c"]


def fit_statistics(config: NVPConfig, series: Sequence[Series]) -> Statistics:
    """Statistics of the training part."""
    channels = config.channels
    energy = [part.energy.astype(np.float64) for part in series]
    frames = np.concatenate(energy)
    changes = np.concatenate([np.diff(part, axis=0) for part in energy])
    values = np.array([[part.parameters[name] for name in config.parameters] for part in series])
    values = values.reshape(len(series), len(config.parameters))
    height, width = config.site or (1, 1)
    climate, activity = _no_climate(height, width, channels), np.ones((height, width, channels))
    if config.site is not None:
        climate, activity = fit_climate(series), np.sqrt(np.mean(changes**2, axis=0))
    return Statistics(
        mean=_single(frames.mean(axis=(0, 1, 2))),
        deviation=_single(_positive(frames.std(axis=(0, 1, 2)))),
        change=_single(_positive(np.sqrt(np.mean(changes**2, axis=(0, 1, 2))))),
        parameter_mean=_single(values.mean(axis=0)),
        parameter_deviation=_single(_positive(values.std(axis=0))),
        dt=_single(np.mean([part.dt for part in series])),
        context=_single(_positive(_context_size(config, series))),
        normal=climate.normal,
        climate=climate.change,
        activity=_single(activity),
        linear=np.zeros((weights_of(config), channels) if config.linear else 0, np.float32),
        **_own_motion(config, series),
    )


def _own_motion(config: NVPConfig, series: Sequence[Series]) -> dict[str, Float32[np.ndarray, "_"]]:
    if config.advects_itself is None:
        return {"reach": np.zeros(0, np.float32), "fading": np.zeros(0, np.float32)}
    motion = fit_motion(config.advects_itself, series)
    reach = _single(np.array([motion.reach, motion.squeeze]))
    move = partial(moved_by_itself, config.advects_itself, reach)
    return {"reach": reach, "fading": _single(fit_fading(series, jax.jit(move)))}


def _context_size(config: NVPConfig, series: Sequence[Series]) -> Float[np.ndarray, "x"]:
    sizes = [
        np.sqrt(
            np.mean([np.mean(part.context[name].astype(np.float64) ** 2, axis=(0, 1, 2)) for part in series], axis=0)
        )
        for name, _ in config.context
    ]
    return np.concatenate(sizes) if sizes else np.zeros(0)


def _no_climate(*shape: int) -> Climate:
    return Climate(normal=np.zeros((1, *shape), np.float32), change=np.zeros((1, HOURS, *shape), np.float32))


def _positive(values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    return np.where(values > 1e-12, values, 1.0)


def _single(values: Float[np.ndarray, "*shape"] | np.floating) -> Float32[np.ndarray, "*shape"]:
    return np.asarray(values, dtype=np.float32)
