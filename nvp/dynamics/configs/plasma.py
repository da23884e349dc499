"""Configuration of `plasma_physics`."""

from __future__ import annotations

from dataclasses import dataclass

from nvp.dynamics.configs.common import (
    SimulationConfig,
    require_not_negative,
    require_positive,
    require_ranges,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlasmaConfig(SimulationConfig):
    """`plasma_physics`: heat of a stirred, magnetised plasma (reduced magnetohydrodynamics) on a periodic rectangle."""

    dt: float = 2.1
    # kinematic viscosity, resistivity, diffusivity of E, each drawn log-uniformly per sequence (grid units² per time)
    viscosity: tuple[float, float] = (0.15, 0.3)
    resistivity: tuple[float, float] = (0.15, 0.3)
    diffusivity: tuple[float, float] = (0.1, 0.2)
    # mean magnetic field along x, as an Alfvén speed, drawn log-uniformly too
    field: tuple[float, float] = (0.1, 0.3)
    # wavelength of the stirring (grid units), its rms acceleration, for how long it remembers itself
    eddy: float = 24.0
    force: float = 0.1
    memory: float = 8.0
    # E when the stirring begins
    heat: float = 0.5
    warm_up: float = 40.0
    flow_step: float = 0.2

    def __post_init__(self) -> None:
        SimulationConfig.__post_init__(self)
        require_positive(self, "eddy", "memory", "heat")
        require_not_negative(self, "force")
        require_ranges(self, "viscosity", "resistivity", "diffusivity", "field")
