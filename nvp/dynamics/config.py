"""Configurations of the simulators: what a recipe holds. No JAX here, so that the API can check one."""

from __future__ import annotations

from dataclasses import dataclass

from nvp.errors import FieldError


@dataclass(frozen=True, slots=True, kw_only=True)
class FluidConfig:
    """`fluid_dynamics`: heat carried by decaying two-dimensional turbulence on a periodic square.

    Lengths are in grid units (the cell width is 1) and velocities in grid units per unit time, so that one time step
    moves the field equally far at every scale; a wider grid simply holds more eddies.
    """

    # cells per side; a multiple of 8
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
        if self.scale < 8 or self.scale % 8:
            raise FieldError(
                "BAD_CONFIG",
                f"expected a scale that is a multiple of 8, got {self.scale}.",
                next_step="Use 32, 64, 128 or 256.",
            )
        if self.steps < 2:
            raise FieldError("BAD_CONFIG", f"expected at least 2 steps, got {self.steps}.", next_step="Use 30.")
        for name in ("dt", "eddy", "pattern", "flow_step"):
            if not getattr(self, name) > 0:
                raise FieldError(
                    "BAD_CONFIG",
                    f"expected {name} > 0, got {getattr(self, name)}.",
                    next_step="Leave it out for the default.",
                )
        for name in ("viscosity", "diffusivity"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise FieldError(
                    "BAD_CONFIG",
                    f"expected 0 < lowest <= highest {name}, got {low} and {high}.",
                    next_step="Leave it out for the default.",
                )
