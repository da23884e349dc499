"""What the coordinator's speed is compared with: a loop over the terms, and scipy's L-BFGS-B on vectorised NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from nvp.coordinator.problem import Problem

Evaluate = Callable[[np.ndarray], tuple[float, np.ndarray]]


def lbfgsb(evaluate: Evaluate, start: np.ndarray) -> OptimizeResult:
    """Byrd, Lu, Nocedal & Zhu (SIAM J. Scientific Computing 16, 1995), as scipy ships it, on [0, 1]^n."""
    return minimize(evaluate, start, jac=True, method="L-BFGS-B", bounds=[(0, 1)] * len(start))


def numpy_value_and_grad(problem: Problem) -> Evaluate:
    """F and ∇F of a problem whose terms weigh 1, by hand; all terms of a family at once."""
    wells, pairs, gates, powers = problem.wells, problem.pairs, problem.gates, problem.powers
    redeemed, bent, size = problem.redemptions, problem.polynomials, problem.size

    def gathered(values: Any, at: Any) -> Any:
        return np.bincount(at, values, size)

    def force(family: Any) -> Any:
        delta = problem.delta[family.delta]
        return family.w * np.where(delta > 0, family.positive, family.negative) * delta

    lift = force(powers)
    # gates are linear, like the wells' own h
    pull: Any = wells.h + gathered(force(gates), gates.i)

    def evaluate(eta: np.ndarray) -> tuple[float, np.ndarray]:
        miss = eta - wells.target
        square = miss * miss
        value = np.sum(square * (wells.a + wells.b * square) - pull * eta) + problem.price
        slope = miss * (2 * wells.a + 4 * wells.b * square) - pull
        u = pairs.p * eta[pairs.i] + pairs.q * eta[pairs.j] - pairs.m
        stretch = pairs.w * np.where(pairs.two_sided | (u > 0), u, 0)
        value += stretch @ u
        slope += gathered(2 * pairs.p * stretch, pairs.i) + gathered(2 * pairs.q * stretch, pairs.j)
        if len(powers.i):
            at = eta[powers.i]
            value -= np.sum(lift * at**powers.power)
            slope -= gathered(lift * powers.power * at ** np.maximum(powers.power - 1, 0), powers.i)
        if len(redeemed.j):
            far = redeemed.target - redeemed.scale * eta[redeemed.j] - redeemed.offset
            excess = far * far - redeemed.margin
            value += np.sum(redeemed.w * np.maximum(excess, 0))
            slope += gathered(np.where(excess > 0, -2 * redeemed.w * redeemed.scale * far, 0), redeemed.j)
        if len(bent.i):
            at = eta[bent.i]
            here, rise = np.zeros_like(at), np.zeros_like(at)
            for power in reversed(range(bent.coefficients.shape[-1])):
                rise = rise * at + here
                here = here * at + bent.coefficients[:, power]
            value += bent.w @ here
            slope += gathered(bent.w * rise, bent.i)
        return float(value), np.asarray(slope)

    return evaluate
