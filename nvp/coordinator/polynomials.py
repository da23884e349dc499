"""Polynomial bases of local energies: Legendre, monomials, and the basis that a sample makes orthonormal (aPC).

Whatever the basis, an energy is stored as monomials in ξ: the same function written in three bases is then the same
arithmetic and relaxes along the same path. What a basis does change is how well its coefficients can be *fitted*; the
condition number of its Gram matrix says so.

Oladyshkin & Nowak, "Data-driven uncertainty quantification using the arbitrary polynomial chaos expansion",
Reliability Engineering & System Safety 106 (2012).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.polynomial import legendre, polynomial
from scipy.special import comb

from nvp.errors import FieldError

Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Vector = np.ndarray[tuple[int], np.dtype[np.float64]]

MOST_COEFFICIENTS = 64
LOST = 1e-6
"""Error of a polynomial's values, relative to its coefficients, that is still taken."""


def arbitrary_basis(samples: Any, degree: int) -> Matrix:
    """B with φ_n(ξ) = Σ_p B[n, p] ξ^p and mean φ_m φ_n = δ_mn over the samples.

    By QR of the Legendre–Vandermonde matrix, which is stable at degrees where Gram–Schmidt on monomials is not.
    """
    xi = np.asarray(samples, np.float64).ravel()
    if not np.isfinite(xi).all() or np.unique(xi).size <= degree:
        raise FieldError(
            "BAD_BASIS",
            f"expected at least {degree + 1} different finite samples, got {np.unique(xi[np.isfinite(xi)]).size}.",
            next_step="Sample more, or lower the degree.",
        )
    triangle = np.linalg.qr(legendre.legvander(xi, degree) / np.sqrt(xi.size), mode="r")
    triangle *= np.sign(np.diag(triangle))[:, None]  # leading coefficients above 0
    return np.linalg.inv(triangle).T @ legendre_matrix(degree)


def legendre_matrix(degree: int) -> Matrix:
    """Row n holds the monomial coefficients of P_n; its norm on [−1, 1] is √(2/(2n + 1)), not 1."""
    rows = np.zeros((degree + 1, degree + 1))
    for n in range(degree + 1):
        rows[n, : n + 1] = legendre.leg2poly(np.eye(degree + 1)[n])[: n + 1]
    return rows


def to_monomials(coefficients: Any, basis: Any) -> Vector:
    """Σ_k c_k φ_k as coefficients of 1, ξ, ξ², …; coefficients that a basis has beyond the given ones are 0."""
    given = np.asarray(coefficients, np.float64)
    if given.ndim != 1 or not given.size:
        raise FieldError("BAD_BASIS", f"expected a list of coefficients, got {coefficients!r}.", next_step="Give them.")
    if isinstance(basis, str):
        named: dict[str, Any] = {"legendre": legendre_matrix, "monomial": lambda degree: np.eye(degree + 1)}
        if basis not in named:
            raise FieldError(
                "BAD_BASIS", f"expected legendre, monomial or a matrix, got {basis!r}.", next_step="Name one of them."
            )
        matrix = named[basis](given.size - 1)
    else:
        matrix = np.asarray(basis, np.float64)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < given.size:
            raise FieldError(
                "BAD_BASIS",
                f"expected a square matrix of at least {given.size} rows, got shape {matrix.shape}.",
                next_step="Take it from arbitrary_basis.",
            )
    monomials = given @ matrix[: given.size]
    if not np.isfinite(monomials).all():
        raise FieldError("NONFINITE", "expected finite coefficients and basis, got others.", next_step="Correct them.")
    return np.asarray(monomials)


def require_polynomial(coefficients: Any, basis: Any, *, normalized: bool, largest: float) -> None:
    """Refuse what is no polynomial, and one that loses too many digits when it is written in powers of η.

    Raises:
        FieldError: BAD_BASIS or NONFINITE.
    """
    try:
        given = np.asarray(coefficients)
        matrix = np.zeros(()) if isinstance(basis, str) else np.asarray(basis)
    except ValueError:  # rows of different lengths
        given = matrix = np.array(None)
    if {given.dtype.kind, matrix.dtype.kind} - set("iuf"):
        raise FieldError(
            "BAD_BASIS",
            "expected coefficients as a list of numbers and a basis by its name or as a square matrix, got others.",
            next_step="Correct them.",
        )
    if not (np.abs(given) <= largest).all() or not (np.abs(matrix) <= largest).all():
        raise FieldError(
            "NONFINITE",
            f"expected finite coefficients and basis of at most {largest:g} in size, got others.",
            next_step="Correct them.",
        )
    if given.size > MOST_COEFFICIENTS:
        lost = np.inf
    else:
        in_eta = on_unit_interval(to_monomials(coefficients, basis), normalized=normalized)
        lost = float(np.abs(in_eta).sum() * np.finfo(np.float64).eps)
    if lost > LOST * max(1.0, float(np.abs(given).sum())):
        raise FieldError(
            "BAD_BASIS",
            f"expected a polynomial whose powers double precision can add up, got one of degree {given.size - 1}.",
            next_step="Lower its degree.",
        )


def on_unit_interval(monomials: Vector, *, normalized: bool) -> Vector:
    """The same polynomial in η, where ξ = 2η − 1 if normalised."""
    if not normalized:
        return monomials
    result = np.zeros(1)
    for coefficient in monomials[::-1]:
        result = polynomial.polyadd(polynomial.polymul(result, [-1.0, 2.0]), [coefficient])
    return np.pad(result, (0, len(monomials) - len(result)))


def curvature_bound(in_eta: Vector) -> float:
    """max |p″| on [0, 1], from above: a polynomial lies in the hull of its Bernstein coefficients."""
    second = polynomial.polyder(in_eta, 2) if len(in_eta) > 2 else np.zeros(1)
    degree = len(second) - 1
    rows, columns = np.indices((degree + 1, degree + 1))
    bernstein = np.where(columns <= rows, comb(rows, columns) / comb(degree, columns), 0) @ second
    return float(np.abs(bernstein).max())


def gram_condition(basis: Matrix, samples: Any) -> float:
    """Condition number of the Gram matrix mean φ_m φ_n: how hard the coefficients are to fit from these samples."""
    values = np.vander(np.asarray(samples, np.float64), len(basis), increasing=True) @ basis.T
    return float(np.linalg.cond(values.T @ values / len(values)))
