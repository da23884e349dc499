"""`fieldgraph bench apebench` in small: every network is trained and scored, on the data it is said to be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nvp.errors import FieldError
from resolvers.benches import apebench, peers
from resolvers.benches.apebench import ApebenchConfig, bench_apebench, scores
from resolvers.benches.scenarios import ScenarioSize, Trajectories, read, simulate
from resolvers.cli.bench import app

TINY = ScenarioSize(points=32, train=2, test=2, steps=4)


def test_everything_is_trained_and_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "NETS", {"unet": "UNet;2;1;relu", "fno": "FNO;2;2;1;gelu"})
    told: list[float] = []
    config = ApebenchConfig(
        scenarios=("diff_burgers",), peers=("unet", "fno_residual"), seeds=(0, 1), seconds=0.3, batch=2, size=TINY
    )
    found = bench_apebench(config, lambda name, share, line: told.append(share))
    result = found["results"]["diff_burgers"]
    assert set(result["peers"]) == {"unet", "fno_residual"}
    assert (found["seeds"], found["n"]["one_step_pairs"]) == ([0, 1], 8)
    for one in (result["ours"], *result["peers"].values()):
        assert one["parameters"] > 0
        assert one["steps"] > 0
        assert one["cpu_seconds"] >= 0.3
        for figure in ("one_step_nrmse", "gmean"):
            assert one[figure] == pytest.approx(np.mean(one["by_seed"][figure]))
            assert one["by_seed"][figure][0] != one["by_seed"][figure][1]
    best = min(one["gmean"] for one in (*result["peers"].values(), result["persistence"]))
    assert found["ratio"]["diff_burgers"]["gmean"] == pytest.approx(result["ours"]["gmean"] / best)
    assert found["passed"] is all(ratio < 1 for ratio in found["ratio"]["diff_burgers"].values())
    assert told[-1] == 1.0


def test_scores_are_of_one_step_and_of_a_rollout() -> None:
    frames = np.stack([np.full((8, 8, 2), 2.0**-t, np.float32) for t in range(4)])[None]
    data = Trajectories(train=frames, test=frames, origin="test")
    exact = scores(lambda states: states / 2, data)
    assert exact == {"one_step_nrmse": 0.0, "gmean": 0.0}
    # both channels are summed: persistence is off by 1, 3 and 7 times the truth in each
    still = scores(lambda states: states, data)
    assert still["one_step_nrmse"] == pytest.approx(2.0)
    assert still["gmean"] == pytest.approx(2 * 21 ** (1 / 3))
    blown = scores(lambda states: states * np.float32(np.inf), data)
    assert blown["gmean"] == float("inf")


def test_data_are_of_their_seed_and_test_fields_are_others() -> None:
    first, again, other = (simulate("phy_decay_turb", TINY, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.train, again.train)
    assert not np.array_equal(first.train, other.train)
    assert first.train.shape == first.test.shape == (2, 5, 32, 32, 1)
    assert not np.array_equal(first.train, first.test)
    assert np.abs(first.train[:, 0]).max() == pytest.approx(1.0)


def test_data_of_apebench_are_read_with_their_axes_turned(tmp_path: Path) -> None:
    theirs = np.arange(2 * 3 * 2 * 4 * 5, dtype=np.float32).reshape(2, 3, 2, 4, 5)
    np.savez(tmp_path / "data.npz", origin="apebench", **{f"diff_burgers/{part}": theirs for part in ("train", "test")})  # type: ignore[arg-type]
    data = read(tmp_path / "data.npz", "diff_burgers")
    assert data.origin == "apebench"
    # theirs: (sample, time, channel, x, y)
    assert data.train[1, 2, 4, 3, 1] == theirs[1, 2, 1, 3, 4]
    with pytest.raises(FieldError, match=r"expected a file of bench/apebench/make_data\.py with phy_decay_turb"):
        read(tmp_path / "data.npz", "phy_decay_turb")


def test_a_scenario_that_is_none() -> None:
    with pytest.raises(FieldError, match="expected a scenario out of diff_burgers, phy_decay_turb, got nothing"):
        ApebenchConfig(scenarios=("nothing",))


def test_the_command_leaves_with_1_where_a_peer_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    def missed(config: ApebenchConfig, progress: object) -> dict[str, object]:
        assert (config.scenarios, config.seeds, config.seconds) == (("diff_burgers",), (2,), 5.0)
        return {"results": {}, "passed": False}

    monkeypatch.setattr(apebench, "bench_apebench", missed)
    arguments = ["apebench", "--scenario", "diff_burgers", "--seed", "2", "--seconds", "5", "--json"]
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 1
    printed = json.loads(ran.stdout)
    assert printed["name"] == "apebench"
    assert printed["device"]["accelerator"]["platform"] == "cpu"
    assert CliRunner().invoke(app, ["apebench", "--peer", "resnet"]).exit_code == 2


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(peers, "import_module", missing)
    with pytest.raises(FieldError, match="Install fieldgraph with the extra `peers`"):
        bench_apebench(ApebenchConfig(), lambda *_: None)
