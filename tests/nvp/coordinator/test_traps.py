"""Mistakes that coordinators of this kind have made, each beside the naive version that makes it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.coordinator import bounds
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.energy import value_and_grad, weighed
from nvp.coordinator.noise import tangent_noise
from nvp.coordinator.problem import build
from nvp.coordinator.reference import between, reference_energy, reference_rows, reference_terms
from nvp.coordinator.relax import Status, layout, relax
from nvp.coordinator.scenarios import baseline
from nvp.coordinator.solvers import splitting
from nvp.coordinator.solvers.step import Point, Setting
from nvp.coordinator.trackers import delta_f90

KEY = jax.random.key(0)
STIFF = CouplingGraph(
    modules=[Module("landau", {"a": 0.1, "b": 0.1})] * 2,
    couplings=[Coupling("directed_hinge", 0, 1, {"weight": 50.0}), Coupling("gate_benefit", 1, 0, delta="d")],
    deltas={"d": 0.5},
)
AT = np.array([0.5, 0.45])


def test_a_failed_line_search_leaves_everything_as_it_was() -> None:
    """Naive: where no step will do, take the first one in full."""
    value, slope = reference_energy(STIFF, AT)
    naive = np.clip(AT - slope, 0, 1)
    assert reference_energy(STIFF, naive)[0] > value + 0.1
    config = RelaxConfig(mode="gradient", step_size=1.0, max_backtrack=0, max_rejected=1)
    found = relax(STIFF, config, KEY, eta0=AT)
    assert found.status == Status.LINE_SEARCH_FAILED
    np.testing.assert_array_equal(found.eta, AT)
    assert found.energy == found.initial_energy


def test_the_price_of_a_gate_acts_while_it_relaxes() -> None:
    """Naive: the price enters the first η alone; F = aη² + bη⁴ knows nothing of it, and every price ends closed."""

    def naive(cost: float) -> float:
        eta = 1 / (1 + np.exp(-10 * (0.5 - cost)))
        for _ in range(2000):
            eta -= 0.1 * (2 * 0.1 * eta + 4 * 0.1 * eta**3)
        return eta

    assert naive(0.0) == pytest.approx(naive(0.4), abs=1e-9)
    gates = [Module("gating", {"net": 0.5 - cost}) for cost in (0.0, 0.4)]
    dear = relax(CouplingGraph(modules=gates), RelaxConfig(), KEY).eta
    assert dear[0] > dear[1] + 0.3 > 0.3


def test_the_guard_counts_hinges_that_are_not_yet_active() -> None:
    """Naive: the curvature where it stands. A step of 1 looks safe there, and lands deep in the hinge."""
    value, slope = reference_energy(STIFF, AT)
    assert AT[1] < AT[0]
    here = max(2 * 0.1 + 12 * 0.1 * eta**2 for eta in AT)
    naive = min(1.0, 0.9 * 2 / here)
    assert naive == 1.0
    assert reference_energy(STIFF, np.clip(AT - naive * slope, 0, 1))[0] > value
    ours = min(1.0, 0.9 * 2 / reference_rows(STIFF).max())
    assert reference_energy(STIFF, np.clip(AT - ours * slope, 0, 1))[0] < value


def test_a_hinge_keeps_its_direction_whichever_end_moves() -> None:
    """Naive: neighbours without direction, the moved end always first. The hinge at (0.2, 0.9) then looks satisfied."""
    hinge = Coupling("directed_hinge", 0, 1)
    assert between(hinge, 0.9, 0.2, 0.0)[1:] == (0, 0)
    graph = CouplingGraph(modules=[Module("polynomial", {"coefficients": (0.0,)})] * 2, couplings=[hinge])
    with jax.enable_x64(True):
        _, slope = value_and_grad(jax.device_put(build(graph)), jnp.asarray([0.2, 0.9] + [0.0] * 6))
    assert np.asarray(slope)[:2] == pytest.approx([-1.4, 1.4])
    found = relax(graph, RelaxConfig(mode="coordinate", steps=3), KEY, eta0=[0.2, 0.9])
    assert found.energy == pytest.approx(0, abs=1e-12)


def test_noise_passes_the_guard_and_is_not_inert() -> None:
    """Naive: add it behind the accepted step and clip. F then rises, and that state is what is returned."""
    rng = np.random.default_rng(0)
    rises = 0
    for draw in rng.normal(0, 0.3, (50, 2)):
        _, slope = reference_energy(STIFF, AT)
        stepped = np.clip(AT - 0.005 * slope, 0, 1)
        naive = np.clip(stepped + draw - (draw @ slope) / (slope @ slope) * slope, 0, 1)
        rises += reference_energy(STIFF, naive)[0] > reference_energy(STIFF, AT)[0]
    assert rises > 10
    settings: dict[str, Any] = {"mode": "gradient", "steps": 20, "record_states": True}
    noisy = relax(STIFF, RelaxConfig(**settings, noise=0.03), KEY, eta0=AT)
    again = relax(STIFF, RelaxConfig(**settings, noise=0.03), jax.random.key(1), eta0=AT)
    energies = [reference_energy(STIFF, eta)[0] for eta in noisy.trail.states[: int(noisy.steps) + 1]]
    assert (np.diff(energies) <= 1e-15).all()
    assert (np.asarray(noisy.trail.noise) > 0).any()
    assert np.abs(noisy.trail.states[1:5] - again.trail.states[1:5]).max() > 1e-3


def test_a_metric_is_not_a_level_set() -> None:
    """Orthogonal in M, F changes in first order; noise of unlike lengths is still tangent."""
    with jax.enable_x64(True):
        curvature = jnp.asarray([0.1, 1.0, 5.0, 20.0])
        point = Point(jnp.full(4, 0.5), jnp.asarray(0.0), jnp.asarray([0.1, -0.5, 0.3, 0.8]))
        length = jnp.asarray(0.1)
        keys = jax.random.split(jax.random.key(0), 40)
        metric = [tangent_noise(key, point, jnp.ones(4), length, metric=curvature) for key in keys]
        longer = [tangent_noise(key, point, jnp.ones(4), length, stretch=1 / curvature) for key in keys]
        assert max(abs(float(z @ (curvature * point.gradient))) for z in metric) < 1e-12
        assert max(abs(float(z @ point.gradient)) for z in metric) > 1e-2
        assert max(abs(float(z @ point.gradient)) for z in longer) < 1e-12
        lengths = np.abs(np.array(longer)).mean(axis=0)
        assert lengths[0] > 3 * lengths[1:].max()


CHAIN = CouplingGraph(
    modules=[Module("hypothesis", {"target": target}) for target in (0.1, 0.9, 0.2, 0.7)],
    couplings=[Coupling("quadratic", i, i + 1) for i in range(3)],
)


def test_proximal_sweeps_of_one_length_settle_beside_the_minimum() -> None:
    """Naive: one τ for ever. Beside the minimum by O(τ²) in F, however long it goes on; ours halves τ."""
    least = reference_energy(CHAIN, relax(CHAIN, RelaxConfig(), KEY).eta)[0]
    config = RelaxConfig(mode="splitting", steps=300)
    with jax.enable_x64(True):
        raw = build(CHAIN)
        problem = weighed(jax.device_put(raw), jnp.asarray(raw.weights))
        setting = Setting(problem, layout(raw, config), bounds.lipschitz(problem), config)

        @jax.jit
        def naive(rate: jax.Array) -> jax.Array:
            def sweep(_: jax.Array, eta: jax.Array) -> jax.Array:
                point = Point(eta, *value_and_grad(problem, eta))
                return splitting.propose(setting, point, (), rate).eta

            return value_and_grad(problem, jax.lax.fori_loop(0, 2000, sweep, 0.5 * problem.mask))[0]

        bias = [float(naive(jnp.asarray(rate))) - least for rate in (1.0, 0.5, 0.25)]
    assert bias[0] > 2 * bias[1] > 4 * bias[2] > 1e-3
    assert float(relax(CHAIN, config, KEY).energy) - least < bias[2] / 4


def test_stopping_early_is_not_fast_and_the_start_counts() -> None:
    """Naive: begin behind the first step, and measure against one's own end."""

    def naive(energies: list[float]) -> int:
        drop = energies[1] - min(energies)
        return next(at for at, energy in enumerate(energies[1:], 1) if energy <= energies[1] - 0.9 * drop)

    lazy, thorough = [1.0, 0.6, 0.59], [1.0, 0.5, 0.2, 0.05, 0.0]
    assert naive(lazy) < naive(thorough)
    assert delta_f90(lazy, 0.0) == -1
    assert delta_f90(thorough, 0.0) == 4


def test_energies_of_two_objectives_are_never_compared() -> None:
    """Naive: hold one energy trail monotone through new weights. They alone make it jump, and no step is to blame."""
    graph = CouplingGraph(modules=[Module("sequence", {"alpha": 40.0}), Module("hypothesis", {"target": 0.2})])
    config = RelaxConfig(
        mode="gradient", line_search=False, step_size=1e-3, steps=5, auto_balance=True, record_states=True
    )
    found = relax(graph, config, KEY, eta0=[0.1, 0.9])
    trail, last = found.trail, int(found.steps)

    def own(step: int, at: int) -> float:
        weights = dict(zip(graph.terms, np.asarray(trail.weights[step]).tolist(), strict=True))
        judged = CouplingGraph(modules=graph.modules, weights=weights)
        return reference_energy(judged, trail.states[at])[0]

    jumps = [own(step + 1, step) - own(step, step) for step in range(1, last)]
    assert max(map(abs, jumps)) > 1
    for step in range(1, last + 1):
        assert trail.gain[step] == pytest.approx(own(step, step - 1) - own(step, step), abs=1e-9)
        assert trail.gain[step] >= 0
    # what is asserted of F is asserted by who asks for it: by default a rise is taken back
    assert not RelaxConfig().assert_monotonic


def test_randomness_belongs_to_the_run() -> None:
    """Naive: one generator for all. What ran before, or beside, then changes what is drawn."""

    def naive() -> list[float]:
        return np.random.normal(size=3).tolist()

    np.random.seed(0)
    first = naive()
    assert naive() != first
    config = RelaxConfig(mode="gradient", steps=20, record_states=True, noise=0.03)
    one = relax(STIFF, config, KEY, eta0=AT)
    np.random.normal(size=100)
    relax(STIFF, config, jax.random.key(7), eta0=AT)
    other = relax(STIFF, config, KEY, eta0=AT)
    for ours, theirs in zip(one.trail, other.trail, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_two_modules_of_one_kind_can_be_weighed_apart() -> None:
    """Naive: weights by the name of the class, one for both."""
    modules = [Module("sequence", term="first"), Module("sequence", term="second")]
    graph = CouplingGraph(modules=modules, weights={"first": 3.0})
    naive = {type(each).__name__ + ":" + each.kind: 3.0 for each in modules}
    assert len(naive) == 1
    terms = reference_terms(graph, [0.5, 0.5])
    assert terms["first"][0] == pytest.approx(3 * terms["second"][0])
    with jax.enable_x64(True):
        raw = build(graph)
        problem = weighed(jax.device_put(raw), jnp.asarray(raw.weights))
        _, slope = value_and_grad(problem, jnp.full(8, 0.5) * problem.mask)
    assert slope[0] == pytest.approx(3 * float(slope[1]))
    assert baseline().terms == ("local:gating", "coup:quadratic", "coup:gate_benefit")
