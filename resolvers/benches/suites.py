"""Suites of `fieldgraph bench nvp`: what they are told, and where each lives.

A suite is a module `resolvers/benches/<name>.py` with `run(config, progress)`; it is imported when it is run. What it
returns holds `passed`, whether all its criteria are met, and stands on stdout beside the machine's description.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from nvp.atlas.series import SIDE
from nvp.errors import FieldError

Report = Callable[[str, float, str], None]
"""Called with the name of a part, the share of it that is done, and a line for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteConfig:
    """What a suite is told; None is the suite's own choice."""

    # rng seeds of data and networks
    seeds: tuple[int, ...] = (0,)
    # domains; those that the suite knows, where none is named
    domains: tuple[str, ...] | None = None
    # CPU-minutes of each training, compilation apart
    minutes: float | None = None
    # folder of checkpoints: trained ones are left there, and a suite that measures scored ones looks there
    keep: Path | None = None
    # file of real fields, for the suites that want one
    file: Path | None = None
    # cells of one side of a field
    scale: int = 64
    # a run of seconds, which shows that everything works and whose figures mean nothing
    quick: bool = False

    def __post_init__(self) -> None:
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise FieldError(
                "BAD_CONFIG", f"expected minutes > 0 and finite, got {self.minutes}.", next_step="Leave them out."
            )
        if self.scale % SIDE:
            raise FieldError(
                "BAD_CONFIG",
                f"expected a scale divisible by {SIDE}, got {self.scale}.",
                next_step=f"Use {max(1, round(self.scale / SIDE)) * SIDE}.",
            )
        if self.keep is not None and self.keep.exists() and not self.keep.is_dir():
            raise FieldError("BAD_FOLDER", f"expected a folder at {self.keep}, got a file.", next_step="Name another.")


Suite = Callable[[SuiteConfig, Report], dict[str, Any]]


def _run(name: str, config: SuiteConfig, progress: Report) -> dict[str, Any]:
    found: dict[str, Any] = import_module(f"resolvers.benches.{name}").run(config, progress)
    return found


_NAMES = ("pde5", "heads", "calibration", "speed", "real", "epochs", "steps")
SUITES: Mapping[str, Suite] = {name: partial(_run, name) for name in _NAMES}
