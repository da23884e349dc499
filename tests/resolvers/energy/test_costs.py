"""The cost model learns what past runs took, by kind, size and device, and knows how much it errs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.gateway import Gateway
from graph.queries import runs
from graph.queries.costs import Took
from resolvers.energy.costs import SECONDS, Cost, estimate, fitted, size
from resolvers.energy.spent import ESTIMATED
from tests.graph.queries import builders

MEASURED = "measured: NVML"


def past(n: int, *, seconds: float = 2.0, spread: float = 0.0, **changes: Any) -> list[Took]:
    """Trainings of 1 … n epochs that took so many seconds each, and 10 J a second."""
    drawn = np.random.default_rng(0).normal(0.0, spread, n)
    found = []
    for epochs, noise in zip(range(1, n + 1), drawn, strict=True):
        took = seconds * epochs * math.exp(noise)
        values = {"device": "cpu", "source": ESTIMATED, **changes}
        config = {"model": values.pop("model", "tiny"), "epochs": epochs}
        found.append(Took(uid=str(epochs), config=config, seconds=took, joules=10 * took, **values))
    return found


def cost(runs: list[Took], *, epochs: int = 5, model: str = "tiny", device: str | None = None) -> Cost:
    return fitted("training", {"model": model, "epochs": epochs}, runs, device=device)


def test_before_the_first_run_the_prior_speaks_and_says_how_little_it_knows() -> None:
    found = cost([])
    assert found.seconds == pytest.approx(SECONDS["training"] * 5)
    assert (found.n, found.source) == (0, ESTIMATED)
    assert found.joules == pytest.approx(10 * found.seconds)
    assert found.error > 3


def test_many_runs_are_learned_and_their_scatter_is_the_error() -> None:
    found = cost(past(60, spread=0.2))
    assert found.seconds == pytest.approx(10.0, rel=0.1)
    assert found.joules == pytest.approx(100.0, rel=0.1)
    assert math.log(found.error) == pytest.approx(0.2, abs=0.05)
    assert (found.n, found.source, found.device) == (60, ESTIMATED, "cpu")


def test_the_error_is_that_of_two_runs_in_three() -> None:
    every = past(200, spread=0.3)
    inside = 0
    for at in range(100, 200):
        epochs = every[at].config["epochs"]
        found = cost(every[:at], epochs=epochs)
        inside += found.seconds / found.error <= every[at].seconds <= found.seconds * found.error
    assert 55 <= inside <= 80


def test_one_run_already_counts_and_beyond_its_size_the_error_grows() -> None:
    one = past(1, seconds=40.0)
    assert 15 < cost(one, epochs=1).seconds < 40
    assert cost(one, epochs=1000).error > cost(one, epochs=1).error


def test_runs_of_the_same_model_and_device_come_first() -> None:
    runs = [*past(20, seconds=1.0), *past(20, seconds=50.0, model="base"),
            *past(20, seconds=0.1, device="NVIDIA H200", source=MEASURED)]  # fmt: skip
    assert cost(runs, model="base").seconds == pytest.approx(250, rel=0.2)
    assert cost(runs, device="cpu").seconds == pytest.approx(5, rel=0.2)
    fast = cost(runs, device="NVIDIA H200")
    assert (fast.source, fast.n) == (MEASURED, 20)
    assert fast.seconds == pytest.approx(0.5, rel=0.2)
    assert cost(runs, model="unheard of").n > 0


def test_runs_side_by_side_are_estimated_apart() -> None:
    alone, beside = {"domain": "plasma_physics"}, {"domain": "plasma_physics", "parallel": 4}
    for kind in ("generation", "evaluation"):
        assert size(kind, alone).group != size(kind, beside).group
        assert size(kind, alone).n == size(kind, beside).n


def test_joules_are_of_one_source() -> None:
    runs = [*past(20), *past(5, seconds=9.0, source="measured: RAPL")]
    found = cost(runs)
    assert (found.n, found.source) == (25, ESTIMATED)
    assert found.joules == pytest.approx(100.0, rel=0.1)
    assert cost(past(3, source="mixed")).joules is None


@pytest.mark.parametrize(
    ("kind", "config", "n"),
    [
        ("training", {"model": "tiny", "epochs": None}, 1),
        ("generation", {"domain": "plasma", "sequences": 7}, 7),
        ("prediction", {"starts": ["a", "b"], "steps": 4, "checkpoints": ["c"]}, 8),
        ("evaluation", {"parts": [{"first": 0, "last": 9}], "stride": 2, "rollouts": 3, "horizon": 4, "drift": 0,
                        "checkpoints": ["c", "d"]}, 34),
        ("relaxation", {}, 1),
    ],
)  # fmt: skip
def test_sizes(kind: str, config: dict[str, Any], n: float) -> None:
    assert size(kind, config).n == n


@given(st.lists(st.tuples(st.integers(1, 1000), st.floats(1e-3, 1e6)), max_size=8), st.integers(1, 10_000))
def test_an_estimate_is_positive_whatever_the_past(taken: list[tuple[int, float]], epochs: int) -> None:
    runs = [
        Took(uid="", config={"model": "tiny", "epochs": n}, device=None, seconds=seconds, joules=None, source=None)
        for n, seconds in taken
    ]
    found = cost(runs, epochs=epochs)
    assert 0 < found.seconds < math.inf
    assert found.error >= 1


@pytest.mark.db
async def test_the_graph_tells_what_runs_took(gateway: Gateway) -> None:
    for _ in range(3):
        row = await builders.started(gateway, config={"model": "tiny", "epochs": 2})
        await gateway.write("MATCH (r:Run {uid: $uid}) SET r.attempt_started_at = datetime() - duration('PT20S')",
                            uid=row.uid)  # fmt: skip
        spent = {"energy_joules": 400.0, "energy_source": MEASURED, "device": "NVIDIA H200"}
        await runs.transition(gateway, row.uid, "RUNNING", "SUCCEEDED", row.lease.token, **spent)
    await builders.started(gateway)
    found = await estimate(gateway, "training", {"model": "tiny", "epochs": 2})
    assert (found.n, found.source, found.device) == (3, MEASURED, "NVIDIA H200")
    assert found.seconds == pytest.approx(20, rel=0.3)
    assert found.joules == pytest.approx(400, rel=0.6)


def test_larger_members_are_priced_by_what_their_networks_multiply() -> None:
    def wanted(**changes: Any) -> float:
        return size("shadows", {"task": "train", "members": 3, "steps": 30, "batch": 4, **changes}).n

    assert wanted() == wanted(size="tiny") == pytest.approx(1.0)
    assert wanted(size="small") == pytest.approx(656 / 144)
    assert wanted(size="base") == pytest.approx(9376 / 144)
    assert wanted(steps=15) == pytest.approx(0.5)
    took = [
        Took(uid="t", config={"task": "train", "members": 3, "steps": 30, "batch": 4}, device="cpu",
             seconds=30.0, joules=300.0, source=ESTIMATED)
    ]  # fmt: skip
    large = fitted("shadows", {"task": "train", "members": 3, "steps": 30, "batch": 4, "size": "small"}, took)
    assert large.joules == pytest.approx(300 * 656 / 144, rel=0.2)
