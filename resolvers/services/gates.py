"""Gates after the fact: what those that opened turned out to be worth."""

from __future__ import annotations

import math
from collections.abc import Mapping

from graph.queries import gates
from graph.queries.gates import GateRow
from nvp.errors import FieldError
from resolvers.services.context import Services


async def record_benefits(services: Services, run: str, benefits: Mapping[str, float]) -> list[GateRow]:
    """Record realised benefits by key of the gate, all of them or none; raises `FieldError` and NotFound."""
    if not isinstance(benefits, Mapping) or not benefits:
        raise FieldError("BAD_BENEFIT", f"expected benefits by key, got {benefits!r}.", next_step="Name a gate.")
    for key, value in benefits.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise FieldError(
                "NONFINITE", f"expected a finite benefit of {key!r}, got {value!r}.", next_step="Measure it."
            )
    return await gates.realise(services.gateway, run, {key: float(value) for key, value in benefits.items()})
