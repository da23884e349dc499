"""What each experiment may be told: a class of settings for each, whose fields are the options of its command.

Each class says what the experiment asks (its docstring's first line), an example, and which settings `--quick`
replaces: a run of seconds that shows that everything works and whose figures mean little. No JAX, so that the command
line can list them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from nvp.errors import FieldError


def setting(default: Any, about: str, *, least: int | None = None) -> Any:
    """A field with a default, one line of help, and the least value that makes sense."""
    return field(default=default, metadata={"about": about, "least": least})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentConfig:
    """What all of them share."""

    quick: ClassVar[Mapping[str, Any]] = {"trials": 8}

    trials: int = setting(100, "Paired rng seeds: every arm meets the same draws.", least=2)
    seed: int = setting(0, "Root of everything random.", least=0)

    def __post_init__(self) -> None:
        for each in fields(self):
            name, least, value = each.name, each.metadata["least"], getattr(self, each.name)
            numbers = value if isinstance(value, tuple) else (value,)
            if not all(math.isfinite(number) for number in numbers):
                raise refused(f"a finite {name}", value)
            if least is not None and min(numbers, default=least) < least:
                raise refused(f"{name} >= {least}", value)


def refused(expected: str, got: object) -> FieldError:
    """The error of a setting that makes no sense."""
    return FieldError("BAD_SETTING", f"expected {expected}, got {got}.", next_step="Leave it out for the default.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LandauConfig(ExperimentConfig):
    """Does a Landau well order below a = 0, as √(−a/2b)?

    Example: fieldgraph coord landau --sweep -1 1 21 --plot landau.png
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 2}

    trials: int = setting(16, "Random starts, the same for every a.", least=2)
    sweep: tuple[float, float, int] = setting((-1.0, 1.0, 21), "First and last a, and how many.")
    b: float = setting(1.0, "Of aη² + bη⁴; above 0.")
    tolerance: float = setting(1e-3, "How far from √(−a/2b) a relaxed η may be, a = 0 apart.", least=0)
    eta_range: tuple[float, float] = setting((-1.0, 1.0), "η of the drawn wells.")
    points: int = setting(400, "Points of each drawn well.", least=16)

    def __post_init__(self) -> None:
        ExperimentConfig.__post_init__(self)
        if not self.b > 0:
            raise refused("b > 0", self.b)
        if not (self.sweep[0] < self.sweep[1] and self.sweep[2] >= 2):
            raise refused("a sweep from less to more in at least 2 values", self.sweep)
        if not self.eta_range[0] < self.eta_range[1]:
            raise refused("an η range from less to more", self.eta_range)


@dataclass(frozen=True, slots=True, kw_only=True)
class PercolationConfig(ExperimentConfig):
    """Do long shortcuts let a lattice percolate earlier than as many local bonds would?

    Example: fieldgraph coord percolation --trials 200 --plot percolation.png
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 6, "size": 12}

    trials: int = setting(100, "Lattices; each is met by every arm.", least=2)
    size: int = setting(50, "Nodes of one side of the lattice.", least=2)
    share: float = setting(0.02, "Edges added, as a share of the bonds kept.", least=0)
    threshold: float = setting(0.5, "Share of the nodes in the largest component that counts as percolating.", least=0)
