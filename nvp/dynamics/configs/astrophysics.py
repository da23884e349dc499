"""Configuration of `astrophysics`."""

from __future__ import annotations

from dataclasses import dataclass

from nvp.dynamics.configs.common import (
    SimulationConfig,
    require_not_negative,
    require_positive,
    require_ranges,
)
from nvp.errors import FieldError


@dataclass(frozen=True, slots=True, kw_only=True)
class AstrophysicsConfig(SimulationConfig):
    """`astrophysics`: radiation energy carried by a stirred pressureless flow on a periodic rectangle."""

    dt: float = 1.8
    # kinematic viscosity and radiative diffusivity, each drawn log-uniformly per sequence (grid units² per time)
    viscosity: tuple[float, float] = (0.4, 0.8)
    diffusivity: tuple[float, float] = (0.2, 0.4)
    # viscosity that acts on the divergence alone, in place of the pressure that would resist it
    bulk: float = 8.0
    # wavelength of the stirring (grid units), its rms acceleration, for how long it remembers itself
    eddy: float = 28.0
    force: float = 0.22
    memory: float = 8.0
    # share ζ of the stirring that has no divergence
    solenoidal: float = 0.8
    # rate at which the flow loses momentum to what is not simulated
    drag: float = 0.05
    # E long ago ~ floor + exp(contrast · Gaussian random field of this wavelength), scaled to mean 1
    pattern: float = 18.0
    floor: float = 0.2
    contrast: float = 0.7
    warm_up: float = 60.0
    flow_step: float = 0.15

    def __post_init__(self) -> None:
        SimulationConfig.__post_init__(self)
        require_positive(self, "eddy", "memory", "pattern")
        require_not_negative(self, "floor", "contrast", "bulk", "force", "drag")
        require_ranges(self, "viscosity", "diffusivity")
        if not 0 <= self.solenoidal <= 1:
            raise FieldError(
                "BAD_CONFIG",
                f"expected a solenoidal share between 0 and 1, got {self.solenoidal}.",
                next_step="Use 0.5 for what a random vector does.",
            )
