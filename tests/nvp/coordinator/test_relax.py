"""All solvers behind one front: they find the known minima, and never leave anything worse than it was."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from nvp.coordinator.config import MODES, RelaxConfig
from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.reference import reference_energy
from nvp.coordinator.relax import Relaxation, Status, prepare, relax, run
from nvp.coordinator.scenarios import baseline, dense, random_graph
from nvp.coordinator.trackers import delta_f90
from nvp.errors import FieldError

KEY = jax.random.key(0)
LEAST = -0.00250761208616738
AT = (0.0603928, 0.0778367)
TOLD = {"admm": {"primal_residual", "dual_residual"}, "adaptive": {"switches"}}


def started_at(graph: CouplingGraph, found: Relaxation, start: list[float]) -> None:
    """What is true of every relaxation, judged by the plain loop."""
    before, after = reference_energy(graph, start)[0], reference_energy(graph, found.eta)[0]
    assert found.initial_energy == pytest.approx(before, rel=1e-12)
    assert found.energy == pytest.approx(after, rel=1e-12, abs=1e-14)
    assert after <= before
    assert ((found.eta >= 0) & (found.eta <= 1)).all()
    assert found.accepted <= found.steps


@pytest.mark.parametrize("mode", MODES)
def test_every_solver_finds_the_minimum_of_the_baseline(mode: str) -> None:
    config = RelaxConfig(mode=mode, steps=200, record_states=True)
    for start in ([0.9, 0.1], [0.0, 1.0]):
        found = relax(baseline(), config, KEY, eta0=start)
        started_at(baseline(), found, start)
        energies = [reference_energy(baseline(), eta)[0] for eta in found.trail.states[: int(found.steps) + 1]]
        assert (np.diff(energies) <= 1e-15).all()
        # proximal sweeps come to rest no faster than their τ shrinks
        tolerance = 2e-4 if mode == "splitting" else 1e-10
        assert found.energy == pytest.approx(LEAST, abs=tolerance)
        assert set(found.told) == TOLD.get(mode, set())
        if mode == "adaptive":
            assert 1 <= found.told["switches"] <= found.accepted
        if mode != "splitting":
            assert found.status == Status.CONVERGED
            assert found.eta == pytest.approx(AT, abs=1e-5)


def test_landau_wells_order_below_zero() -> None:
    """η* = √(−a/2b), F* = −a²/4b; a whole sweep of a is one graph."""
    a = [each for each in np.linspace(-1, 1, 21).tolist() if abs(each) > 1e-9]
    tilted = Module("landau", {"a": 0.5, "h": 0.2}, term="tilted")
    graph = CouplingGraph(modules=[*(Module("landau", {"a": each}) for each in a), tilted])
    found = relax(graph, RelaxConfig(), KEY)
    exact = np.sqrt(np.maximum(-np.array(a), 0) / 2)
    assert found.eta[:-1] == pytest.approx(exact, abs=1e-6)
    eta = float(found.eta[-1])
    assert 2 * 0.5 * eta + 4 * eta**3 == pytest.approx(0.2)
    wells = -np.sum(np.minimum(a, 0) ** 2) / 4
    assert found.energy == pytest.approx(wells + 0.5 * eta**2 + eta**4 - 0.2 * eta, abs=1e-9)


FIXED = {"mode": "gradient", "line_search": False, "step_size": 1.0, "steps": 40}
STIFF = CouplingGraph(
    modules=[Module("landau", {"a": 0.1, "b": 0.1})] * 2,
    couplings=[Coupling("directed_hinge", 0, 1, {"weight": 50.0}), Coupling("gate_benefit", 1, 0, delta="d")],
    deltas={"d": 0.5},
)


def test_a_step_that_raises_the_energy_is_taken_back() -> None:
    """The hinge is inactive at the start, and a step of 1 lands deep in it: there F is higher."""
    start = [0.5, 0.45]
    _, slope = reference_energy(STIFF, start)
    naive = np.clip(np.array(start) - slope, 0, 1)
    assert reference_energy(STIFF, naive)[0] > reference_energy(STIFF, start)[0]
    loose = relax(STIFF, RelaxConfig(**FIXED, stability_guard=False), KEY, eta0=start)
    started_at(STIFF, loose, start)
    assert loose.accepted < loose.steps
    guarded = relax(STIFF, RelaxConfig(**FIXED), KEY, eta0=start)
    started_at(STIFF, guarded, start)
    assert guarded.accepted == guarded.steps


def test_a_fixed_step_without_a_bound_is_refused() -> None:
    vertical = CouplingGraph(
        modules=[Module("gating")] * 2,
        couplings=[Coupling("damped_gate_benefit", 1, 0, {"power": 1.5}, delta="d")],
        deltas={"d": 0.1},
    )
    with pytest.raises(FieldError) as refused:
        relax(vertical, RelaxConfig(**FIXED), KEY)
    assert refused.value.code == "GUARD_VIOLATED"


def test_coordinates_pass_over_what_is_pinned() -> None:
    """The largest gradient belongs to a module at its bound; the hinge must be seen from both of its ends."""
    graph = CouplingGraph(
        modules=[Module("landau", {"a": 0.5, "h": 9.0}), Module("landau", {"a": 0.4}), Module("landau", {"a": 0.2})],
        couplings=[Coupling("directed_hinge", 1, 2, {"weight": 2.0})],
    )
    start = [1.0, 0.2, 0.9]
    found = relax(graph, RelaxConfig(mode="coordinate", steps=50), KEY, eta0=start)
    started_at(graph, found, start)
    assert found.eta == pytest.approx([1, 0, 0], abs=1e-3)


def test_homotopy_turns_up_couplings_that_no_weight_names() -> None:
    """The way is another, the end is the same."""
    plain = RelaxConfig(mode="gradient", steps=200, record_states=True)
    ramped = RelaxConfig(mode="gradient", steps=200, record_states=True, homotopy_steps=10)
    assert not baseline().weights
    one, other = (relax(baseline(), config, KEY, eta0=[0.9, 0.1]) for config in (plain, ramped))
    assert np.abs(one.trail.states[1] - other.trail.states[1]).max() > 1e-3
    assert other.trail.scale[0] == 1  # F of the start is that of the drawing
    assert other.trail.scale[1] == pytest.approx(0.1)
    assert other.trail.scale[11] == 1
    assert other.eta == pytest.approx(one.eta, abs=1e-7)


def test_noise_explores_and_returns_nothing_worse() -> None:
    graph = random_graph(8, "rugged", np.random.default_rng(3), per_module=3)
    start = np.full(8, 0.5).tolist()
    config = RelaxConfig(mode="gradient", steps=60, noise=0.2, noise_control=True)
    first, again = (relax(graph, config, KEY, eta0=start) for _ in range(2))
    started_at(graph, first, start)
    assert (first.trail.noise > 0).any()
    np.testing.assert_array_equal(first.eta, again.eta)


def test_a_batch_is_its_members() -> None:
    """Over four devices where there are four; each start goes its own way."""
    starts = np.random.default_rng(0).random((4, 2))
    config = RelaxConfig(mode="newton", steps=200, record_states=True)
    together = relax(baseline(), config, KEY, eta0=starts)
    assert together.eta.shape == (4, 2)
    for number, start in enumerate(starts):
        alone = relax(baseline(), config, KEY, eta0=start)
        np.testing.assert_allclose(together.trail.energy[number], alone.trail.energy, rtol=0, atol=1e-14)
        np.testing.assert_allclose(together.eta[number], alone.eta, atol=1e-12)


@pytest.mark.parametrize("rho", [0.3, 3.0])
def test_copies_of_gaps_agree_in_the_end(rho: float) -> None:
    """ADMM stops on both of its residuals, whatever ρ."""
    graph = dense(8)
    found = relax(graph, RelaxConfig(mode="admm", steps=300, admm_rho=rho), KEY, eta0=np.linspace(0, 1, 8))
    assert 0 < found.told["primal_residual"] < 1e-6
    assert 0 < found.told["dual_residual"] < 1e-6
    least = relax(graph, RelaxConfig(), KEY).energy
    assert float(found.energy) == pytest.approx(float(least), abs=1e-6)


def test_four_devices_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is divided over the devices, and every member is what it is on one of them."""
    graph, config = dense(8), RelaxConfig(mode="gradient", steps=30, record_states=True)
    starts = np.random.default_rng(0).random((8, 8))
    problem = prepare(graph, config)
    divided = run(problem, config, KEY, starts, problem.weights, layout=None)
    assert jax.device_count() == 4
    assert divided[0].best_eta.sharding.num_devices == 4
    assert {shard.data.shape for shard in divided[0].best_eta.addressable_shards} == {(2, 8)}
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    whole = run(problem, config, KEY, starts, problem.weights, layout=None)
    assert whole[0].best_eta.sharding.num_devices == 1
    for ours, theirs in zip(divided[0].trail, whole[0].trail, strict=True):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("eta0", "code"), [([0.5], "BAD_STATE"), ([0.5, 1.5], "BAD_STATE"), ([0.5, float("nan")], "NONFINITE")]
)
def test_a_bad_start_is_refused(eta0: list[float], code: str) -> None:
    with pytest.raises(FieldError) as refused:
        relax(baseline(), RelaxConfig(), KEY, eta0=eta0)
    assert refused.value.code == code


def test_few_steps_do_nine_tenths_of_the_work() -> None:
    config = RelaxConfig(mode="gradient", steps=200, record_states=True)
    for graph, start, most in ((baseline(), [0.5, 0.6225], 9), (dense(), [0.5] * 16, 17)):
        found = relax(graph, config, KEY, eta0=start)
        energies = found.trail.energy[: int(found.steps) + 1]
        assert 0 < delta_f90(energies, float(found.energy)) <= most
