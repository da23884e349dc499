"""Ridge regression of the next change on a neighbourhood: the first model, and a baseline that networks must beat.

E_{t+1} − E_t in a cell is a linear function of the patches around it in the last frames, relative to the mean of frame
t; of how that mean changed; and, where the series has calendar time, of the hour of day (harmonics, and the mean change
of this very cell at this hour over the days seen). Weights are shared by all cells. Where nothing enters or leaves, the
mean of the predicted change is removed, so that ΣP = ΣE.

Least squares weigh a pair by its change, as the pooled fidelity does. Normal equations in float64; the penalty is
chosen by the pooled fidelity on validation series where there are any (Hoerl & Kennard, Technometrics 12, 55, 1970).

Measured on hourly 2 m temperature (ERA5, 32×48 cells, 21 days; fitted to the first 60 % less a day, last fifth scored):
pooled fidelity 0.366, mean of pairs 0.272; with two frames 0.364 and 0.273.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, Shaped

from nvp.atlas.canonical import parameters_digest
from nvp.atlas.series import Series
from nvp.dynamics.domain import DomainSpec, domain
from nvp.errors import FieldError
from nvp.prediction.forecaster import Forcing, Forecast, Window, windows

DAY_S = 86400.0
# windows whose features are in memory together
_CHUNK = 16
_VERSION = 1
WEIGHTS = "weights.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class RidgeConfig:
    """What ridge regression looks at."""

    # frames, at least 1
    history: int = 3
    # cells per side of the neighbourhood, odd
    patch: int = 5
    # harmonics of the day, where there is calendar time
    harmonics: int = 2
    # penalties to choose from, relative to the number of rows; the first is taken where there is nothing to choose on
    penalties: tuple[float, ...] = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
    # rows (cells × pairs) that the fit uses: evenly spaced pairs beyond that
    max_rows: int = 600_000

    def __post_init__(self) -> None:
        if self.history < 1 or self.patch < 1 or self.patch % 2 == 0 or not self.penalties:
            raise FieldError(
                "BAD_CONFIG",
                f"expected history >= 1, an odd patch and a penalty, got {self.history}, "
                f"{self.patch} and {self.penalties}.",
                next_step="Use the defaults: 3, 5.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ridge:
    """A fitted ridge regression: a `Forecaster`."""

    config: RidgeConfig
    domain: DomainSpec
    # penalty that was chosen
    penalty: float
    # standard deviation of the fields it was fitted to: features and target are in this unit
    scale: float
    # variance of the residual change, in units² of the field
    residual: float
    weights: Float64[np.ndarray, "f"]
    # mean change of each cell in each of the equal parts of a day, in units of `scale`; no parts without calendar time
    daily: Float64[np.ndarray, "parts h w"]

    @property
    def history(self) -> int:
        return self.config.history

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        """Continue by `steps`, each from the ones before; it uses no context, so that `forcing` makes no difference."""
        frames = _single_channel(window.history)[:, -self.history :]
        made = []
        for lead in range(steps):
            seconds = None if window.valid_time is None else _seconds_of_day(window.valid_time) + lead * window.dt
            change = np.concatenate(
                [
                    self._change(frames[cut], None if seconds is None else seconds[cut])
                    for cut in (slice(i, i + _CHUNK) for i in range(0, len(frames), _CHUNK))
                ]
            )
            made.append(frames[:, -1] + change)
            frames = np.concatenate([frames[:, 1:], made[-1][:, None]], axis=1)
        mean = np.stack(made, axis=1)[..., None].astype(np.float32)
        # errors of successive steps add up as if independent
        variance = self.residual * np.arange(1, steps + 1, dtype=np.float32)[None, :, None, None, None]
        return Forecast(
            mean=mean,
            log_var=np.broadcast_to(np.log(variance), mean.shape).astype(np.float32),
            outflow=np.zeros(mean.shape[:2], np.float32),
        )

    @property
    def sha256(self) -> str:
        """Of all that was fitted."""
        return parameters_digest({"daily": self.daily, "weights": self.weights})

    def save(self, directory: Path) -> None:
        """Write config.json and weights.npz."""
        directory.mkdir(parents=True, exist_ok=True)
        np.savez(directory / WEIGHTS, weights=self.weights, daily=self.daily)
        about = {
            "kind": "ridge",
            "version": _VERSION,
            "domain": self.domain.name,
            "config": asdict(self.config),
            "penalty": self.penalty,
            "scale": self.scale,
            "residual": self.residual,
        }
        (directory / "config.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")

    def _change(
        self, frames: Float[np.ndarray, "n k h w"], seconds: Float[np.ndarray, "n"] | None
    ) -> Float[np.ndarray, "n h w"]:
        """Predicted change, in units of the field."""
        if len(self.daily) and seconds is None:
            raise FieldError(
                "NO_CALENDAR",
                "expected a series with calendar time, as this model was fitted to.",
                next_step="Ingest the file with its time axis.",
            )
        if len(self.daily) and self.daily.shape[1:] != frames.shape[2:]:
            raise FieldError(
                "BAD_SHAPE",
                f"expected fields of {self.daily.shape[1:]} cells, got {frames.shape[2:]}.",
                next_step="Fit a model on this grid.",
            )
        daily = self.daily[_part(seconds, len(self.daily))] if seconds is not None and len(self.daily) else None
        features = _features(frames, self.config, self.domain, self.scale, seconds, daily)
        change: Float[np.ndarray, "n h w"] = (features @ self.weights) * self.scale
        return change - change.mean(axis=(1, 2), keepdims=True) if self.domain.closed else change


def fit_ridge(
    series: Sequence[Series], config: RidgeConfig | None = None, *, validation: Sequence[Series] = ()
) -> Ridge:
    """Fit to all pairs of `series`; the penalty is the best on `validation`.

    Raises `FieldError` where no series is longer than the history, or a field has several channels.
    """
    config = config or RidgeConfig()
    usable = [one for one in series if len(one) > config.history]
    if not usable:
        raise FieldError(
            "TOO_SHORT",
            f"expected a series of more than {config.history} frames to fit to, got none.",
            next_step="Give longer series or a shorter history.",
        )
    spec = domain(usable[0].domain)
    scale = float(np.sqrt(np.mean([_single_channel(one.energy).var(dtype=np.float64) for one in usable]))) or 1.0
    sums, counts = _daily_sums(usable, config.history, scale)

    # normal equations over evenly spaced pairs
    gram, moment, squares, rows = np.zeros((1, 1)), np.zeros(1), 0.0, 0
    for window, target in _batches(usable, config):
        frames = _single_channel(window.history)
        seconds = None if window.valid_time is None else _seconds_of_day(window.valid_time)
        change = (target - frames[:, -1]).astype(np.float64) / scale
        daily = None
        if seconds is not None and len(sums):
            # the mean of the other days: a cell's own change must not tell itself
            part = _part(seconds, len(sums))
            daily = (sums[part] - change) / np.maximum(counts[part] - 1, 1)[:, None, None]
        x = _features(frames, config, spec, scale, seconds, daily).reshape(change.size, -1)
        gram, moment = gram + x.T @ x, moment + x.T @ change.ravel()
        squares, rows = squares + float((change**2).sum()), rows + change.size

    def solve(penalty: float) -> Ridge:
        weights = np.linalg.solve(gram + penalty * rows * np.eye(len(moment)), moment)
        residual = float(squares - 2 * weights @ moment + weights @ gram @ weights) / rows * scale**2
        return Ridge(
            config=config,
            domain=spec,
            penalty=penalty,
            scale=scale,
            residual=max(residual, 1e-12),
            weights=weights,
            daily=sums / np.maximum(counts, 1)[:, None, None],
        )

    usable_validation = [one for one in validation if len(one) > config.history]
    if not usable_validation or len(config.penalties) == 1:
        return solve(config.penalties[0])
    return min(
        (solve(penalty) for penalty in config.penalties), key=lambda model: _squared_error(model, usable_validation)
    )


def load(directory: Path) -> Ridge:
    """The ridge regression that `Ridge.save` wrote."""
    about = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    if about["version"] != _VERSION:
        raise FieldError(
            "BAD_CHECKPOINT",
            f"expected a ridge regression of version {_VERSION}, got {about['version']}.",
            next_step="Fit it again.",
        )
    settings = about["config"] | {"penalties": tuple(about["config"]["penalties"])}
    with (directory / WEIGHTS).open("rb") as file, np.load(file) as arrays:
        return Ridge(
            config=RidgeConfig(**settings),
            domain=domain(about["domain"]),
            penalty=about["penalty"],
            scale=about["scale"],
            residual=about["residual"],
            weights=arrays["weights"],
            daily=arrays["daily"],
        )


def _features(
    frames: Float[np.ndarray, "n k h w"],
    config: RidgeConfig,
    spec: DomainSpec,
    scale: float,
    seconds: Float[np.ndarray, "n"] | None,
    daily: Float[np.ndarray, "n h w"] | None,
) -> Float64[np.ndarray, "n h w f"]:
    """All that the change in a cell is regressed on."""
    n, k, h, w = frames.shape
    means = frames.mean(axis=(2, 3), dtype=np.float64)
    anomalies = (frames - means[:, -1, None, None, None]) / scale
    reach = config.patch // 2
    for axis, boundary in ((2, spec.boundary_y), (3, spec.boundary_x)):
        widths = [(0, 0)] * 4
        widths[axis] = (reach, reach)
        anomalies = np.pad(anomalies, widths, mode="wrap" if boundary == "periodic" else "edge")
    columns = [
        anomalies[:, j, a : a + h, b : b + w]
        for j in range(k)
        for a in range(config.patch)
        for b in range(config.patch)
    ]
    # numbers that are the same in all cells
    whole = [np.ones(n), *((means[:, 1:] - means[:, :-1]) / scale).T]
    if seconds is not None:
        phase = 2 * np.pi * seconds / DAY_S
        whole += [wave(m * phase) for m in range(1, config.harmonics + 1) for wave in (np.sin, np.cos)]
    columns += [np.broadcast_to(value[:, None, None], (n, h, w)) for value in whole]
    if daily is not None:
        columns.append(daily)
    return np.stack(columns, axis=-1)


def _batches(series: Sequence[Series], config: RidgeConfig) -> Iterator[tuple[Window, Float32[np.ndarray, "n h w"]]]:
    """Windows and the frames that follow, evenly spaced so that the rows stay within `max_rows`."""
    cells = series[0].energy.shape[1] * series[0].energy.shape[2]
    pairs = sum(len(one) - config.history for one in series)
    stride = max(1, int(np.ceil(pairs * cells / config.max_rows)))
    for one in series:
        starts = np.arange(config.history - 1, len(one) - 1, stride)
        for i in range(0, len(starts), _CHUNK):
            at = starts[i : i + _CHUNK]
            yield (
                windows(one, history=config.history, starts=at, steps=1),
                _single_channel(one.energy[at + 1]).astype(np.float32),
            )


def _daily_sums(
    series: Sequence[Series], history: int, scale: float
) -> tuple[Float64[np.ndarray, "parts h w"], Int[np.ndarray, "parts"]]:
    """Sum and number of changes of each cell in each part of the day; no parts where time is no calendar's."""
    h, w = series[0].energy.shape[1:3]
    per_day = DAY_S / series[0].dt
    calendar = all(one.valid_time is not None for one in series) and per_day >= 1 and per_day == round(per_day)
    parts = round(per_day) if calendar else 0
    sums, counts = np.zeros((parts, h, w)), np.zeros(parts, np.int64)
    for one in series if calendar else ():
        assert one.valid_time is not None
        at = np.arange(history - 1, len(one) - 1)
        part = _part(_seconds_of_day(one.valid_time[at]), parts)
        np.add.at(sums, part, (_single_channel(one.energy[at + 1]) - _single_channel(one.energy[at])) / scale)
        np.add.at(counts, part, 1)
    return sums, counts


def _squared_error(model: Ridge, series: Sequence[Series]) -> float:
    """Σ‖P − T‖² over all pairs: the smallest has the highest pooled fidelity."""
    error = 0.0
    for window, target in _batches(series, model.config):
        error += float(((model.forecast(window, 1).mean[:, 0, ..., 0] - target).astype(np.float64) ** 2).sum())
    return error


def _single_channel(field: Float[np.ndarray, "*n h w c"]) -> Float[np.ndarray, "*n h w"]:
    if field.shape[-1] != 1:
        raise FieldError(
            "BAD_SHAPE",
            f"expected a field with one channel, got {field.shape[-1]}.",
            next_step="Use a network for fields with several channels.",
        )
    return field[..., 0]


def _seconds_of_day(valid_time: Shaped[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    instants = valid_time.astype("datetime64[ns]")
    seconds: Float64[np.ndarray, "n"] = (instants - instants.astype("datetime64[D]")) / np.timedelta64(1, "s")
    return seconds


def _part(seconds: Float[np.ndarray, "n"], parts: int) -> Int[np.ndarray, "n"]:
    """Number of the part of the day."""
    part: Int[np.ndarray, "n"] = np.floor(seconds * parts / DAY_S + 1e-6).astype(np.int64) % parts
    return part
