"""Forecasts from disturbed inputs: what is done to the field before it is predicted from, the truth stays as it is.

Each frame is disturbed by itself, out of the seed and its own content: every forecaster that is given the frame sees
the same disturbance. Known context (the velocity, the source) and the totals that are scored stay as they were.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from nvp.dynamics.perturbations import (
    apply_energy_scaling,
    apply_gaussian_noise,
    apply_rotation,
    apply_thermal_blur,
    apply_translation,
)
from nvp.errors import FieldError
from nvp.prediction.forecaster import Forcing, Forecast, Forecaster, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbed:
    """A forecaster that is shown something else than what there was."""

    forecaster: Forecaster
    # by the names and in the units of `nvp.dynamics.perturbations`; a translation goes along x
    operation: str
    amount: float
    rng_seed: int = 0

    @property
    def history(self) -> int:
        """Frames it wants."""
        return self.forecaster.history

    @property
    def config(self) -> Any:
        """What a network says that it is given; None for others."""
        return getattr(self.forecaster, "config", None)

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        """Continue the disturbed window; raises `FieldError` for fields that are no energies."""
        frames = window.history
        if window.domain.signed or frames.shape[-1] != 1:
            raise FieldError(
                "BAD_PERTURBATION",
                f"expected energies to disturb, got a signed field or several channels in {window.domain.name}.",
                next_step="Say the claim without a perturbation.",
            )
        boundary = "wrap" if {window.domain.boundary_x, window.domain.boundary_y} == {"periodic"} else "reflect"
        shown = np.stack(
            [np.stack([self._disturbed(frame[..., 0], boundary) for frame in start])[..., None] for start in frames]
        )
        return self.forecaster.forecast(replace(window, history=shown.astype(np.float32)), steps, forcing)

    def _disturbed(self, frame: Float[np.ndarray, "h w"], boundary: str) -> Float[np.ndarray, "h w"]:
        match self.operation:
            case "gaussian_noise":
                content = hashlib.blake2b(np.ascontiguousarray(frame).tobytes(), digest_size=8).digest()
                rng = np.random.default_rng((self.rng_seed, int.from_bytes(content, "little")))
                return apply_gaussian_noise(frame, self.amount, rng=rng).energy
            case "thermal_blur":
                return apply_thermal_blur(frame, self.amount, boundary=boundary).energy
            case "rotation":
                return apply_rotation(frame, self.amount, boundary=boundary).energy
            case "translation":
                return apply_translation(frame, int(self.amount), 0, boundary=boundary).energy
            case "energy_scaling":
                return apply_energy_scaling(frame, self.amount).energy
        raise FieldError(
            "BAD_PERTURBATION", f"expected a known operation, got {self.operation!r}.", next_step="Correct the claim."
        )
