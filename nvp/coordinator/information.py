"""How a relaxed state moves as a vector: where it points, how far it has gone, and what it gained for what was unknown.

    alignment = ⟨a, b⟩/(‖a‖‖b‖),    drift = ‖a − b‖,    redundancy = gain/(uncertainty + ε),    violations / steps

Descriptive numbers under plain names; none of them is an entropy or a mutual information. No JAX.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from nvp.errors import FieldError

SMALL = 1e-8
"""Added to an uncertainty that is divided by."""


def alignment(states: Float[np.ndarray, "s n"], reference: Float[np.ndarray, "n"]) -> Float[np.ndarray, "s"]:
    """Cosine of each state with the reference; 0 where one of them is 0, which points nowhere."""
    lengths = np.linalg.norm(states, axis=-1) * np.linalg.norm(reference)
    cosines = np.divide(states @ reference, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    found: Float[np.ndarray, "s"] = np.clip(cosines, -1.0, 1.0)
    return found


def drift(states: Float[np.ndarray, "s n"], reference: Float[np.ndarray, "n"]) -> Float[np.ndarray, "s"]:
    """Euclidean distance of each state from the reference."""
    found: Float[np.ndarray, "s"] = np.linalg.norm(states - reference, axis=-1)
    return found


def redundancy(gain: Float[np.ndarray, "s"], uncertainty: Float[np.ndarray, "s"]) -> Float[np.ndarray, "s"]:
    """What was gained per uncertainty that there was: large where much is gained that was all but certain."""
    if (uncertainty < 0).any():
        raise FieldError(
            "BAD_PARAMETER", f"expected uncertainties >= 0, got {uncertainty.min()}.", next_step="Use total ones."
        )
    found: Float[np.ndarray, "s"] = gain / (uncertainty + SMALL)
    return found


def violation_rate(violations: int, steps: int) -> float:
    """Share of the steps that were refused; 0 of none."""
    if not 0 <= violations <= steps:
        raise FieldError(
            "BAD_PARAMETER", f"expected 0 to {steps} violations, got {violations}.", next_step="Count steps."
        )
    return violations / steps if steps else 0.0
