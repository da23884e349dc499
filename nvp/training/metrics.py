"""What a regressor of next maps has always been judged by, on the validation part, one step ahead.

Each number is the mean over the windows but for `fidelity` and `rmse`, which are pooled. `total` is MSE + 0.1
conservation + 0.05 entropy whatever was minimised, so that trainings with other losses can be compared with it. Entropy
agreement and gradient alignment are near 1 for persistence already; fidelity is 0 for it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float

from nvp.dynamics.domain import DomainSpec
from nvp.thermo.alignment import change_gradient_cosine, gradient_cosine
from nvp.thermo.entropy_scores import entropy_error, entropy_of
from nvp.thermo.scores import pair_errors, pooled_fidelity
from nvp.training.loss import conservation, entropy_fall, squared_error
from nvp.training.recipes import SEEDS_LOSS, lawful


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingMetrics:
    """After one epoch, or of one batch."""

    # mse + 0.1 conservation + 0.05 entropy, the entropy where the second law is one
    total: float
    # of fields of unit mean
    mse: float
    # |ΣP − ΣT|/ΣT
    conservation: float
    # max(0, S(O) − S(P)) in nats
    entropy: float
    # 1 − sqrt(Σ‖P − T‖²/Σ‖T − O‖²), 0 where nothing changes
    fidelity: float
    # in units of the field
    rmse: float
    # 1 − |S(P) − S(T)|/S(T)
    entropy_coherence: float
    # cosine of the slopes of P and T, and of the slopes of their changes from O
    gradient_alignment: float
    change_gradient_alignment: float
    # seconds it took
    seconds: float

    def to_json(self) -> dict[str, float]:
        """As plain values."""
        return asdict(self)


def metrics_of(
    predicted: Float[np.ndarray, "b h w c"],
    truth: Float[np.ndarray, "b h w c"],
    origin: Float[np.ndarray, "b h w c"],
    spec: DomainSpec,
    *,
    seconds: float = 0.0,
) -> TrainingMetrics:
    """Judge predictions; numbers that do not exist (of uniform fields) are NaN."""
    pairs = pair_errors(predicted, truth, origin)
    error, change = float(pairs.error.sum()), float(pairs.change.sum())
    wide = [values.astype(np.float64) for values in (predicted, truth, origin)]
    weights = lawful(SEEDS_LOSS, spec)
    terms = {
        "mse": float(squared_error(*wide)),
        "conservation": float(conservation(wide[0], wide[1])),
        "entropy": float(entropy_fall(np.maximum(wide[2], 0), np.maximum(wide[0], 0))),
    }
    return TrainingMetrics(
        total=sum(getattr(weights, name) * value for name, value in terms.items()),
        **terms,
        fidelity=pooled_fidelity(error, change) if change > 0 else 0.0,
        rmse=float(np.sqrt(np.mean((wide[0] - wide[1]) ** 2))),
        entropy_coherence=_mean(1 - entropy_error(entropy_of(predicted), entropy_of(truth))),
        gradient_alignment=_mean(gradient_cosine(predicted, truth, spec)),
        change_gradient_alignment=_mean(change_gradient_cosine(predicted, truth, origin, spec)),
        seconds=seconds,
    )


def _mean(values: Float[np.ndarray, "n"]) -> float:
    there = values[np.isfinite(values)]
    return float(there.mean()) if there.size else float("nan")
