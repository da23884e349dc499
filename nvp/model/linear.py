"""The linear path of a network of one site: what a penalised regression makes of the last frames, solved, not trained.

With a = (E − normal − cycle of the hour)/σ, the anomaly of each cell from its climate, the change over the next step is

    ΔE/σ = Σ_m m · (K_m ∗ [a_t − ⟨a_t⟩, a_t − a_{t−1}, a_{t−1} − a_{t−2}, …])  +  w · x

where the kernels K_m are 11 × 11 cells for the modulator m = 1, and 5 × 5 for how restless the cell is (its rms change
relative to that of all cells, less 1) and for sine and cosine of the hour. The columns x are what is known of cell and
hour: the mean change at this hour and the hours of the frames before, the change by the motion that the frames show
(`motion.py`), harmonics of the day, and the last changes and that motion once more for each hour of the day by itself,
because observations enter an analysis at fixed hours and the change across such an hour does not go on.

Weights are shared by all cells, and penalised: distant neighbours more than near ones, single hours more than all
hours together (Hoerl & Kennard, Technometrics 12, 1970). The strength is chosen inside the training part, by its blocks
of days left out in turn. Climate is told without the days that a row is from (`climate.py`). The network then learns
what this leaves over; without a fit all weights are 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial, reduce
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Float64, Int

from nvp.model.climate import HOURS, daily_cycle
from nvp.model.config import NVPConfig
from nvp.model.hints import carried, slopes
from nvp.model.inputs import Inputs
from nvp.model.motion import motion
from nvp.model.padding import Boundaries, pad

# cells per side of the kernels: of the plain one, and of those for restlessness, sine and cosine
_WIDE, _NARROW = 11, 5
_MODULATORS = 3
# distance (cells) over which what is expected of a weight falls by e, for either kernel
_WIDE_FADE, _NARROW_FADE = 3.0, 4.0
# what is expected of a weight beside that of a plain column: by sine or cosine, by single hours, of cell and hour
_BY_WAVE, _BY_HOUR, _BY_CELL = 0.3, 0.1, 0.3
# penalties to choose from, relative to the number of rows
PENALTIES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
# blocks of days that are left out in turn for the choice
_BLOCKS = 4
# rows (cells of windows) that the fit uses at most: evenly spread cells beyond that
_MAX_ROWS = 120_000
_HARMONICS = 2
_SECONDS_OF_DAY = 86_400.0


class Known(NamedTuple):
    """What the regression sees of one channel, in units of the field's deviation."""

    # anomaly less its mean, and its last changes
    anomalies: Float[Array, "b h w k"]
    # restlessness, sine and cosine of the hour
    modulators: Float[Array, "b h w 3"]
    columns: Float[Array, "b h w q"]


class Constants(NamedTuple):
    """What is fitted before (`statistics.py`): as in `Statistics`, of one channel or of all."""

    normal: Float[Array, "g h w *c"]
    climate: Float[Array, "g hours h w *c"]
    activity: Float[Array, "h w *c"]
    deviation: Float[Array, "*c"]
    dt: Float[Array, ""]


def weights_of(config: NVPConfig) -> int:
    """How many weights there are for each channel."""
    return len(_expected(config))


def linear_change(
    config: NVPConfig, constants: Constants, weights: Float[Array, "f c"], inputs: Inputs
) -> Float[Array, "b h w c"]:
    """The regression's change over the next step, in units of the field."""

    def one(constants: Constants, weights: Float[Array, "f"], history: Float[Array, "b k h w"]) -> Array:
        known = known_of(config, constants, inputs, history)
        k, wide = known.anomalies.shape[-1], _WIDE**2 * known.anomalies.shape[-1]
        narrow = wide + _MODULATORS * _NARROW**2 * k
        plain = _convolved(known.anomalies, weights[:wide].reshape(_WIDE, _WIDE, k, 1), _boundaries(config))
        kernels = jnp.moveaxis(weights[wide:narrow].reshape(_MODULATORS, _NARROW, _NARROW, k), 0, -1)
        modulated = _convolved(known.anomalies, kernels, _boundaries(config)) * known.modulators
        change = plain[..., 0] + modulated.sum(axis=-1) + known.columns @ weights[narrow:]
        return change * constants.deviation

    # the time step is the same for all channels
    axes: Any = Constants(*(-1,) * 4, None)  # type: ignore[arg-type]
    found: Float[Array, "b h w c"] = jax.vmap(one, in_axes=(axes, -1, -1), out_axes=-1)(
        constants, weights, inputs.history
    )
    return found


def known_of(config: NVPConfig, constants: Constants, inputs: Inputs, history: Float[Array, "b k h w"]) -> Known:
    """What the regression sees of one channel."""
    k, unit = history.shape[1], constants.deviation
    day = inputs.clock[:, 0]
    ago = inputs.dt / _SECONDS_OF_DAY
    hours = [hour_at(day - j * ago) for j in range(k)]
    apart = jnp.broadcast_to(inputs.apart, day.shape)
    # of the days that may be known
    climate = jnp.take(constants.climate, apart, axis=0) / unit
    cycle = daily_cycle(climate, axis=1, dt=constants.dt)
    normal = jnp.take(constants.normal, apart, axis=0) / unit
    frames = [history[:, k - 1 - j] / unit for j in range(k)]
    changes = [newer - older for newer, older in pairwise(frames)]
    anomalies = [frame - normal - _at(cycle, hour) for frame, hour in zip(frames, hours, strict=True)]
    mean = frames[0].mean(axis=(1, 2), keepdims=True)
    restless = constants.activity / jnp.sqrt(jnp.mean(constants.activity**2)) - 1

    whole, cell = jnp.ones_like(frames[0]), [normal - mean, frames[0] - mean]
    waves = [wave(2 * jnp.pi * m * day)[:, None, None] for m in range(1, _HARMONICS + 1) for wave in (jnp.sin, jnp.cos)]
    moved = _moved(frames, changes, _boundaries(config))
    usual = [_at(climate, hour) for hour in hours]
    own = [*changes, *moved[:2], usual[0]]
    clock = jax.nn.one_hot(hours[0], HOURS)[:, None, None, :]
    by_hour = (clock[..., None] * jnp.stack(own, axis=-1)[..., None, :]).reshape(*whole.shape, -1)
    means = [change.mean(axis=(1, 2), keepdims=True) for change in changes]
    plain = [whole, *(x * whole for x in (*means, *waves)), *moved, *usual]
    of_cell = [*cell, *(x * wave for wave in waves for x in cell)]
    return Known(
        anomalies=jnp.stack(
            [
                anomalies[0] - anomalies[0].mean(axis=(1, 2), keepdims=True),
                *(newer - older for newer, older in pairwise(anomalies)),
            ],
            axis=-1,
        ),
        modulators=jnp.stack([restless[None] * whole, waves[0] * whole, waves[1] * whole], axis=-1),
        columns=jnp.concatenate([jnp.stack([*plain, *of_cell], axis=-1), by_hour], axis=-1),
    )


@partial(jax.jit, static_argnames=("config",))
def rows_of(
    config: NVPConfig, constants: Constants, inputs: Inputs, history: Float[Array, "b k h w"]
) -> Float[Array, "b h w f"]:
    """The same as one row of numbers per cell, in the order of the weights."""
    known = known_of(config, constants, inputs, history)
    wide = _patches(known.anomalies, _WIDE, _boundaries(config))
    narrow = _patches(known.anomalies, _NARROW, _boundaries(config))
    modulated = [known.modulators[..., m : m + 1] * narrow for m in range(_MODULATORS)]
    return jnp.concatenate([wide, *modulated, known.columns], axis=-1)


def fit_linear(
    config: NVPConfig,
    constants: Constants,
    batches: Iterable[tuple[Inputs, Float32[np.ndarray, "b h w c"]]],
    *,
    stride: int = 1,
) -> Float32[np.ndarray, "f c"]:
    """Weights out of windows and the frames that follow them, each window told the climate without its own days.

    Every `stride`-th cell along either axis is a row; which of them differs from window to window.
    """
    sums = [_Sums(weights_of(config)) for _ in range(config.channels)]
    for inputs, truth in batches:
        picks = np.arange(len(truth)) % stride**2
        for channel, found in enumerate(sums):
            of_channel = jax.tree.map(lambda leaf, c=channel: leaf[..., c] if leaf.ndim else leaf, constants)
            x = np.asarray(rows_of(config, of_channel, inputs, inputs.history[..., channel]))
            y = (truth[..., channel] - inputs.history[:, -1, ..., channel]) / of_channel.deviation
            for i, (pick, group) in enumerate(zip(picks, inputs.apart, strict=True)):
                cells = (slice(pick // stride, None, stride), slice(pick % stride, None, stride))
                found.add(int(group), x[i][cells], np.asarray(y[i][cells], np.float32))
    return np.stack([found.solve(_expected(config)) for found in sums], axis=-1).astype(np.float32)


def stride_for(windows: int, cells: int) -> int:
    """Spacing of the cells that keeps the rows within what a fit should use."""
    return max(1, int(np.ceil(np.sqrt(windows * cells / _MAX_ROWS))))


class _Equations(NamedTuple):
    """Normal equations of some rows."""

    gram: Float64[np.ndarray, "f f"]
    moment: Float64[np.ndarray, "f"]
    rows: int

    def plus(self, other: _Equations, sign: int = 1) -> _Equations:
        """With the rows of another, or without them."""
        return _Equations(
            self.gram + sign * other.gram, self.moment + sign * other.moment, self.rows + sign * other.rows
        )

    def solve(self, scale: Float64[np.ndarray, "f"], penalty: float) -> Float64[np.ndarray, "f"]:
        """argmin Σ(y − xw)² + penalty · rows · Σ(w/scale)²."""
        scaled = self.gram * scale[:, None] * scale + penalty * self.rows * np.eye(len(scale))
        weights: Float64[np.ndarray, "f"] = scale * np.linalg.solve(scaled, scale * self.moment)
        return weights


class _Sums:
    """Normal equations by group of days."""

    def __init__(self, size: int) -> None:
        self.none = _Equations(np.zeros((size, size)), np.zeros(size), 0)
        self.by_group: dict[int, _Equations] = {}

    def add(self, group: int, x: Float32[np.ndarray, "h w f"], y: Float32[np.ndarray, "h w"]) -> None:
        x, y = x.reshape(-1, x.shape[-1]), y.ravel()
        new = _Equations((x.T @ x).astype(np.float64), (x.T @ y).astype(np.float64), len(y))
        self.by_group[group] = self.by_group.get(group, self.none).plus(new)

    def solve(self, expected: Float64[np.ndarray, "f"]) -> Float64[np.ndarray, "f"]:
        """Weights under the penalty that leaves the smallest error on blocks of days left out."""
        blocks = [part for part in np.array_split(sorted(self.by_group), _BLOCKS) if len(part)]
        parts = [reduce(_Equations.plus, [self.by_group[group] for group in block]) for block in blocks]
        whole = reduce(_Equations.plus, parts)
        # each column in the unit in which its weight is expected to be as large as the others'
        scale = expected / np.sqrt(np.maximum(np.diag(whole.gram) / whole.rows, 1e-12))
        if len(parts) == 1:
            return whole.solve(scale, PENALTIES[len(PENALTIES) // 2])

        def left(penalty: float) -> float:
            error = 0.0
            for part in parts:
                weights = whole.plus(part, -1).solve(scale, penalty)
                # less Σy², which is the same for all
                error += float(weights @ part.gram @ weights - 2 * weights @ part.moment)
            return error

        return whole.solve(scale, min(PENALTIES, key=left))


def _expected(config: NVPConfig) -> Float64[np.ndarray, "f"]:
    """How large each weight is expected to be, relative to one of a plain column in its own unit."""
    k = config.history
    wide = np.repeat(_fading(_WIDE, _WIDE_FADE), k)
    narrow = np.repeat(_fading(_NARROW, _NARROW_FADE), k)
    modulated = np.concatenate([narrow, _BY_WAVE * narrow, _BY_WAVE * narrow])
    moved = 3 if k > 1 else 0
    plain = np.ones(1 + (k - 1) + 2 * _HARMONICS + moved + k)
    of_cell = np.full(2 * (1 + 2 * _HARMONICS), _BY_CELL)
    by_hour = np.full(HOURS * (k - 1 + min(moved, 2) + 1), _BY_HOUR)
    return np.concatenate([wide, modulated, plain, of_cell, by_hour])


def _fading(width: int, fade: float) -> Float64[np.ndarray, "cells"]:
    reach = np.arange(width) - width // 2
    return np.exp(-np.hypot(reach[:, None], reach[None, :]) / fade).ravel()


def _moved(frames: list[Array], changes: list[Array], boundaries: Boundaries) -> list[Array]:
    """Changes by the motion that the frames show: to first order, of the last change, and along the path."""
    if not changes:
        return []
    frames, changes = ([field[..., None] for field in fields] for fields in (frames, changes))
    velocity = motion(frames, changes, boundaries)[..., 0, :]
    gx, gy = slopes(frames[0], boundaries)
    first = -(velocity[..., 0] * gx[..., 0] + velocity[..., 1] * gy[..., 0])
    brought = carried(jnp.concatenate([changes[0], frames[0]], axis=-1), velocity, boundaries)
    return [first, brought[..., 0], brought[..., 1] - frames[0][..., 0]]


def _patches(field: Float[Array, "b h w k"], width: int, boundaries: Boundaries) -> Float[Array, "b h w f"]:
    """All cells around each cell, channels last: in the order of a convolution's kernel."""
    b, h, w, _ = field.shape
    reach = np.arange(width)
    rows = np.arange(h)[:, None, None, None] + reach[:, None]
    columns = np.arange(w)[:, None, None] + reach[None, :]
    # one gather: slices would take long to compile
    return pad(field, width // 2, boundaries)[:, rows, columns].reshape(b, h, w, -1)


def _convolved(
    field: Float[Array, "b h w k"], kernel: Float[Array, "r r k m"], boundaries: Boundaries
) -> Float[Array, "b h w m"]:
    padded = pad(field, kernel.shape[0] // 2, boundaries)
    found: Float[Array, "b h w m"] = jax.lax.conv_general_dilated(
        padded, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return found


def _at(values: Float[Array, "b hours h w"], hour: Int[Array, "b"]) -> Float[Array, "b h w"]:
    return jnp.take_along_axis(values, hour[:, None, None, None], axis=1)[:, 0]


def hour_at(day: Float[Array, "b"]) -> Int[Array, "b"]:
    """Hour of the day out of the share of it that has passed."""
    # a little later than given: a share of the day is not exact in float32
    return jnp.floor(day * HOURS + 1e-3).astype(jnp.int32) % HOURS


def _boundaries(config: NVPConfig) -> Boundaries:
    return config.boundary_y, config.boundary_x
