"""Configurations of the simulators: what a recipe holds. No JAX here, so that the API can check one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from nvp.errors import FieldError

MAX_SCALE = 1024
MAX_CELLS = 1 << 28
"""Cells of a sequence's frames: 1 GiB in memory."""
MAX_FLOW_STEPS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FluidConfig:
    """`fluid_dynamics`: heat carried by decaying two-dimensional turbulence on a periodic square.

    Lengths are in grid units (the cell width is 1) and velocities in grid units per unit time, so that one time step
    moves the field equally far at every scale; a wider grid simply holds more eddies.
    """

    # cells per side; a multiple of 8, at most MAX_SCALE
    scale: int = 64
    # frames per sequence, at least 2
    steps: int = 30
    # time between frames: the displacement per frame in grid units, since the rms velocity is 1 per component
    dt: float = 2.1
    # kinematic viscosity of the flow and diffusivity of E, each drawn log-uniformly per sequence (grid units² per time)
    viscosity: tuple[float, float] = (0.07, 0.14)
    diffusivity: tuple[float, float] = (0.12, 0.25)
    # wavelength at which the first vorticity and the first E have most of their variance (grid units)
    eddy: float = 16.0
    pattern: float = 18.0
    # E_0 ~ floor + exp(contrast · Gaussian random field), scaled to mean 1
    floor: float = 0.2
    contrast: float = 0.7
    # time that the flow evolves alone, until its random phases have become vortices
    warm_up: float = 21.0
    # largest time step of the flow solver
    flow_step: float = 0.15

    def __post_init__(self) -> None:
        if not 8 <= self.scale <= MAX_SCALE or self.scale % 8:
            raise FieldError(
                "BAD_CONFIG",
                f"expected a scale that is a multiple of 8 up to {MAX_SCALE}, got {self.scale}.",
                next_step="Use 32, 64, 128 or 256.",
            )
        if self.steps < 2:
            raise FieldError("BAD_CONFIG", f"expected at least 2 steps, got {self.steps}.", next_step="Use 30.")
        if self.scale**2 * self.steps > MAX_CELLS:
            raise FieldError(
                "BAD_CONFIG",
                f"expected at most {MAX_CELLS // self.scale**2} steps of {self.scale}×{self.scale}, got {self.steps}.",
                next_step="Make more sequences instead.",
            )
        for name in ("dt", "eddy", "pattern", "flow_step"):
            if not 0 < getattr(self, name) < math.inf:
                raise FieldError(
                    "BAD_CONFIG",
                    f"expected {name} > 0 and finite, got {getattr(self, name)}.",
                    next_step="Leave it out for the default.",
                )
        for name in ("floor", "contrast", "warm_up"):
            if not 0 <= getattr(self, name) < math.inf:
                raise FieldError(
                    "BAD_CONFIG",
                    f"expected {name} >= 0 and finite, got {getattr(self, name)}.",
                    next_step="Leave it out for the default.",
                )
        if (flow_steps := (self.warm_up + self.dt * self.steps) / self.flow_step) > MAX_FLOW_STEPS:
            raise FieldError(
                "BAD_CONFIG",
                f"expected at most {MAX_FLOW_STEPS} steps of the flow solver, got {flow_steps:.3g}.",
                next_step="Use fewer steps, a smaller dt or a larger flow_step.",
            )
        for name in ("viscosity", "diffusivity"):
            low, high = getattr(self, name)
            if not 0 < low <= high < math.inf:
                raise FieldError(
                    "BAD_CONFIG",
                    f"expected 0 < lowest <= highest {name}, got {low} and {high}.",
                    next_step="Leave it out for the default.",
                )


# domain → type of its simulator's configuration: a frozen dataclass with a default for each field; scale, steps and dt
# are among them
CONFIGS: dict[str, type[Any]] = {
    "fluid_dynamics": FluidConfig,
}


def configure(domain: str, settings: Mapping[str, Any]) -> Any:
    """The configuration of a domain's simulator from plain values, as JSON has them.

    Raises `FieldError` for a domain without simulator, a name that is none of its settings and a value out of range.
    """
    if domain not in CONFIGS:
        raise FieldError(
            "NO_SIMULATOR",
            f"expected a domain with a simulator ({', '.join(sorted(CONFIGS))}), got {domain!r}.",
            next_step="Choose one of them, or ingest a file.",
        )
    defaults = {field.name: field.default for field in fields(CONFIGS[domain])}
    unknown = sorted(set(settings) - set(defaults))
    if unknown:
        raise FieldError(
            "BAD_CONFIG",
            f"expected settings out of {', '.join(defaults)}, got {', '.join(unknown)}.",
            next_step="Correct the name.",
        )
    return CONFIGS[domain](**{name: _like(defaults[name], value, name) for name, value in settings.items()})


def _like(default: Any, value: Any, name: str) -> Any:
    """The value in the type of the default: a whole number, a number or a pair of numbers."""
    if isinstance(default, tuple):
        if isinstance(value, list | tuple) and len(value) == len(default):
            return tuple(_like(one, each, name) for one, each in zip(default, value, strict=True))
        expected = f"{len(default)} numbers"
    else:
        if isinstance(value, int | float) and not isinstance(value, bool) and type(default)(value) == value:
            return type(default)(value)
        expected = "a whole number" if isinstance(default, int) else "a number"
    raise FieldError(
        "BAD_CONFIG", f"expected {expected} for {name}, got {value!r}.", next_step="Leave it out for the default."
    )
