"""The registry of simulators, by the name of their domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol, runtime_checkable

from jaxtyping import PRNGKeyArray

from nvp.atlas.series import Series
from nvp.dynamics import fluid
from nvp.dynamics.config import FluidConfig
from nvp.errors import FieldError


@runtime_checkable
class Simulate(Protocol):
    """Sequences `first` … `first + sequences − 1` of a recipe; sequence i does not depend on how many are made."""

    def __call__(
        self,
        config: Any,
        key: PRNGKeyArray,
        *,
        sequences: int,
        first: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Series]: ...


@dataclass(frozen=True, slots=True)
class Simulator:
    """One domain's PDE."""

    # type of its configuration: a frozen dataclass with a default for each field, `scale`, `steps` and `dt` among them
    config: type
    simulate: Simulate

    def configure(self, settings: Mapping[str, Any]) -> Any:
        """A configuration from plain values, as JSON has them; unknown names are refused."""
        names = [field.name for field in fields(self.config)]
        unknown = sorted(set(settings) - set(names))
        if unknown:
            raise FieldError(
                "BAD_CONFIG",
                f"expected settings out of {', '.join(names)}, got {', '.join(unknown)}.",
                next_step="Correct the name.",
            )
        return self.config(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
        )


SIMULATORS: dict[str, Simulator] = {
    "fluid_dynamics": Simulator(FluidConfig, fluid.simulate),
}


def simulator(domain: str) -> Simulator:
    """The simulator of a domain."""
    try:
        return SIMULATORS[domain]
    except KeyError:
        raise FieldError(
            "NO_SIMULATOR",
            f"expected a domain with a simulator ({', '.join(sorted(SIMULATORS))}), got {domain!r}.",
            next_step="Choose one of them, or ingest a file.",
        ) from None
