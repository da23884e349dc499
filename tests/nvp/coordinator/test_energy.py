"""The fused energy against the plain loop, its gradient against hand-written and finite differences."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.energy import precision, term_energies, term_gradients, value_and_grad, weighed
from nvp.coordinator.polynomials import arbitrary_basis
from nvp.coordinator.problem import Problem, build
from nvp.coordinator.reference import between, reference_energy
from nvp.coordinator.scenarios import random_graph

compiled = jax.jit(lambda problem, eta: value_and_grad(weighed(problem, problem.weights), eta))
compiled_terms = jax.jit(lambda problem, eta: (term_energies(problem, eta), term_gradients(problem, eta)))


def padded(problem: Problem, eta: np.ndarray) -> jax.Array:
    return jnp.asarray(np.pad(eta, (0, problem.size - len(eta))))


@precision
def fused(graph: CouplingGraph, eta: np.ndarray) -> tuple[float, np.ndarray]:
    problem = build(graph)
    value, slope = compiled(problem, padded(problem, eta))
    return float(value), np.asarray(slope)[: len(eta)]


@pytest.mark.parametrize("kind", ["convex", "rugged"])
def test_energy_and_gradient_are_those_of_the_loop(kind: str) -> None:
    rng = np.random.default_rng(0)
    for count in (13, 16):
        graph = random_graph(count, kind, rng)
        weights = dict(zip(graph.terms, rng.uniform(0, 2, len(graph.terms)).tolist(), strict=True))
        graph = CouplingGraph(
            modules=graph.modules, couplings=graph.couplings, deltas=graph.deltas, weights=weights, gamma=0.3
        )
        for _ in range(20):
            # corners and faces of the box among them
            eta = np.clip(rng.uniform(-0.3, 1.3, count), 0, 1)
            value, slope = fused(graph, eta)
            expected, by_hand = reference_energy(graph, eta)
            assert value == pytest.approx(expected, rel=1e-12, abs=1e-12)
            np.testing.assert_allclose(slope, by_hand, rtol=1e-12, atol=1e-12)


def test_terms_add_up_to_the_whole() -> None:
    graph = random_graph(16, "rugged", np.random.default_rng(1))
    eta = np.random.default_rng(2).random(16)
    with jax.enable_x64(True):
        problem = build(graph)
        energies, slopes = compiled_terms(problem, padded(problem, eta))
    value, slope = fused(graph, eta)
    assert energies.shape == (len(graph.terms),)
    assert float(np.asarray(energies).sum()) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(np.asarray(slopes).sum(axis=0)[:16], slope, rtol=1e-12, atol=1e-13)
    # modules of one kind are summed, none overwrites another
    alone = CouplingGraph(modules=[Module("sequence"), Module("sequence")])
    with jax.enable_x64(True):
        problem = build(alone)
        both, _ = compiled_terms(problem, padded(problem, np.array([0.0, 0.5])))
    assert float(both[0]) == pytest.approx(2 + 0.25 + 0.0625)


EVERY = [
    ("quadratic", {}),
    ("directed_hinge", {}),
    ("asymmetric_hinge", {"alpha": 0.7, "beta": 1.3}),
    ("sum_hinge", {"margin": 0.8}),
    ("gate_benefit", {}),
    ("damped_gate_benefit", {"power": 1.5, "damping": 0.5}),
    ("damped_gate_benefit", {"power": 3.0, "negative": 2.0}),
    ("redemption", {"target": 0.9, "scale": 1.2, "margin": 0.04}),
]


@pytest.mark.parametrize(("kind", "params"), EVERY)
def test_hand_written_derivatives_are_those_of_finite_differences(kind: str, params: dict[str, float]) -> None:
    coupling = Coupling(kind, 0, 1, {"weight": 0.6, **params})
    for delta in (0.3, -0.2):
        for x, y in np.random.default_rng(0).uniform(0.05, 0.95, (30, 2)).tolist():
            _, at_i, at_j = between(coupling, x, y, delta)
            step = 1e-6
            by_x = (between(coupling, x + step, y, delta)[0] - between(coupling, x - step, y, delta)[0]) / (2 * step)
            by_y = (between(coupling, x, y + step, delta)[0] - between(coupling, x, y - step, delta)[0]) / (2 * step)
            assert (at_i, at_j) == pytest.approx((by_x, by_y), abs=1e-6)


def test_gradients_are_finite_at_kinks_and_bounds() -> None:
    """η^p has an infinite second and, computed naively, a NaN for its first derivative at 0."""
    graph = CouplingGraph(
        modules=[Module("landau"), Module("landau")],
        couplings=[Coupling(kind, 0, 1, params, delta="d" if "gate" in kind else "") for kind, params in EVERY],
        deltas={"d": 0.4},
    )
    for state in ([0.0, 0.0], [0.5, 0.5], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]):
        value, slope = fused(graph, np.array(state))
        expected, by_hand = reference_energy(graph, state)
        assert value == pytest.approx(expected)
        np.testing.assert_allclose(slope, by_hand, atol=1e-14)


def test_the_price_of_modules_is_part_of_the_energy() -> None:
    free, priced = (CouplingGraph(modules=[Module("landau")] * 3, gamma=gamma) for gamma in (0.0, 0.2))
    assert fused(priced, np.zeros(3))[0] - fused(free, np.zeros(3))[0] == pytest.approx(0.6)


def test_one_polynomial_in_three_bases_is_one_function() -> None:
    """A basis changes how coefficients are fitted, not the path of a relaxation."""
    basis = arbitrary_basis(np.random.default_rng(0).normal(0, 0.5, 50), 3)
    in_basis = np.array([0.1, -0.4, 0.3, 0.2])
    monomials = in_basis @ basis
    legendre = np.polynomial.legendre.poly2leg(monomials)
    eta = np.array([0.0, 0.3, 1.0])
    found = [
        fused(CouplingGraph(modules=[Module("polynomial", {"coefficients": given, "basis": name})] * 3), eta)
        for given, name in ((in_basis, basis), (monomials, "monomial"), (legendre, "legendre"))
    ]
    for value, slope in found[1:]:
        assert value == pytest.approx(found[0][0], rel=1e-12)
        np.testing.assert_allclose(slope, found[0][1], rtol=1e-11)
    assert found[0][0] == pytest.approx(np.polynomial.polynomial.polyval(2 * eta - 1, monomials).sum(), rel=1e-12)
