"""Costing: what a work is expected to take, by the model that is fitted to what runs of its kind took."""

from __future__ import annotations

from dataclasses import replace

from resolvers.ace.words import counted
from resolvers.energy import costs
from resolvers.services.ace.inquiry import Inquiry
from resolvers.services.ace.scheduling import Work


async def cost_of(inquiry: Inquiry, work: Work) -> Work:
    """The work with its expected seconds and joules, and how well they are known."""
    cost = await costs.estimate(inquiry.services.gateway, work.kind, work.config)
    on = "no device yet" if cost.device is None else cost.device
    known = "a guess: no run of its kind has ended yet"
    if cost.n:
        known = f"as {counted(cost.n, 'run')} of its kind took on {on}"
    return replace(
        work,
        seconds=cost.seconds,
        joules=cost.joules,
        error=cost.error,
        source=f"{known}, within a factor of {cost.error:.2g}",
    )
