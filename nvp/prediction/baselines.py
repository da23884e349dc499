"""Predictions that need no training: what any model must beat before it has learnt something.

All are `Forecaster`s. They claim nothing about their error, hence their log_var is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from nvp.atlas.series import Series
from nvp.dynamics.domain import domain
from nvp.dynamics.reference import carry
from nvp.errors import FieldError
from nvp.model.ridge import RidgeConfig, fit_ridge
from nvp.prediction.forecaster import Forcing, Forecast, Forecaster, Window


@dataclass(frozen=True, slots=True)
class Persistence:
    """E_{t+s} = E_t."""

    history: int = 1

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        return _claim_nothing(np.repeat(window.history[:, -1:], steps, axis=1))


@dataclass(frozen=True, slots=True)
class LinearExtrapolation:
    """E_{t+s} = E_t + s · (E_t − E_{t−1})."""

    history: int = 2

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        now, before = window.history[:, -1:], window.history[:, -2:-1]
        leads = np.arange(1, steps + 1, dtype=np.float32)[None, :, None, None, None]
        return _claim_nothing(now + leads * (now - before))


@dataclass(frozen=True, slots=True)
class KnownPhysics:
    """Transport in the velocity of time t: the domain's own finite-volume step, or first-order upwind."""

    high_order: bool
    history: int = 1

    @staticmethod
    def applies(context: Mapping[str, object], *, signed: bool, channels: int) -> bool:
        """Whether the velocity is known and the field is an energy that it can carry."""
        return "velocity" in context and not signed and channels == 1

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        """With `recorded` forcing, each step takes the velocity and source of its own beginning."""
        spec = window.domain
        if not self.applies(window.context, signed=spec.signed, channels=window.history.shape[-1]):
            raise FieldError(
                "NO_VELOCITY",
                f"expected an energy with a known velocity, got a series of {spec.name!r} without.",
                next_step="Leave this baseline out.",
            )
        energy, made, left = jnp.asarray(_padded(window.history[:, -1, ..., 0])), [], []
        for lead in range(steps):
            told = {
                name: _padded(values[:, -1] if lead == 0 or forcing == "frozen" else window.forcing[name][:, lead - 1])
                for name, values in window.context.items()
            }
            source = jnp.asarray(told["source"][..., 0]) if "source" in told else jnp.zeros_like(energy)
            end = carry(
                energy,
                jnp.asarray(told["velocity"]),
                source,
                duration=window.dt,
                diffusivity=window.parameters.get("diffusivity", 0.0),
                boundary_x=spec.boundary_x,
                boundary_y=spec.boundary_y,
                high_order=self.high_order,
            )
            energy = end.energy
            made.append(np.asarray(energy)[: len(window)])
            left.append(np.asarray(end.outflow)[: len(window)])
        return replace(_claim_nothing(np.stack(made, axis=1)[..., None]), outflow=np.stack(left, axis=1))


def rivals_for(
    series: Sequence[Series], fit: Sequence[Series] = (), validation: Sequence[Series] = ()
) -> dict[str, Forecaster]:
    """The baselines that apply to `series`, by name; ridge learns from `fit` and `validation`."""
    rivals: dict[str, Forecaster] = {"persistence": Persistence(), "linear_extrapolation": LinearExtrapolation()}
    if not series:
        return rivals
    spec, channels = domain(series[0].domain), series[0].energy.shape[-1]
    config = RidgeConfig()
    if channels == 1 and any(len(one) > config.history for one in fit):
        rivals["ridge"] = fit_ridge(fit, config, validation=validation)
    if all(KnownPhysics.applies(one.context, signed=spec.signed, channels=channels) for one in series):
        rivals |= {"upwind": KnownPhysics(high_order=False), "frozen": KnownPhysics(high_order=True)}
    return rivals


def _padded(values: Float32[np.ndarray, "n *rest"]) -> Float32[np.ndarray, "m *rest"]:
    """Repeat the last up to 1, 2, 3, 4, 6, 8, 12, 16, …, so that few programs are compiled and little is wasted."""
    whole = 1 << (len(values) - 1).bit_length()
    size = 3 * whole // 4 if 4 * len(values) <= 3 * whole and whole > 2 else whole
    missing = size - len(values)
    return np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])


def _claim_nothing(mean: Float32[np.ndarray, "n s h w c"]) -> Forecast:
    return Forecast(
        mean=mean, log_var=np.full(mean.shape, np.nan, np.float32), outflow=np.zeros(mean.shape[:2], np.float32)
    )
