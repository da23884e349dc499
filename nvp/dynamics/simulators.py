"""The registry of simulators, by the name of their domain."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, runtime_checkable

from jaxtyping import PRNGKeyArray

from nvp.atlas.series import Series
from nvp.dynamics import active_matter, astrophysics, fluid, plasma, radiative_layer
from nvp.dynamics.config import configure
from nvp.dynamics.simulation import Draw, simulate


@runtime_checkable
class Simulator(Protocol):
    """Sequences `first` … `first + sequences − 1` of a recipe; sequence i does not depend on how many are made.

    `config` is of the domain's type in `nvp.dynamics.config.CONFIGS`; `progress(done, sequences)` may raise to stop.
    """

    def __call__(
        self,
        config: Any,
        key: PRNGKeyArray,
        *,
        sequences: int,
        first: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Series]: ...


TRAJECTORIES: dict[str, Draw[Any]] = {
    "active_matter": active_matter.trajectory,
    "astrophysics": astrophysics.trajectory,
    "fluid_dynamics": fluid.trajectory,
    "plasma_physics": plasma.trajectory,
    "turbulent_radiative_layer": radiative_layer.trajectory,
}

SIMULATORS: dict[str, Simulator] = {name: partial(simulate, name, draw) for name, draw in TRAJECTORIES.items()}


def simulator(domain: str) -> Simulator:
    """The simulator of a domain; raises `FieldError` where it has none."""
    if domain not in SIMULATORS:
        configure(domain, {})
    return SIMULATORS[domain]
