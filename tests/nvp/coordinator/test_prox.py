"""The proximal step of a coupling on the box, against a grid; projecting afterwards is not the same."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.problem import build
from nvp.coordinator.prox import prox_pair

KINDS = [
    ("quadratic", {"weight": 2.0}),
    ("directed_hinge", {"weight": 5.0}),
    ("asymmetric_hinge", {"weight": 3.0, "alpha": 0.4, "beta": 1.7}),
    ("asymmetric_hinge", {"weight": 3.0, "alpha": 0.0, "beta": 1.0}),
    ("sum_hinge", {"weight": 4.0, "margin": 0.5}),
    ("quadratic", {"weight": 0.0}),
]
TAU = 0.4
compiled = jax.jit(prox_pair)


def cost(pairs, x, y, x0, y0):  # type: ignore[no-untyped-def]
    u = pairs.p * x + pairs.q * y - pairs.m
    return pairs.w * np.where(pairs.two_sided | (u > 0), u, 0) ** 2 + ((x - x0) ** 2 + (y - y0) ** 2) / (2 * TAU)


def test_it_is_the_least_on_the_box() -> None:
    couplings = [Coupling(kind, 0, 1, params) for kind, params in KINDS] + [Coupling("quadratic", 0, 1)] * 2
    pairs = build(CouplingGraph(modules=[Module("landau")] * 2, couplings=couplings)).pairs
    grid = np.linspace(0, 1, 201)
    xs, ys = (axis[..., None] for axis in np.meshgrid(grid, grid, indexing="ij"))
    projection_is_worse = False
    for x0, y0 in np.random.default_rng(0).uniform(-1, 2, (60, 2)).tolist():
        start = np.full(len(couplings), x0), np.full(len(couplings), y0)
        with jax.enable_x64(True):
            x, y = map(np.asarray, compiled(pairs, *map(jnp.asarray, start), jnp.asarray(TAU)))
        assert ((x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)).all()
        found = cost(pairs, x, y, *start)
        assert (found <= cost(pairs, xs, ys, *start).min(axis=(0, 1)) + 1e-12).all()
        # quadratic, unconstrained: the mean is kept, the difference shrinks; then clipped
        mean, half = (x0 + y0) / 2, (x0 - y0) / 2 / (1 + 4 * 2.0 * TAU)
        clipped = np.clip(mean + half, 0, 1), np.clip(mean - half, 0, 1)
        projection_is_worse |= bool(cost(pairs, *clipped, x0, y0)[0] > found[0] + 1e-6)
    assert projection_is_worse
