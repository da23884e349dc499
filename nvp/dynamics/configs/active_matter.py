"""Configuration of `active_matter`."""

from __future__ import annotations

from dataclasses import dataclass

from nvp.dynamics.configs.common import SimulationConfig, require_positive, require_ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveMatterConfig(SimulationConfig):
    """`active_matter`: heat of a dense bacterial suspension (Toner–Tu–Swift–Hohenberg) on a periodic rectangle."""

    dt: float = 2.3
    # λ₀, strength of self-advection; −α, rate of self-propulsion; κ; γ, rate at which E is lost: drawn log-uniformly
    advection: tuple[float, float] = (1.0, 1.6)
    activity: tuple[float, float] = (0.02, 0.04)
    diffusivity: tuple[float, float] = (0.1, 0.2)
    loss: tuple[float, float] = (0.02, 0.04)
    # wavelength that grows fastest (grid units), and by how much faster than the uniform state
    eddy: float = 16.0
    growth: float = 0.1
    # β: friction of the swimmers' speed
    saturation: float = 0.06
    warm_up: float = 80.0
    flow_step: float = 0.2

    def __post_init__(self) -> None:
        SimulationConfig.__post_init__(self)
        require_positive(self, "eddy", "growth", "saturation")
        require_ranges(self, "advection", "activity", "diffusivity", "loss")
