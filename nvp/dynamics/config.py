"""The registry of the simulators' configurations. No JAX here, so that the API can check one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from nvp.dynamics.configs.active_matter import ActiveMatterConfig
from nvp.dynamics.configs.astrophysics import AstrophysicsConfig
from nvp.dynamics.configs.common import SimulationConfig
from nvp.dynamics.configs.fluid import FluidConfig
from nvp.dynamics.configs.plasma import PlasmaConfig
from nvp.dynamics.configs.radiative_layer import NATIVE, RadiativeLayerConfig
from nvp.errors import FieldError

# domain → type of its simulator's configuration: a frozen dataclass with a default for each field
CONFIGS: dict[str, type[SimulationConfig]] = {
    "active_matter": ActiveMatterConfig,
    "astrophysics": AstrophysicsConfig,
    "fluid_dynamics": FluidConfig,
    "plasma_physics": PlasmaConfig,
    "turbulent_radiative_layer": RadiativeLayerConfig,
}

# domain → grids with a name of their own, beside the squares of `scale`
PRESETS: dict[str, dict[str, dict[str, Any]]] = {"turbulent_radiative_layer": {"native": NATIVE}}


def configure(domain: str, settings: Mapping[str, Any]) -> Any:
    """The configuration of a domain's simulator from plain values, as JSON has them.

    `scale` stands for height and width at once. Raises `FieldError` for a domain without simulator, a name that is none
    of its settings and a value out of range.
    """
    if domain not in CONFIGS:
        raise FieldError(
            "NO_SIMULATOR",
            f"expected a domain with a simulator ({', '.join(sorted(CONFIGS))}), got {domain!r}.",
            next_step="Choose one of them, or ingest a file.",
        )
    defaults = {field.name: field.default for field in fields(CONFIGS[domain])}
    if "scale" in settings:
        settings = {"height": settings["scale"], "width": settings["scale"], **settings}
        settings.pop("scale")
    unknown = sorted(set(settings) - set(defaults))
    if unknown:
        raise FieldError(
            "BAD_CONFIG",
            f"expected settings out of scale, {', '.join(defaults)}, got {', '.join(unknown)}.",
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
