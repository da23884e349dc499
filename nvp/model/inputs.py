"""What the network is given, as arrays: made of a `Window` or of training examples, on the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from nvp.atlas.series import SIDE, Series
from nvp.errors import FieldError
from nvp.model.config import NVPConfig
from nvp.prediction.forecaster import Window

_SECONDS_OF_DAY = 86_400
_SECONDS_OF_YEAR = 31_556_952


class Inputs(NamedTuple):
    """A batch of states at time t: of numpy arrays on the host, of JAX arrays in the network; float32."""

    # (b, k, h, w, c): E_{t-K+1} … E_t
    history: Any
    # (b, h, w, x): context fields, stacked along the channels in order of `config.context_layout`
    context: Any
    # (b, p): parameters in order of `config.parameters`
    parameters: Any
    # (b, 2): share of the day and of the year that has passed at t, 0 … 1; zeros without a calendar
    clock: Any
    # (b): time step in the domain's unit (seconds where there is a calendar)
    dt: Any
    # (b): group of days whose climate the network is not to be told, since the truth is among them; 0 for none
    apart: Any


def inputs_of(config: NVPConfig, window: Window) -> Inputs:
    """Inputs at frame t of each start; raises `FieldError` where the window lacks what the network was told."""
    n, frames, height, width, channels = window.history.shape
    if frames != config.history or channels != config.channels:
        raise FieldError(
            "BAD_WINDOW",
            f"expected {config.history} frames of {config.channels} channels, got {frames} of {channels}.",
            next_step="Cut the window to the forecaster's history.",
        )
    if height % SIDE or width % SIDE or config.site not in (None, (height, width)):
        wanted = f"height and width divisible by {SIDE}" if config.site is None else f"the grid {config.site}"
        raise FieldError(
            "BAD_WINDOW", f"expected {wanted}, got {height} × {width}.", next_step="Crop or regrid the field."
        )
    lacking = [name for name, _ in config.context if name not in window.context]
    lacking += [name for name in config.parameters if name not in window.parameters]
    if config.calendar and window.valid_time is None:
        lacking.append("valid_time")
    if lacking:
        raise FieldError(
            "BAD_WINDOW",
            f"expected a window with {', '.join(lacking)}, got none.",
            next_step="Take a window of the kind of series that the network was trained on.",
        )
    return Inputs(
        history=window.history,
        context=context_at(config, window, 0),
        parameters=np.tile(
            np.array([[window.parameters[name] for name in config.parameters]], np.float32).reshape(1, -1), (n, 1)
        ),
        clock=clock_of(window.valid_time if config.calendar else None, n),
        dt=np.full(n, window.dt, np.float32),
        apart=np.zeros(n, np.int32),
    )


def context_at(config: NVPConfig, window: Window, step: int) -> Float[np.ndarray, "n h w x"]:
    """Context `step` steps after t and as many frames before that as the network wants, the latest first.

    Frames up to t come from the window, later ones from its forcing.
    """
    frames = []
    for at in range(step, step - config.context_history, -1):
        source = window.forcing if at > 0 else window.context
        frames.append({name: source[name][:, at - 1] for name, _ in config.context})
    return _stacked(config, frames, window.history)


def context_of(
    config: NVPConfig, chosen: Sequence[tuple[Series, int]], step: int, like: Float[np.ndarray, "n k h w c"]
) -> Float[np.ndarray, "n h w x"]:
    """The same for frames t of series."""
    frames = [
        {name: np.stack([series.context[name][t + at] for series, t in chosen]) for name, _ in config.context}
        for at in range(step, step - config.context_history, -1)
    ]
    return _stacked(config, frames, like)


def _stacked(
    config: NVPConfig, frames: list[dict[str, Float[np.ndarray, "n h w _"]]], like: Float[np.ndarray, "n k h w c"]
) -> Float[np.ndarray, "n h w x"]:
    """Context fields along one axis, in the network's order."""
    n, _, height, width, _ = like.shape
    parts = [np.asarray(frame[name], np.float32) for frame in frames for name, _ in config.context]
    return np.concatenate(parts, axis=-1) if parts else np.zeros((n, height, width, 0), np.float32)


def clock_of(valid_time: Shaped[np.ndarray, "n"] | None, n: int) -> Float[np.ndarray, "n 2"]:
    """Share of the day and of the year."""
    if valid_time is None:
        return np.zeros((n, 2), np.float32)
    seconds = valid_time.astype("datetime64[s]").astype(np.int64)
    year = (seconds % _SECONDS_OF_YEAR) / _SECONDS_OF_YEAR
    return np.stack([(seconds % _SECONDS_OF_DAY) / _SECONDS_OF_DAY, year], axis=-1).astype(np.float32)
