"""Noise stays on the level set to first order, also at the bounds, and listens to four signals."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import CouplingGraph, Module
from nvp.coordinator.noise import Signals, free_coordinates, signals, tangent_noise
from nvp.coordinator.problem import build
from nvp.coordinator.reference import reference_energy
from nvp.coordinator.solvers.step import Point, Setting


def test_it_is_tangent_where_the_box_leaves_room() -> None:
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        eta = jnp.asarray([0.0, 0.0, 1.0, 1.0, *rng.uniform(0.3, 0.7, 6)])
        slope = jnp.asarray([1.0, -1.0, -1.0, 1.0, *rng.normal(size=6)])
        point, mask = Point(eta, jnp.asarray(0.0), slope), jnp.ones(10).at[9].set(0.0)
        free = free_coordinates(point, mask)
        np.testing.assert_array_equal(free, [0, 1, 0, 1, 1, 1, 1, 1, 1, 0])
        z = tangent_noise(jax.random.key(0), point, mask, jnp.asarray(1e-3))
        assert float(jnp.linalg.norm(z)) == pytest.approx(1e-3)
        assert abs(float(z @ slope)) <= 1e-12 * float(jnp.linalg.norm(slope))
        assert not z[free == 0].any()
        # a draw of which the pressed coordinates are clipped off afterwards is not tangent
        naive = jax.random.normal(jax.random.key(0), (10,))
        naive = naive - (naive @ slope) / (slope @ slope) * slope
        clipped = jnp.clip(eta + 1e-3 * naive, 0, 1) - eta
        assert abs(float(clipped @ slope)) > 1e-5


def test_energy_rises_with_the_square_of_its_length() -> None:
    """ΔF ≈ ½z⊥ᵀHz⊥: slope 2 on log-log paper, while isotropic noise has slope 1."""
    with jax.enable_x64(True):
        stiffness = jnp.linspace(1.0, 3.0, 8)
        eta = jnp.full(8, 0.5)
        point = Point(eta, 0.5 * stiffness @ eta**2, stiffness * eta)

        def rise(z: jax.Array) -> float:
            return float(jnp.abs(0.5 * stiffness @ (eta + z) ** 2 - point.energy))

        short, long = (
            rise(tangent_noise(jax.random.key(1), point, jnp.ones(8), jnp.asarray(length))) for length in (1e-3, 1e-2)
        )
        isotropic = jax.random.normal(jax.random.key(1), (8,)) + 1
        naive = rise(1e-2 * isotropic) / rise(1e-3 * isotropic)
    assert np.log10(long / short) == pytest.approx(2, abs=1e-3)
    assert np.log10(naive) == pytest.approx(1, abs=0.1)


def test_one_free_coordinate_leaves_no_room() -> None:
    with jax.enable_x64(True):
        point = Point(jnp.asarray([0.5]), jnp.asarray(0.0), jnp.asarray([1.0]))
        assert tangent_noise(jax.random.key(0), point, jnp.ones(1), jnp.asarray(0.1)).tolist() == [0.0]


def test_each_signal_counts() -> None:
    with jax.enable_x64(True):
        zero, one = jnp.asarray(0.0), jnp.asarray(1.0)
        for number in range(4):
            values = [zero] * 4
            values[number] = one
            assert float(Signals(*values).score()) == 0.25


UNLIKE = CouplingGraph(modules=[Module("compression", {"a": a, "target": 0.5}) for a in (0.01, 0.1, 5.0)])


def seen(before: list[float], after: list[float], *, step: float = 0.1, backtracks: float = 0.0) -> Signals:
    """The signals of a step between two states of wells that are curved unlike."""
    with jax.enable_x64(True):
        problem = jax.device_put(build(UNLIKE))
        ends = [Point(jnp.asarray([*eta, *[0.0] * 5]), *map(jnp.asarray, reference(eta))) for eta in (before, after)]
        setting = Setting(problem, None, jnp.asarray(10.0), RelaxConfig(mode="gradient"))
        return signals(setting, *ends, step=jnp.asarray(step), backtracks=jnp.asarray(backtracks))


def reference(eta: list[float]) -> tuple[float, np.ndarray]:
    value, slope = reference_energy(UNLIKE, eta)
    return value, np.pad(slope, (0, 5))


def test_each_signal_answers_to_its_cause_alone() -> None:
    # half of the way down the stiff well: as promised, nothing turned, nothing shortened, steep
    calm = seen([0.5, 0.5, 0.9], [0.5, 0.5, 0.7])
    assert [float(each) for each in calm] == pytest.approx([0, 0, 0, 0], abs=1e-9)
    across = seen([0.5, 0.5, 0.9], [0.5, 0.5, 0.1])
    assert float(across.rotation) == pytest.approx(1)
    assert float(across.stall) == pytest.approx(1)
    assert float(seen([0.5, 0.5, 0.9], [0.5, 0.5, 0.7], backtracks=1.0).caution) == 1
    assert float(seen([0.5, 0.5, 0.9], [0.5, 0.5, 0.7], step=0.199).caution) == 1
    # hardly any slope left although two of three wells are wide open
    flat = seen([0.5, 0.5, 0.6], [0.6, 0.5, 0.5])
    assert float(flat.anisotropy) > 0.6
