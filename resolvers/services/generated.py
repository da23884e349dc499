"""Generated data and what they are like: made without a graph, written to a folder atlas, or read back from the graph.

However they were made, the figures are those of `nvp.thermo.generation_report`, over all sequences asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graph.queries.sequences import NewSequence
from nvp.atlas.maps.loader import EnergyAtlasLoader
from nvp.atlas.series import Series
from nvp.dynamics import perturbed
from nvp.dynamics.kinds import make
from nvp.dynamics.perturbed import Step
from nvp.dynamics.samples import save_sample, sequence_name
from nvp.thermo.generation_report import DomainReport, missed
from resolvers.services.context import Services
from resolvers.services.generation import BATCH
from resolvers.services.loading import load
from resolvers.services.recipes import configuration
from resolvers.services.submission import GenerationRequest

Progress = Callable[[int, int], None]
"""Called with the sequences that are done and all of them."""


@dataclass(slots=True)
class Judged:
    """Figures of all domains, and which of them miss what."""

    domains: dict[str, dict[str, Any]] = field(default_factory=dict)
    missed: dict[str, list[str]] = field(default_factory=dict)

    def add(self, request: GenerationRequest, figures: Mapping[str, Any], *, seconds: float) -> None:
        """Take a domain's figures and judge them: pictures by the first law alone, simulations by all criteria."""
        self.domains[request.domain] = {**figures, "seconds": round(seconds, 3)}
        if found := missed(figures, predictable=request.kind == "pde"):
            self.missed[request.domain] = found


def simulate(request: GenerationRequest, progress: Progress | None = None) -> tuple[dict[str, Any], float]:
    """Make the sequences, keep their figures and nothing else; seconds include compilation. Writes nothing."""
    began = time.perf_counter()
    report = DomainReport(request.domain)
    for number, (series, _) in enumerate(made(request)):
        report.add(series)
        if progress is not None:
            progress(number + 1, request.sequences)
    return report.to_json(), time.perf_counter() - began


def write_folder(
    request: GenerationRequest, root: Path, progress: Progress | None = None
) -> tuple[dict[str, Any], float]:
    """Make the sequences and keep them in a folder atlas; the same seed again writes the same files."""
    began = time.perf_counter()
    report, atlas = DomainReport(request.domain), EnergyAtlasLoader(root)
    for number, (series, steps) in enumerate(made(request)):
        report.add(series)
        name = sequence_name(request.kind, request.seed, number)
        save_sample(atlas, series, name=name, seed=request.seed, steps=steps)
        if progress is not None:
            progress(number + 1, request.sequences)
    return report.to_json(), time.perf_counter() - began


async def stored(services: Services, request: GenerationRequest, planned: Sequence[NewSequence]) -> dict[str, Any]:
    """Figures of sequences that are in the graph, as their files have them."""
    last = configuration(request).steps - 1
    report = DomainReport(request.domain)
    for sequence in planned:
        report.add(await load(services, sequence.uid, 0, last))
    return report.to_json()


def made(request: GenerationRequest) -> Iterator[tuple[Series, list[Step] | None]]:
    """The sequences in order of their numbers; what was done to each map is known of perturbed ones only."""
    config = configuration(request)
    if request.kind == "perturbation":
        for number in range(request.sequences):
            frames, steps = perturbed.generate(config, request.seed, number)
            yield perturbed.as_series(config, frames, steps), steps
        return
    for first in range(0, request.sequences, BATCH):
        count = min(BATCH, request.sequences - first)
        for series in make(request.kind, request.domain, config, request.seed, sequences=count, first=first):
            yield series, None
