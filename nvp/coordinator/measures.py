"""What η is measured from: a sequence, a graph, a game, a gate's net gain, a residual.

Relaxing η never repairs what it was measured from; a report shows the measured and the relaxed value side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from nvp.errors import FieldError

PRISONERS_DILEMMA = ((3.0, 0.0), (5.0, 1.0))
"""[[R, S], [T, P]]: payoff of one's own action against the other's, action 1 = defect."""


def gate_opening(net: float, *, sharpness: float = 10.0) -> float:
    """η = σ(k·net) of a gate with net = gain − cost.

    A hazard λ = softplus(k·net) opens the gate with probability 1 − e^(−λ), which is σ(k·net): the same function.
    """
    return float(expit(sharpness * net))


def hazard_rate(net: float, *, sharpness: float = 10.0) -> float:
    """λ = softplus(k·net), the rate at which the gate opens; in a time Δt it does with probability 1 − e^(−λΔt)."""
    return float(np.logaddexp(0.0, sharpness * net))


def gate_response(net: float, *, sharpness: float = 10.0) -> float:
    """dη/dnet = kσ(1 − σ): how fast a gate answers to its net gain."""
    opening = expit(sharpness * net)
    return float(sharpness * opening * (1 - opening))


def sequence_order(values: Any) -> float:
    """Fraction of pairs i < j with v_i ≤ v_j, over all pairs."""
    v = _vector(values, 2)
    order = np.triu_indices(v.size, 1)
    return float(np.mean(v[order[0]] <= v[order[1]]))


def sampled_sequence_order(values: Any, rng: np.random.Generator, *, samples: int = 512) -> float:
    """The same from random pairs: i uniform among all but the last, then j uniform behind it: early ends weigh less."""
    v = _vector(values, 2)
    i = rng.integers(0, v.size - 1, samples)
    j = rng.integers(i + 1, v.size)
    return float(np.mean(v[i] <= v[j]))


def connectivity(nodes: int, edges: Any) -> float:
    """Share of the nodes in the largest component; 0 where there are none."""
    if nodes == 0:
        return 0.0
    ends = np.asarray(edges, np.int64).reshape(-1, 2)
    if ends.size and not (ends.min() >= 0 and ends.max() < nodes):
        raise FieldError("BAD_INDEX", f"expected nodes from 0 to {nodes - 1}, got others.", next_step="Correct them.")
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(nodes, nodes))
    labels = connected_components(graph, directed=False)[1]
    return float(np.bincount(labels).max() / nodes)


def regret(own: float, other: float, payoff: Any = PRISONERS_DILEMMA) -> float:
    """What the best answer would gain over playing action 1 with probability `own` against `other`."""
    answers = np.asarray(payoff, np.float64) @ np.array([1 - other, other])
    return float(answers.max() - answers @ np.array([1 - own, own]))


def equilibrium(own: float, other: float, payoff: Any = PRISONERS_DILEMMA) -> float:
    """1 − min(1, regret / (max A − min A)): 1 where neither answer is better than the mix."""
    return 1 - min(1.0, regret(own, other, payoff) / float(np.ptp(np.asarray(payoff))))


def compliance(residual: float, *, scale: float) -> float:
    """1 − min(1, |residual| / scale): 1 where a prediction keeps its budget of energy or entropy exactly."""
    if not scale > 0:
        raise FieldError("BAD_PARAMETER", f"expected scale > 0, got {scale}.", next_step="Use the total energy.")
    return 1 - min(1.0, abs(residual) / scale)


def _vector(values: Any, least: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    v = np.asarray(values, np.float64)
    if v.ndim != 1 or v.size < least or not np.isfinite(v).all():
        raise FieldError(
            "BAD_PARAMETER",
            f"expected at least {least} finite numbers, got shape {v.shape}.",
            next_step="Give a sequence.",
        )
    return v
