"""What the driver does beside asking a solver: caps, ramps, balances, guards, stops, and notes it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.coordinator import descent, guards
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.problem import build
from nvp.coordinator.reference import reference_energy, reference_rows
from nvp.coordinator.relax import Relaxation, Status, relax
from nvp.coordinator.scenarios import baseline, random_graph
from nvp.coordinator.solvers import gradient
from nvp.coordinator.solvers.step import Point, Proposal, Setting, box
from nvp.coordinator.trail import Event
from nvp.errors import FieldError

KEY = jax.random.key(0)
START = [0.9, 0.1]
PLAIN: dict[str, Any] = {"mode": "gradient", "steps": 60, "record_states": True}
FIXED: dict[str, Any] = {"mode": "gradient", "line_search": False, "stability_guard": False}


def steps_of(found: Relaxation) -> slice:
    """The places of its steps in a trail."""
    return slice(1, int(found.steps) + 1)


def judged(graph: CouplingGraph, found: Relaxation) -> list[float]:
    """F of every state along the trail, by the plain loop."""
    return [reference_energy(graph, eta)[0] for eta in found.trail.states[: int(found.steps) + 1]]


@pytest.fixture(scope="module")
def plain() -> Relaxation:
    # the program of other tests: what is compiled once serves them all
    return relax(baseline(), RelaxConfig(**{**PLAIN, "steps": 200}), KEY, eta0=START)


def test_a_cap_reaches_couplings_that_no_weight_names(plain: Relaxation) -> None:
    """Rows 2a + 12b + 4w: 4.0 and 4.7 of their own, 2.8 of the spring; 6 leaves 1.3 of it."""
    graph = baseline()
    naive = {name: weight * 0.46 for name, weight in graph.weights.items()}
    assert naive == graph.weights == {}  # scaling a dictionary that names nothing does nothing
    assert reference_rows(graph).max() == pytest.approx(7.5)
    found = relax(graph, RelaxConfig(**PLAIN, coupling_cap=6.0), KEY, eta0=START)
    share = (6 - 4.7) / 2.8
    assert found.trail.scale[steps_of(found)] == pytest.approx(share)
    springs = [
        Coupling(each.kind, each.i, each.j, {"weight": each.params["weight"] * share}, delta=each.delta)
        for each in graph.couplings
    ]
    held = CouplingGraph(modules=graph.modules, couplings=springs, deltas=graph.deltas)
    assert reference_rows(held).max() == pytest.approx(6)
    # it went to the minimum of the capped objective, and what it returns is the best for the graph as it is drawn
    assert np.abs(reference_energy(held, found.trail.states[int(found.steps)])[1]).max() < 1e-6
    assert found.energy == pytest.approx(min(judged(graph, found)), abs=1e-14)
    assert plain.energy < found.energy <= found.initial_energy


def test_single_terms_are_ramped_and_every_objective_has_its_number(plain: Relaxation) -> None:
    config = RelaxConfig(**PLAIN, homotopy_start=1.0, homotopy_steps=10, homotopy_terms=(("coup:quadratic", 0.1),))
    found = relax(baseline(), config, KEY, eta0=START)
    assert np.abs(found.trail.states[1] - plain.trail.states[1]).max() > 1e-2
    assert found.eta == pytest.approx(plain.eta, abs=1e-6)
    last = int(found.steps)
    assert last > 10
    assert found.trail.scale[steps_of(found)] == pytest.approx(1)  # of all couplings at once
    assert found.trail.version[1:13].tolist() == [*range(11), 10]
    with pytest.raises(FieldError) as refused:
        relax(baseline(), RelaxConfig(homotopy_steps=5, homotopy_terms=(("coup:quadratics", 0.1),)), KEY)
    assert refused.value.code == "UNKNOWN_TERM"


STIFF = CouplingGraph(
    modules=[Module("landau", {"a": 0.1, "b": 0.1})] * 2,
    couplings=[Coupling("directed_hinge", 0, 1, {"weight": 50.0}), Coupling("gate_benefit", 1, 0, delta="d")],
    deltas={"d": 0.5},
)


def test_a_refused_step_sends_the_homotopy_back() -> None:
    config = RelaxConfig(**FIXED, step_size=1.0, steps=30, homotopy_steps=10, homotopy_start=0.5, record_states=True)
    found = relax(STIFF, config, KEY, eta0=[0.5, 0.45])
    trail = found.trail
    assert not trail.accepted[1]
    assert trail.events[1] == Event.BACKED_OFF
    assert trail.rise[1] > 0.5
    assert trail.scale[1] == pytest.approx(0.5)
    assert trail.scale[2] == pytest.approx(0.25 + 0.75 * 0.1)
    assert trail.scale[11] == pytest.approx(1)
    # nothing sticks to a step from the one before
    taken = np.flatnonzero(np.asarray(trail.accepted))
    assert taken.size
    assert not np.asarray(trail.rise)[taken].any()
    assert not (np.asarray(trail.events)[taken] & Event.BACKED_OFF).any()
    assert reference_energy(STIFF, found.eta)[0] <= reference_energy(STIFF, [0.5, 0.45])[0]


WAR = CouplingGraph(
    modules=[Module("sequence", {"alpha": 40.0}), Module("hypothesis", {"target": 0.2})],
    couplings=[Coupling("quadratic", 0, 1)],
)


def test_a_term_that_pulls_too_hard_is_brought_down() -> None:
    config = RelaxConfig(mode="gradient", line_search=False, step_size=0.001, steps=5, auto_balance=True)
    found = relax(WAR, config, KEY, eta0=[0.1, 0.9])
    trail = found.trail
    place = WAR.terms.index("local:sequence")
    assert trail.events[1] & Event.BALANCED
    assert trail.weights[1, place] == 1
    assert trail.weights[2, place] < 0.2
    assert trail.weights[2, 1 - place] == 1
    assert trail.version[1:3].tolist() == [0, 1]
    assert (np.asarray(trail.gain)[steps_of(found)] >= 0).all()
    before, after = (reference_energy(WAR, eta)[0] for eta in ([0.1, 0.9], found.eta))
    assert found.energy == pytest.approx(after)
    assert after <= before


def test_energy_that_is_bought_with_certainty_is_refused() -> None:
    graph = CouplingGraph(modules=[Module("compression", {"target": 1.0})] * 2)
    config = RelaxConfig(**PLAIN, temperature=0.5, max_rejected=12)
    found = relax(graph, config, KEY, eta0=[0.5, 0.6])

    def free(eta: np.ndarray) -> float:
        at = np.clip(eta, 1e-9, 1 - 1e-9)
        return float(reference_energy(graph, eta)[0] + 0.5 * np.sum(at * np.log(at) + (1 - at) * np.log(1 - at)))

    along = [free(eta) for eta in found.trail.states[: int(found.steps) + 1]]
    taken = np.asarray(found.trail.accepted)[steps_of(found)]
    assert taken.any()
    assert (np.diff(along)[taken] < -1e-6).all()
    assert found.status == Status.REJECTED
    # the minimum of the energy alone is at 1
    assert 0.5 < found.eta.min() <= found.eta.max() < 0.95


def test_entropy_counts_what_is_undecided() -> None:
    with jax.enable_x64(True):
        eta, mask = jnp.asarray([0.5, 0.0, 1.0, 0.5]), jnp.asarray([1.0, 1.0, 1.0, 0.0])
        assert float(guards.entropy(eta, mask)) == pytest.approx(np.log(2), abs=1e-6)


def test_too_little_for_too_long_is_the_end() -> None:
    config = RelaxConfig(**FIXED, step_size=1e-3, steps=50, stall_gain=0.05, stall_patience=5)
    found = relax(baseline(), config, KEY, eta0=START)
    assert found.status == Status.STALLED
    assert found.steps == 5
    assert found.accepted == 5


def test_injected_sign_bug_is_taken_back_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uphill steps: without a word the state is restored; where it is asked for, the first one is an error."""

    def uphill(setting: Setting, point: Point, carry: Any, rate: jax.Array) -> Proposal:
        return gradient.propose(setting, point._replace(gradient=-point.gradient), carry, rate)

    monkeypatch.setitem(descent.SOLVERS, "gradient", gradient.SOLVER._replace(propose=uphill))
    # a step size of its own: programs are cached by their settings
    buggy: dict[str, Any] = {**FIXED, "step_size": 0.0321, "steps": 8, "max_rejected": 4}
    found = relax(baseline(), RelaxConfig(**buggy), KEY, eta0=[0.5, 0.4])
    assert found.status == Status.REJECTED
    assert found.accepted == 0
    np.testing.assert_array_equal(found.eta, [0.5, 0.4])
    assert (np.asarray(found.trail.rise)[steps_of(found)] > 0).all()
    with pytest.raises(FieldError) as told:
        relax(baseline(), RelaxConfig(**buggy, assert_monotonic=True), KEY, eta0=[0.5, 0.4])
    assert told.value.code == "GUARD_VIOLATED"
    assert "step 1" in str(told.value)


SHAPES: list[dict[str, Any]] = [
    {},
    {"unit_gradient": True},
    {"max_gradient_norm": 0.1},
    {"precondition": True},
    {"precondition": True, "unit_gradient": True},
]


@pytest.mark.parametrize("shape", SHAPES)
def test_no_step_below_the_bound_of_its_direction_raises_the_energy(shape: dict[str, Any]) -> None:
    graph = random_graph(8, "rugged", np.random.default_rng(0), per_module=3)
    config = RelaxConfig(mode="gradient", **shape)
    with jax.enable_x64(True):
        problem = jax.device_put(build(graph))
        for eta in np.random.default_rng(1).random((10, 8)):
            value, slope = reference_energy(graph, eta)
            point = Point(jnp.asarray(eta), jnp.asarray(value), jnp.asarray(slope))
            limit = jnp.asarray(float(reference_rows(graph).max()))
            d, curvature = gradient.direction(Setting(problem, None, limit, config), point)
            length = float(jnp.linalg.norm(d))
            if config.unit_gradient:
                assert length == pytest.approx(1)
            if config.max_gradient_norm:
                assert length <= 0.1 + 1e-12
            moved = np.asarray(box(point.eta - 1.99 / curvature * d))
            assert reference_energy(graph, moved)[0] <= value + 1e-12


def test_an_escape_leads_away_from_the_gradient() -> None:
    with jax.enable_x64(True):
        config = RelaxConfig(mode="gradient")
        setting = Setting(None, None, jnp.asarray(10.0), config)  # type: ignore[arg-type]
        before = Point(jnp.asarray([0.5, 0.5]), jnp.asarray(1.0), jnp.asarray([1.0, 0.0]))

        def noted(eta: list[float], *, energy: float = 0.9, noise: float = 0.1, step: float = 0.05) -> Event:
            after = Point(jnp.asarray(eta), jnp.asarray(energy), before.gradient)
            no = jnp.asarray(False)
            proposal = Proposal(after.eta, (), jnp.asarray(step), jnp.asarray(0), no, no)
            ok = jnp.asarray(True)
            return Event(int(guards.events_of(setting, before, after, proposal, jnp.asarray(noise), ok)))

        assert noted([0.5, 0.6]) == Event.ESCAPED
        assert noted([0.4, 0.5]) == Event(0)  # along −g
        assert noted([0.5, 0.6], noise=0.0) == Event(0)
        assert noted([0.5, 0.6], energy=1.0) == Event(0)
        assert noted([0.5, 0.5005]) == Event(0)
        assert noted([0.4, 0.5], step=0.2) == Event.LOW_MARGIN
