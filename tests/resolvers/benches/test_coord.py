"""The coordinator's benches: their peers compute the same function, and their figures are what they are called."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nvp.coordinator.problem import build
from nvp.coordinator.reference import reference_energy
from nvp.coordinator.scenarios import baseline, random_graph
from resolvers.benches import coord, coord_amortiser
from resolvers.benches.coord_df90 import df90
from resolvers.benches.coord_peers import lbfgsb, numpy_value_and_grad
from resolvers.cli.bench import app


@pytest.mark.parametrize("kind", ["convex", "rugged"])
def test_the_peer_minimises_the_same_function(kind: str) -> None:
    rng = np.random.default_rng(0)
    graph = random_graph(16, kind, rng)
    evaluate = numpy_value_and_grad(build(graph))
    for _ in range(20):
        eta = np.clip(rng.uniform(-0.3, 1.3, 16), 0, 1)
        value, slope = evaluate(eta)
        expected, by_hand = reference_energy(graph, eta)
        assert value == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(slope, by_hand, rtol=1e-12, atol=1e-12)
    start = np.zeros(8)
    found = lbfgsb(numpy_value_and_grad(build(baseline())), start)
    assert found.fun == pytest.approx(-0.00250761, abs=1e-8)


def test_a_quick_bench_has_all_its_parts() -> None:
    found = coord.bench_coord(coord.QUICK)
    (row,) = found["results"]
    assert row["modules"] == 16
    assert row["couplings"] == 64
    assert row["value_and_grad"].keys() == row["relax"].keys() == {"1"}
    assert row["loop_ratio"] == pytest.approx(row["loop"]["least_us"] / row["value_and_grad"]["1"]["least_us"], abs=0.1)
    assert row["loop"]["least_us"] <= row["loop"]["us"]
    assert row["relax"]["1"]["energy"] <= row["lbfgsb"]["energy"] + 1e-7
    assert found["rugged"]["starts"] == 4
    assert found["passed"] == all(found["criteria"].values())
    # what is asked from 1000 modules on is no criterion of a quick run
    assert found["criteria"].keys() == {"energy at 16", "rugged", "df90 baseline"}


def test_states_are_counted_from_the_start_to_one_reference() -> None:
    found = df90(scenarios=("baseline",), variants=("fixed", "armijo", "coordinate"))["results"]
    by_solver: dict[str, Any] = {row["solver"]: row for row in found}
    assert by_solver.keys() == {"fixed", "armijo", "coordinate"}
    for row in found:
        assert row["initial_energy"] == pytest.approx(0.213087, abs=1e-6)
        assert row["least_energy"] == pytest.approx(-0.00250761, abs=1e-8)
    assert 1 < by_solver["armijo"]["delta_f90"] <= 9 < by_solver["fixed"]["delta_f90"]
    assert by_solver["armijo"]["evaluations"] >= by_solver["armijo"]["delta_f90"]
    # each step of coordinate descent is as many moves as there are places, 8, and the driver's own look at F
    moved = by_solver["coordinate"]
    assert moved["evaluations"] == 1 + 9 * (moved["delta_f90"] - 1)


def test_options_take_several_values(monkeypatch: pytest.MonkeyPatch) -> None:
    from resolvers.benches import coord_df90

    asked: dict[str, Any] = {}

    def noted(**given: Any) -> dict[str, Any]:
        asked.update(given)
        return {"n": 0, "results": []}

    monkeypatch.setattr(coord_df90, "df90", noted)
    arguments = ["df90", "--scenario", "baseline", "dense", "--n", "16", "64", "--config", "armijo", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert asked["scenarios"] == ("baseline", "dense")
    assert asked["sizes"] == (16, 64)
    assert asked["variants"] == ("armijo",)
    assert json.loads(result.stdout)["name"] == "df90"
    assert CliRunner().invoke(app, ["df90", "--scenario", "sparse"]).exit_code == 2


def test_a_learnt_start_is_judged_by_graphs_it_has_not_seen() -> None:
    found = coord_amortiser.bench_amortiser(coord_amortiser.QUICK)
    starts, saved = found["results"]["starts"], found["results"]["saved"]
    assert starts.keys() == {"proposed", "zero", "random", "middle"}
    for name, row in saved.items():
        # the proposer's own rounds are counted
        assert row["steps"]["mean"] == pytest.approx(
            starts[name]["steps"]["mean"] - starts["proposed"]["steps"]["mean"]
        )
        assert row["steps"]["ci95"][0] <= row["steps"]["mean"] <= row["steps"]["ci95"][1]
    first, last = found["training"]["loss"]
    assert last < first
    assert starts["proposed"]["initial_energy"] < starts["zero"]["initial_energy"]
    # convex: all ends are the same
    assert starts["proposed"]["energy"] == pytest.approx(starts["random"]["energy"], abs=1e-6)
