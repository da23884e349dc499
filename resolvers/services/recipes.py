"""Recipes: which sequences a request to generate stands for, known before anything is computed. No JAX here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from graph.queries import sequences
from graph.queries.sequences import NewSequence
from nvp.dynamics.kinds import configure_kind
from resolvers.services.context import Services
from resolvers.services.submission import GenerationRequest

# kind → the sequence's generator, the name of its source, and what its recipe calls the maker
GENERATORS = {
    "pde": ("simulation", "generated", "simulator"),
    "perturbation": ("perturbation", "perturbed", "perturbation"),
}


def configuration(request: GenerationRequest) -> Any:
    """The whole configuration; raises `FieldError` for a domain without simulator and for settings out of range."""
    return configure_kind(request.kind, request.domain, request.settings, request.preset)


def plan(request: GenerationRequest) -> list[NewSequence]:
    """The sequences in the order of their numbers; their uids follow from the request, on every machine.

    A recipe is the whole configuration, the rng seed and the number: how to make the sequence again. Raises as
    `configuration`.
    """
    config = configuration(request)
    generator, source, maker = GENERATORS[request.kind]
    recipe: Mapping[str, Any] = {maker: request.domain, "config": asdict(config), "rng_seed": request.seed}
    return [
        NewSequence(
            domain=request.domain,
            source=f"{source}-{request.seed}",
            recipe={**recipe, "number": number},
            height=config.height,
            width=config.width,
            dt=config.dt,
            generator=generator,
            rng_seed=request.seed,
        )
        for number in range(request.sequences)
    ]


async def frames_present(services: Services, request: GenerationRequest, sequence: NewSequence) -> int:
    """How many frames of a planned sequence the graph has."""
    steps = configuration(request).steps
    return len(await sequences.existing_steps(services.gateway, sequence.uid, 0, steps - 1))
