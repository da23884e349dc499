"""Configuration of `turbulent_radiative_layer`."""

from __future__ import annotations

from dataclasses import dataclass

from nvp.dynamics.configs.common import (
    SimulationConfig,
    require_not_negative,
    require_positive,
    require_ranges,
)
from nvp.errors import FieldError

# The Well's grid of the same name, ours lying on its side
NATIVE = {"height": 128, "width": 384}


@dataclass(frozen=True, slots=True, kw_only=True)
class RadiativeLayerConfig(SimulationConfig):
    """`turbulent_radiative_layer`: hot gas streams over cold gas, mixes with it and cools.

    The layer fills the channel at every scale, hence its lengths are shares of the height.
    """

    dt: float = 2.1
    # each drawn log-uniformly per sequence: kinematic viscosity of the flow and diffusivity of E (grid units² per
    # time), highest cooling rate, speed at which hot gas enters above and cold gas leaves below
    viscosity: tuple[float, float] = (0.15, 0.3)
    diffusivity: tuple[float, float] = (0.05, 0.1)
    cooling: tuple[float, float] = (0.02, 0.04)
    inflow: tuple[float, float] = (0.3, 0.5)
    # E of the two phases, which do not cool
    hot: float = 1.0
    cold: float = 0.1
    # the streams run at ± this speed; half-thickness of the shear between them, as a share of the height
    speed: float = 1.0
    thickness: float = 0.0625
    # wavelength of the stirring (share of the height), its rms acceleration, for how long it remembers itself
    eddy: float = 0.28
    force: float = 0.3
    memory: float = 4.0
    # time within which the flow returns to the mean shear
    relaxation: float = 20.0
    warm_up: float = 60.0
    flow_step: float = 0.2

    def __post_init__(self) -> None:
        SimulationConfig.__post_init__(self)
        require_positive(self, "cold", "thickness", "eddy", "memory", "relaxation")
        require_not_negative(self, "speed", "force")
        require_ranges(self, "viscosity", "diffusivity", "cooling", "inflow")
        if not self.cold < self.hot < float("inf"):
            raise FieldError(
                "BAD_CONFIG",
                f"expected hot gas of more energy than the cold, got hot {self.hot} and cold {self.cold}.",
                next_step="Leave them out for the default.",
            )
