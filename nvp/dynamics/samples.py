"""Samples: generated sequences as a folder atlas, for whoever has no graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nvp.atlas.maps.loader import EnergyAtlasLoader
from nvp.atlas.maps.metadata import EnergyMapMetadata
from nvp.atlas.series import Series
from nvp.dynamics.perturbed import Step


def sequence_name(kind: str, seed: int, number: int) -> str:
    """Name of a sequence in the folder: the same for the same seed and number."""
    return f"{kind}-{seed}-{number:04d}"


def save_sample(
    atlas: EnergyAtlasLoader, series: Series, *, name: str, seed: int, steps: Sequence[Step] | None = None
) -> list[str]:
    """Keep a generated sequence with what is known of it, and return the ids of its maps.

    `steps` say what was done to each map; the context fields have no place in a folder atlas.
    """
    metadata = [
        EnergyMapMetadata.of(
            frame[..., 0],
            domain=series.domain,
            sequence=name,
            step=number,
            source="synthetic",
            t=number * series.dt,
            seed=seed,
            perturbations=() if steps is None else _perturbations(steps[number]),
            source_total=None if series.source_total is None else float(series.source_total[number]),
        )
        for number, frame in enumerate(series.energy)
    ]
    return atlas.save_sequence(series.energy[..., 0], metadata)


def _perturbations(step: Step) -> tuple[Mapping[str, Any], ...]:
    """What was done, and after the noise what part of the squared change nobody can predict."""
    return tuple(
        dict(one) | ({"irreducible": step.irreducible} if one["name"] == "gaussian_noise" else {})
        for one in step.perturbations
    )
