"""Samples enough to learn from: where too little of a domain was observed, simulated sequences stand in, and say so.

They are `:Simulated` in the graph and never count as observed; a training takes either the ones or the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from graph.queries import timeline
from graph.queries.runs import RunRow
from graph.queries.timeline import SequenceRow
from nvp.dynamics.domain import domain as registered_domain
from resolvers.services.context import Services
from resolvers.services.recipes import configuration, plan
from resolvers.services.submission import MAX_SEQUENCES, GenerationRequest, submit_generation

LEAST = 1000
"""Observed frames of a domain that are enough."""
_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What a domain has to learn from."""

    domain: str
    # :Observed frames in the graph
    observed: int
    # :Simulated frames that stand in for what is missing; 0 where enough was observed
    simulated: int
    # uids of the sequences to learn from: all observed, or all simulated
    sequences: tuple[str, ...]
    # the run that makes the simulated ones
    run: RunRow | None = field(default=None, repr=False)

    @property
    def message(self) -> str:
        """For people."""
        if self.run is None:
            return f"{self.domain} has {self.observed} observed frames, which is enough: nothing is simulated"
        return (
            f"{self.domain} has {self.observed} observed frames, which is too few: {self.simulated} simulated ones "
            f"(:Simulated) in {len(self.sequences)} sequences stand in for them"
        )


async def ensure_samples(
    services: Services,
    domain: str,
    least: int = LEAST,
    *,
    kind: str = "pde",
    preset: str | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> Samples:
    """The domain's observed sequences where they have `least` frames; else a submitted run that simulates so many.

    Raises `FieldError` for a domain without simulator that would need one.
    """
    observed = await observed_sequences(services, registered_domain(domain).name)
    frames = sum(row.length for row in observed)
    if frames >= least:
        return Samples(domain=domain, observed=frames, simulated=0, sequences=tuple(row.uid for row in observed))
    one = GenerationRequest(domain=domain, kind=kind, preset=preset, seed=seed, settings=settings or {})
    steps = configuration(one).steps
    count = min(ceil((least - frames) / steps), MAX_SEQUENCES)
    request = GenerationRequest(
        domain=domain, kind=kind, preset=preset, sequences=count, seed=seed, settings=settings or {}
    )
    run = await submit_generation(services, request)
    uids = tuple(sequence.uid for sequence in plan(request))
    return Samples(domain=domain, observed=frames, simulated=count * steps, sequences=uids, run=run)


async def observed_sequences(services: Services, domain: str) -> list[SequenceRow]:
    """All sequences of a domain that were measured."""
    rows: list[SequenceRow] = []
    while page := await timeline.sequences_of_domain(
        services.gateway, domain, limit=_PAGE, after=rows[-1].uid if rows else ""
    ):
        rows += page
    return [row for row in rows if row.origin == "Observed"]
