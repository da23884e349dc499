"""Bases: orthonormal on their samples, well conditioned, and bounded curvature."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.coordinator.polynomials import (
    arbitrary_basis,
    curvature_bound,
    gram_condition,
    legendre_matrix,
    on_unit_interval,
    to_monomials,
)
from nvp.errors import FieldError


@pytest.mark.parametrize("degree", [2, 8])
def test_the_basis_of_a_sample_is_orthonormal_on_it(degree: int) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 4000)
    assert gram_condition(arbitrary_basis(samples, degree), samples) == pytest.approx(1, abs=1e-6)


def test_what_a_basis_is_good_for_is_its_gram_matrix() -> None:
    """Degree 4 on [−1, 1]: monomials are hopeless to fit, P_k are orthogonal but not normed, √(2k + 1)P_k are both."""
    samples = np.linspace(-1, 1, 20_001)
    legendre = legendre_matrix(4)
    monomial = gram_condition(np.eye(5), samples)
    plain = gram_condition(legendre, samples)
    normed = gram_condition(np.sqrt(2 * np.arange(5) + 1)[:, None] * legendre, samples)
    assert plain == pytest.approx(9, rel=0.01)
    assert normed == pytest.approx(1, abs=0.01)
    assert monomial > 20 * plain


def test_the_bound_on_the_curvature_holds_and_is_tight_for_cubics() -> None:
    rng = np.random.default_rng(0)
    eta = np.linspace(0, 1, 1001)
    for degree in range(6):
        in_eta = on_unit_interval(to_monomials(rng.normal(size=degree + 1), "legendre"), normalized=True)
        bend = np.abs(np.polynomial.polynomial.polyval(eta, np.polynomial.polynomial.polyder(in_eta, 2))).max()
        assert curvature_bound(in_eta) >= bend * (1 - 1e-12)
        if degree <= 3:
            assert curvature_bound(in_eta) == pytest.approx(bend)


def test_a_basis_that_is_none_is_refused() -> None:
    for bad in (
        lambda: arbitrary_basis([0.0, 1.0, 1.0], 2),
        lambda: to_monomials([1.0], "chebyshev"),
        lambda: to_monomials([], "legendre"),
        lambda: to_monomials([1.0, 2.0], np.eye(1)),
        lambda: to_monomials([np.nan], "legendre"),
    ):
        with pytest.raises(FieldError):
            bad()
