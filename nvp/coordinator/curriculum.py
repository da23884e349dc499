"""A curriculum: harder graphs as long as relaxing goes well, easier ones where it swings.

    +1 level after `patience` relaxations in a row with rate > 0 and oscillation <= ¼
    −1 level after as many with oscillation >= 0.6 or a low margin

rate and oscillation are those of `adapters.phase`, over energies from all along the trail. One that had nothing left
to lose (it has converged, and F stood still) counts as going well: it would otherwise never be left. As `(init,
update)` on the host: a level is another graph.

Bengio et al., "Curriculum learning" (ICML 2009).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nvp.coordinator.adapters.phase import SPAN, STALLED, phase_of
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import CouplingGraph
from nvp.coordinator.energy import precision
from nvp.coordinator.relax import Relaxation, Status, relax
from nvp.coordinator.trail import Event
from nvp.errors import FieldError

CALM, WILD = 0.25, 0.6
"""Oscillations up to which a level may be left upwards, and from which on downwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one relaxation went."""

    rate: float
    oscillation: float
    low_margin: bool = False
    # it has converged, and had nothing left to lose
    settled: bool = False

    @property
    def well(self) -> bool:
        """Whether it speaks for more."""
        return not self.badly and (self.rate > 0 or self.settled) and self.oscillation <= CALM

    @property
    def badly(self) -> bool:
        """Whether it speaks for less."""
        return self.oscillation >= WILD or self.low_margin


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Where a curriculum is, of `top` + 1 levels from 0 on, and how many went well, or badly, in a row."""

    top: int
    level: int = 0
    well: int = 0
    badly: int = 0


def init(levels: int) -> Level:
    """At the easiest of so many levels."""
    if levels < 1:
        raise FieldError("BAD_PARAMETER", f"expected at least one level, got {levels}.", next_step="Give one.")
    return Level(top=levels - 1)


def update(at: Level, outcome: Outcome, *, patience: int = 2) -> Level:
    """The level of the next relaxation."""
    well, badly = (at.well + 1 if outcome.well else 0), (at.badly + 1 if outcome.badly else 0)
    if well >= patience:
        return Level(top=at.top, level=min(at.top, at.level + 1))
    if badly >= patience:
        return Level(top=at.top, level=max(0, at.level - 1))
    return replace(at, well=well, badly=badly)


@precision
def outcome_of(found: Relaxation, config: RelaxConfig) -> Outcome:
    """What the trail of a relaxation says; steps that a line search has checked may be as long as they are."""
    last = int(found.steps)
    energies = np.asarray(found.trail.energy)[np.linspace(0, last, SPAN).round().astype(int)]
    phase = phase_of(jnp.asarray(energies), jnp.zeros(()))
    events = np.asarray(found.trail.events)[: last + 1]
    return Outcome(
        rate=float(phase.rate),
        oscillation=float(phase.oscillation),
        low_margin=not config.line_search and bool((events & int(Event.LOW_MARGIN)).any()),
        settled=bool(phase.state == STALLED) and int(found.status) == Status.CONVERGED,
    )


def climb(
    graphs: Sequence[CouplingGraph],
    config: RelaxConfig,
    key: Any,
    *,
    eta0: Any = None,
    patience: int = 2,
    most: int = 20,
) -> tuple[Relaxation, tuple[int, ...]]:
    """Relax graphs of rising difficulty and equally many modules, each from where the one before settled.

    Ends after the hardest has gone well `patience` times, or after `most` relaxations; with it the levels as they came.
    """
    if len({len(graph.modules) for graph in graphs}) > 1:
        raise FieldError(
            "BAD_GRAPH",
            f"expected as many modules at each level, got {sorted({len(graph.modules) for graph in graphs})}.",
            next_step="Weigh couplings less where it shall be easy.",
        )
    if patience < 1 or most < 1:
        raise FieldError(
            "BAD_PARAMETER", f"expected patience and most >= 1, got {patience}, {most}.", next_step="Use 2."
        )
    at, eta, done = init(len(graphs)), eta0, False
    visited: list[int] = []
    while not done and len(visited) < most:
        visited.append(at.level)
        found = relax(graphs[at.level], config, jax.random.fold_in(key, len(visited)), eta0=eta)
        outcome, eta = outcome_of(found, config), found.eta
        done = at.level == at.top and outcome.well and at.well + 1 >= patience
        at = update(at, outcome, patience=patience)
    return found, tuple(visited)
