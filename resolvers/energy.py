"""What a run spends, in joules, where no meter is read: an estimate from the time that processors worked for it.

    E = P·t,    P = 10 W per busy core, t its CPU seconds

P is of the size of what servers' processors are built for (their thermal design power by core is 2 … 15 W). The source
says that it is an estimate, and of what: it compares runs of the same kind of machine, and is never to be added to
joules that were measured. What an accelerator takes has no such rule: of a run on one nothing is said.
"""

from __future__ import annotations

from typing import NamedTuple

WATTS_PER_CORE = 10.0
ESTIMATED = f"estimated: {WATTS_PER_CORE:g} W × CPU seconds"


class Spent(NamedTuple):
    """Energy of one run, and how it is known."""

    joules: float
    source: str


def estimated(cpu_seconds: float, device: str | None) -> Spent | None:
    """The estimate for work that no accelerator helped with (`device`: its name, None where JAX was not needed)."""
    return Spent(WATTS_PER_CORE * cpu_seconds, ESTIMATED) if device in (None, "cpu") else None
