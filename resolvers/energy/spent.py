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
from typing import Literal, Protocol, Self

WATTS_PER_CORE = 10.0
ESTIMATED = f"estimated: {WATTS_PER_CORE:g} W × CPU seconds"
MIXED = "mixed"
"""Source of a run whose attempts have several: their joules have no sum."""
BESIDE = ", beside "
"""In the source of joules that were measured: behind it stand those that were estimated."""

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


class Counted(Protocol):
    """A node of the graph that says what it took: a run, over all its attempts, or a stage."""

    @property
    def energy_joules(self) -> float | None: ...
    @property
    def energy_source(self) -> str | None: ...
    @property
    def energy_measured(self) -> float | None: ...
    @property
    def energy_estimated(self) -> float | None: ...
    @property
    def unmetered(self) -> int: ...
    @property
    def seconds(self) -> float | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What many pieces of work took: measured and estimated joules side by side, for they have no sum."""

    # None where nothing was
    measured: float | None = None
    estimated: float | None = None
    # pieces of whose energy nothing is known
    unmetered: int = 0
    seconds: float = 0.0
    sources: frozenset[str] = frozenset()

    @classmethod
    def of(cls, spent: Spent) -> Self:
        """Of one piece."""
        joules, sources = spent.joules, frozenset([spent.source] if spent.source else [])
        if joules is None or spent.knowledge not in ("measured", "estimated"):
            return cls(unmetered=1, seconds=spent.seconds, sources=sources)
        if spent.knowledge == "measured":
            return cls(measured=joules, seconds=spent.seconds, sources=sources)
        return cls(estimated=joules, seconds=spent.seconds, sources=sources)

    @classmethod
    def read(cls, row: Counted) -> Self:
        """As the graph has it; of an older one, where parts of different kinds were not kept apart, what it has."""
        seconds, source = row.seconds or 0.0, row.energy_source
        if row.energy_measured is None and row.energy_estimated is None and not row.unmetered:
            return cls.of(Spent(row.energy_joules, seconds, source))
        if source is None or knowledge(source) == "mixed":
            known = {"measured": row.energy_measured, ESTIMATED: row.energy_estimated}
            sources = {name for name, joules in known.items() if joules is not None}
        else:
            sources = {source.partition(BESIDE)[0]}
            sources |= {ESTIMATED} if row.energy_estimated is not None else set()
        return cls(
            measured=row.energy_measured,
            estimated=row.energy_estimated,
            unmetered=row.unmetered,
            seconds=seconds,
            sources=frozenset(sources),
        )

    def __add__(self, other: Self) -> Self:
        return type(self)(
            measured=_added(self.measured, other.measured),
            estimated=_added(self.estimated, other.estimated),
            unmetered=self.unmetered + other.unmetered,
            seconds=self.seconds + other.seconds,
            sources=self.sources | other.sources,
        )

    @property
    def joules(self) -> float | None:
        """Those that were measured where some were, else the estimated; None where a part is unknown."""
        if self.unmetered:
            return None
        return self.estimated if self.measured is None else self.measured

    @property
    def source(self) -> str | None:
        """Of `joules`, with what was estimated beside what was measured."""
        if self.unmetered:
            return MIXED if self.measured is not None or self.estimated is not None else None
        guesses = " + ".join(sorted(one for one in self.sources if knowledge(one) == "estimated"))
        if self.measured is None:
            return guesses or None
        meters = " + ".join(sorted(one for one in self.sources if knowledge(one) == "measured"))
        return meters if self.estimated is None else f"{meters}{BESIDE}{self.estimated:.4g} J {guesses}"


def _added(one: float | None, other: float | None) -> float | None:
    return None if one is None and other is None else (one or 0.0) + (other or 0.0)
