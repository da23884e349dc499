"""The relaxed state's answer to its weights: against finite differences, and as something to learn by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.coordinator.batch import stack
from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.energy import precision
from nvp.coordinator.implicit import SETTLED, learn, squared_error, weight_gradient
from nvp.coordinator.problem import build
from nvp.coordinator.relax import relax

KEY = jax.random.key(0)
SLOPE = np.array([1.0, -0.5, 0.3, 2.0])


def beliefs(targets: Any, **weights: float) -> CouplingGraph:
    """Four modules with wells of their own, tied in a ring; the last one is pressed against 0."""
    first, second, third = (float(each) for each in targets)
    return CouplingGraph(
        modules=[
            Module("hypothesis", {"a": 1.0, "target": first}, term="strong"),
            Module("hypothesis", {"a": 0.6, "target": second}, term="weak"),
            Module("landau", {"a": -0.5, "b": 1.0, "h": 0.3 * third}),
            Module("gating", {"a": 0.2, "b": 0.2, "net": -2.0}),
        ],
        couplings=[
            Coupling("quadratic", 0, 1, {"weight": 0.7}),
            Coupling("quadratic", 1, 2, {"weight": 0.4}),
            Coupling("directed_hinge", 2, 0, {"weight": 0.5}),
            Coupling("quadratic", 3, 0, {"weight": 0.1}, term="leash"),
        ],
        weights={name.replace("_", ":"): value for name, value in weights.items()},
    )


@precision
def answer(graph: CouplingGraph, eta: Any, slope: Any) -> tuple[np.ndarray, bool]:
    problem = jax.tree.map(jnp.asarray, build(graph))
    padded = [jnp.asarray(np.pad(each, (0, problem.size - len(each)))) for each in (eta, slope)]
    found = jax.jit(weight_gradient)(problem, problem.weights, *padded)
    return np.asarray(found.slope), bool(found.trusted)


def test_it_is_what_finite_differences_say() -> None:
    graph = beliefs([0.8, 0.3, 0.9])
    given = np.array([1.3, 0.8, 1.1, 0.9, 0.7, 1.2, 1.6])
    assert len(graph.terms) == len(given)
    shifted = [given, *(given + sign * 1e-3 * unit for unit in np.eye(7) for sign in (1, -1))]
    eta = np.array([relax(graph, SETTLED, KEY, eta0=[0.6] * 4, weights=each).eta for each in shifted])
    assert eta[0, 3] == 0  # held at its bound
    assert ((eta[0, :3] > 0) & (eta[0, :3] < 1)).all()
    numeric = (eta[1::2] - eta[2::2]) @ SLOPE / 2e-3
    weighed = replace(graph, weights=dict(zip(graph.terms, given.tolist(), strict=True)))
    found, trusted = answer(weighed, eta[0], SLOPE)
    assert trusted
    np.testing.assert_allclose(found, numeric, rtol=1e-4, atol=1e-5)
    assert np.abs(numeric).max() > 0.05


def test_a_saddle_is_not_trusted() -> None:
    """η = 0.5 between two wells at the bounds is no minimum: there is no state that answers."""
    wells = CouplingGraph(modules=[Module("polynomial", {"coefficients": (0.0, 0.0, -1.0)})])
    found, trusted = answer(wells, [0.5], [1.0])
    assert not trusted
    np.testing.assert_array_equal(found, 0)


def test_planted_weights_are_learnt_from_what_they_lead_to() -> None:
    """Half of the graphs teach; the others, never seen, are predicted much better than with all weights 1."""
    draws = np.random.default_rng(0).random((12, 3))
    planted = {"strong": 0.5, "weak": 2.0, "coup_quadratic": 1.5, "local_landau": 0.6}
    graphs = [beliefs(each) for each in draws]
    start = np.full(4, 0.5)
    truth = np.array([relax(beliefs(each, **planted), SETTLED, KEY, eta0=start).eta for each in draws])
    problems = stack([build(graph) for graph in graphs])
    padding = ((0, 0), (0, problems.mask.shape[1] - 4))
    targets, starts = np.pad(truth, padding), np.pad(np.tile(start, (12, 1)), padding)
    some = jax.tree.map(lambda leaf: leaf[:6], problems)
    found = learn(some, starts[:6], targets[:6], np.ones(7), KEY, outer=squared_error, rounds=50, rate=0.15)
    assert float(found.trusted.min()) == 1
    assert float(found.losses[-1]) < 0.02 * float(found.losses[0])
    weights = np.asarray(found.weights)
    assert np.log(weights).mean() == pytest.approx(0, abs=1e-9)
    unlearnt, learnt = (
        np.mean([(relax(graphs[k], SETTLED, KEY, eta0=start, weights=given).eta - truth[k]) ** 2 for k in range(6, 12)])
        for given in (np.ones(7), weights)
    )
    assert learnt < 0.1 * unlearnt
