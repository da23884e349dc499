"""A state to be written: where its array lies and the statistics by which an analyst finds it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class NewState:
    """Any EnergySnapshot; energies in the domain's unit."""

    # of the canonical .npy bytes
    sha256: str
    # relative to the store
    uri: str
    total_energy: float
    mean: float
    variance: float
    minimum: float
    maximum: float
    # spatial entropy in nats; None where the field is signed
    entropy: float | None
    gradient_energy: float
    # 64 fixed, versioned numbers for similarity search
    descriptor: tuple[float, ...] | None = None
    regime: str | None = None

    def properties(self) -> dict[str, Any]:
        """Its fields as Neo4j takes them, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
