"""Configuration of `fluid_dynamics`."""

from __future__ import annotations

from dataclasses import dataclass

from nvp.dynamics.configs.common import (
    SimulationConfig,
    require_not_negative,
    require_positive,
    require_ranges,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FluidConfig(SimulationConfig):
    """`fluid_dynamics`: heat carried by decaying two-dimensional turbulence on a periodic rectangle."""

    # the displacement per frame in grid units, since the rms velocity is 1 per component
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
    # until the flow's random phases have become vortices
    warm_up: float = 21.0
    flow_step: float = 0.15

    def __post_init__(self) -> None:
        SimulationConfig.__post_init__(self)
        require_positive(self, "eddy", "pattern")
        require_not_negative(self, "floor", "contrast")
        require_ranges(self, "viscosity", "diffusivity")
