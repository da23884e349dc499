"""What was spent, in joules and seconds, and how that is known.

A source is the name of a meter, or the formula of an estimate with its constant:

    measured: NVML          the accelerator's own counter
    measured: RAPL          the processor's own counter, by our share of its busy time
    measured: NVML + RAPL   both
    estimated: 10 W × CPU seconds

Joules of different sources are never added or compared. Where no meter is read the estimate is

    E = P·t,    P = 10 W per busy core, t the CPU seconds of the work

P is of the size of what servers' processors are built for (their thermal design power by core is 2 … 15 W). It compares
runs of the same kind of machine. What an accelerator takes has no such rule: of a run on one nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

WATTS_PER_CORE = 10.0
ESTIMATED = f"estimated: {WATTS_PER_CORE:g} W × CPU seconds"
MIXED = "mixed"
"""Source of a run whose attempts have several: their joules have no sum."""

Knowledge = Literal["measured", "estimated", "mixed", "unknown"]


@dataclass(frozen=True, slots=True)
class Spent:
    """Energy of some work, how long it took and how its energy is known; both None where nobody knows it."""

    joules: float | None
    seconds: float
    source: str | None

    @property
    def knowledge(self) -> Knowledge:
        """Measured, estimated or neither."""
        return knowledge(self.source)


def knowledge(source: str | None) -> Knowledge:
    """What a source says of its joules."""
    if source is None or source == MIXED:
        return "unknown" if source is None else "mixed"
    return "estimated" if source.startswith("estimated") else "measured"


def estimated(cpu_seconds: float, device: str | None, *, seconds: float = 0.0) -> Spent:
    """The estimate for work that no accelerator helped with (`device`: its name, None where JAX was not needed)."""
    if device not in (None, "cpu"):
        return Spent(None, seconds, None)
    return Spent(WATTS_PER_CORE * cpu_seconds, seconds, ESTIMATED)


def total(parts: Iterable[Spent]) -> Spent:
    """Parts of one piece of work together: joules where all have the same source, else MIXED without a sum."""
    found = list(parts)
    seconds = sum(part.seconds for part in found)
    sources = {part.source for part in found}
    if len(sources) != 1:
        return Spent(None, seconds, MIXED if sources else None)
    (source,) = sources
    joules = [part.joules for part in found if part.joules is not None]
    return Spent(sum(joules) if len(joules) == len(found) else None, seconds, source)


def share(spent: Spent, among: int) -> Spent:
    """What each of several has of what they spent together."""
    joules = None if spent.joules is None else spent.joules / among
    return Spent(joules, spent.seconds, spent.source)
