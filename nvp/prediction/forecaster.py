"""What every predictor promises, whether ridge regression, a reference solver or a network.

A `Window` is what is known at time t, a `Forecast` what is said of t+1 … t+S. A forecaster sees nothing later than
time t, except the context of later steps where it is asked for `recorded` forcing (an oracle, scored apart).
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Int, Shaped

from nvp.atlas.series import Series
from nvp.dynamics.domain import DomainSpec, domain
from nvp.errors import FieldError

Forcing = Literal["frozen", "recorded"]

# kind of model in config.json → module whose `load(directory)` makes its forecaster
_KINDS: Mapping[str, str] = {
    "ridge": "nvp.model.ridge",
    "nvp": "nvp.prediction.rollout",
    "diffusion": "nvp.prediction.sampling",
    "literal": "nvp.prediction.literal",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """N starts of one series, each with the K frames up to its time t."""

    # E_{t-K+1} … E_t
    history: Float32[np.ndarray, "n k h w c"]
    # context fields at the same frames, by name
    context: Mapping[str, Float32[np.ndarray, "n k h w _"]] = field(default_factory=dict)
    # the same at t+1 … t+S-1, where recorded: what steps 2 … S may be told as an oracle
    forcing: Mapping[str, Float32[np.ndarray, "n _s h w _"]] = field(default_factory=dict)
    # numbers known for the whole series, by name
    parameters: Mapping[str, float] = field(default_factory=dict)
    # calendar time of frame t, where the series has one
    valid_time: Shaped[np.ndarray, "n"] | None = None
    # time step in the domain's unit of time
    dt: float
    domain: DomainSpec

    def __len__(self) -> int:
        return len(self.history)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Leads 1 … S of each start: mean and logarithm of the variance per cell, in units of the field."""

    mean: Float32[np.ndarray, "n s h w c"]
    # of all that is not known: what no model could know (aleatoric) and what this one does not (epistemic)
    log_var: Float32[np.ndarray, "n s h w c"]
    # net energy that leaves through open edges during each step; 0 where no edge is open
    outflow: Float32[np.ndarray, "n s"]
    # single futures of which `mean` is the mean, where there are several
    members: Float32[np.ndarray, "n m s h w c"] | None = None
    # logarithm of the epistemic part: the variance of the means of several checkpoints
    epistemic: Float32[np.ndarray, "n s h w c"] | None = None


@runtime_checkable
class Forecaster(Protocol):
    """Anything that continues a window."""

    @property
    def history(self) -> int:
        """Frames it wants."""
        ...

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        """Continue each start by `steps`; context stays as it is at t (`frozen`) or is taken from `window.forcing`."""
        ...


def windows(series: Series, *, history: int, starts: Sequence[int] | Int[np.ndarray, "n"], steps: int) -> Window:
    """Windows whose frame t lies at each of `starts` (positions in `series`), with forcing for `steps` leads.

    Raises `FieldError` where a window would begin before the series or its last lead end after it.
    """
    at = np.asarray(starts, dtype=np.int64)
    last = len(series) - 1 - steps
    if at.size and (at.min() < history - 1 or at.max() > last):
        raise FieldError(
            "OUT_OF_RANGE",
            f"expected starts in {history - 1} … {last} ({history} frames of history, {steps} steps, {len(series)} "
            f"frames), got {at.min()} … {at.max()}.",
            next_step="Choose starts within the series, fewer steps or a shorter history.",
        )
    past = at[:, None] + np.arange(1 - history, 1)
    later = at[:, None] + np.arange(1, steps)
    return Window(
        history=_frames(series.energy, past),
        context={name: _frames(values, past) for name, values in series.context.items()},
        forcing={name: _frames(values, later) for name, values in series.context.items()},
        parameters=series.parameters,
        valid_time=None if series.valid_time is None else series.valid_time[at],
        dt=series.dt,
        domain=domain(series.domain),
    )


def truth(
    series: Series, *, starts: Sequence[int] | Int[np.ndarray, "n"], steps: int
) -> Float32[np.ndarray, "n s h w c"]:
    """Frames t+1 … t+steps of each start: what a forecast is compared with."""
    return _frames(series.energy, np.asarray(starts, dtype=np.int64)[:, None] + np.arange(1, steps + 1))


def continuation(window: Window, *, history: int) -> Window:
    """The same window cut to its last `history` frames, as a forecaster with a shorter memory wants it."""
    have = window.history.shape[1]
    if have < history:
        raise FieldError(
            "TOO_SHORT",
            f"expected a window of at least {history} frames, got {have}.",
            next_step="Begin later in the series, or use a model with a shorter history.",
        )
    if have == history:
        return window
    return Window(
        history=window.history[:, -history:],
        context={name: values[:, -history:] for name, values in window.context.items()},
        forcing=window.forcing,
        parameters=window.parameters,
        valid_time=window.valid_time,
        dt=window.dt,
        domain=window.domain,
    )


def load_forecaster(directory: Path) -> Forecaster:
    """The forecaster that a checkpoint directory holds, by the `kind` in its config.json.

    Raises `FieldError` where there is none, or one of a kind that this version does not know.
    """
    path = Path(directory) / "config.json"
    try:
        kind = json.loads(path.read_text(encoding="utf-8"))["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FieldError(
            "BAD_CHECKPOINT",
            f"expected a checkpoint with a readable config.json in {directory}, got {type(error).__name__}.",
            next_step="Name the directory that a training wrote.",
        ) from error
    if kind not in _KINDS:
        raise FieldError(
            "BAD_CHECKPOINT",
            f"expected a model of kind {' or '.join(sorted(_KINDS))}, got {kind!r}.",
            next_step="Use the version of fieldgraph that wrote it.",
        )
    forecaster: Forecaster = importlib.import_module(_KINDS[kind]).load(Path(directory))
    return forecaster


def _frames(values: Float[np.ndarray, "t h w _"], at: Int[np.ndarray, "n k"]) -> Float32[np.ndarray, "n k h w _"]:
    return np.asarray(values[at], dtype=np.float32)
