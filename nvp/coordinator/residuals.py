"""What thermodynamics says of a prediction, as order parameters: how far each predicted state keeps each law.

    F(η) = Σ_k λ₁(η_k − c_k)² + λ₂(σ_k − s_k)² + w(η_k − σ_k)² + w·max(0, η_{k+1} − η_k)² + w·max(0, σ_{k+1} − σ_k)²

c_k and s_k are the compliance with the first and the second law at lead k, 1 − min(1, residual/tolerance); η_k and σ_k
are what is held of them once both laws of a state, and the states of a rollout, must fit: trust does not grow with the
lead. At η = σ = 1 the first two sums are the squared residuals themselves, λ₁ = 0.1 and λ₂ = 0.05 as in the loss of a
network that is told physics. No JAX.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nvp.coordinator.description import normal
from nvp.coordinator.measures import compliance
from nvp.errors import FieldError

LAWS = {"conservation": 0.1, "entropy": 0.05}
"""λ of each law."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """How far one predicted state breaks the laws; None where a law does not apply or cannot be checked."""

    lead: int
    # |ΣP − what it should be| / what it should be
    conservation: float | None
    # entropy that was lost since the lead before, as a share of the largest possible
    entropy: float | None


def key_of(law: str, lead: int) -> str:
    """The order parameter of a law at a lead."""
    return f"{law}@{lead}"


def residual_graph(residuals: Sequence[Residual], *, tolerance: float, fit: float = 0.1) -> dict[str, Any]:
    """The normal description; `fit` is w. A state counts as breaking a law wholly from `tolerance` on."""
    held = {law: [each for each in residuals if getattr(each, law) is not None] for law in LAWS}
    modules = [
        {
            "key": key_of(law, each.lead),
            "kind": "hypothesis",
            "params": {"target": compliance(getattr(each, law), scale=tolerance)},
            "term": f"local:{law}",
        }
        for law, states in held.items()
        for each in states
    ]
    if not modules:
        raise FieldError(
            "NO_RESIDUALS",
            "expected a domain that is closed or a truth to compare with, got neither.",
            next_step="Ingest what came of the prediction, or take one of a closed domain.",
        )
    both = [each.lead for each in residuals if each.conservation is not None and each.entropy is not None]
    pull = {"weight": fit}
    couplings = [
        {"kind": "quadratic", "from": key_of("conservation", lead), "to": key_of("entropy", lead), "params": pull}
        for lead in both
    ] + [
        {"kind": "directed_hinge", "from": key_of(law, a.lead), "to": key_of(law, b.lead), "params": pull}
        for law, states in held.items()
        for a, b in itertools.pairwise(states)
    ]
    weights = {f"local:{law}": LAWS[law] for law, states in held.items() if states}
    return normal({"modules": modules, "couplings": couplings, "weights": weights})
