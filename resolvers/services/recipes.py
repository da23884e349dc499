"""Recipes: which sequences a request to simulate stands for, known before anything is simulated. No JAX here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from graph.queries import sequences
from graph.queries.sequences import NewSequence
from nvp.dynamics.config import configure
from resolvers.services.context import Services
from resolvers.services.submission import GenerationRequest

GENERATOR = "simulation"


def plan(request: GenerationRequest) -> list[NewSequence]:
    """The sequences in the order of their numbers; their uids follow from the request, on every machine.

    A recipe is the simulator's whole configuration, the rng seed and the number: how to make the sequence again.
    Raises `FieldError` for a domain without simulator and for settings out of range.
    """
    config = configure(request.domain, request.settings)
    recipe: Mapping[str, Any] = {"simulator": request.domain, "config": asdict(config), "rng_seed": request.seed}
    return [
        NewSequence(
            domain=request.domain,
            source=f"generated-{request.seed}",
            recipe={**recipe, "number": number},
            height=config.height,
            width=config.width,
            dt=config.dt,
            generator=GENERATOR,
            rng_seed=request.seed,
        )
        for number in range(request.sequences)
    ]


async def frames_present(services: Services, request: GenerationRequest, sequence: NewSequence) -> int:
    """How many frames of a planned sequence the graph has."""
    steps = configure(request.domain, request.settings).steps
    return len(await sequences.existing_steps(services.gateway, sequence.uid, 0, steps - 1))
