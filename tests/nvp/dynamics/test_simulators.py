"""What every registered simulator promises; a new one is tested by being registered."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from nvp.atlas.series import Series
from nvp.dynamics.config import CONFIGS, configure
from nvp.dynamics.configs.fluid import FluidConfig
from nvp.dynamics.domain import domain
from nvp.dynamics.simulators import SIMULATORS, simulator
from nvp.errors import FieldError
from nvp.prediction.baselines import Persistence
from nvp.prediction.evaluation import evaluate

SETTINGS = {"scale": 32, "steps": 12}


@pytest.fixture(scope="module", params=sorted(SIMULATORS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def made(name: str) -> list[Series]:
    return simulator(name)(configure(name, SETTINGS), jax.random.key(7), sequences=5)


def test_series_are_complete(name: str, made: list[Series]) -> None:
    assert len(made) == 5
    for series in made:
        assert series.domain == name
        assert series.energy.shape == (12, 32, 32, 1)
        assert series.energy.dtype == np.float32
        assert np.isfinite(series.energy).all()
        assert all(values.dtype == np.float32 and len(values) == 12 for values in series.context.values())
        assert series.dt == domain(name).dt
        assert series.source_total is not None
        assert series.outflow_total is not None


def test_energy_obeys_the_first_law_and_stays_positive(made: list[Series]) -> None:
    for series in made:
        totals = series.energy.sum(axis=(1, 2, 3), dtype=np.float64)
        expected = totals[0] + np.cumsum(series.source_total) - np.cumsum(series.outflow_total)
        np.testing.assert_allclose(totals, expected, rtol=1e-6)
        assert series.energy.min() >= 0


def test_source_of_the_frames_adds_up_to_what_was_added_between_them(made: list[Series]) -> None:
    """Q is known at the frames, hence the trapezoidal rule is near ∑∫Q dt of each step; nothing is added before."""
    for series in made:
        q = series.context["source"].astype(np.float64) if "source" in series.context else np.zeros((12, 1, 1, 1))
        per_frame, size = q.sum(axis=(1, 2, 3)), np.abs(q).sum(axis=(1, 2, 3)).mean()
        rule = 0.5 * series.dt * (per_frame[1:] + per_frame[:-1])
        assert series.source_total[0] == 0
        np.testing.assert_allclose(series.source_total[1:], rule, atol=0.05 * series.dt * size)


def test_entropy_rises_where_the_domain_says_so(name: str, made: list[Series]) -> None:
    if not domain(name).second_law:
        pytest.skip("no second law in this domain")
    for series in made:
        share = series.energy[..., 0].astype(np.float64)
        share /= share.sum(axis=(1, 2), keepdims=True)
        assert np.diff(-(share * np.log(share)).sum(axis=(1, 2))).min() > 0


def test_sequence_does_not_depend_on_how_many_are_made(name: str, made: list[Series]) -> None:
    done: list[tuple[int, int]] = []
    again = simulator(name)(
        configure(name, SETTINGS),
        jax.random.key(7),
        sequences=2,
        first=3,
        progress=lambda *at: done.append(at),
    )
    for one, other in zip(made[3:], again, strict=True):
        assert np.array_equal(one.energy, other.energy)
        assert one.parameters == other.parameters
    assert done[-1] == (2, 2)


def test_sequences_and_seeds_differ(name: str, made: list[Series]) -> None:
    other = simulator(name)(configure(name, SETTINGS), jax.random.key(8), sequences=1)
    fields = [series.energy[0] for series in [*made, *other]]
    assert all(not np.allclose(fields[i], fields[j]) for i in range(6) for j in range(i))
    assert len({tuple(series.parameters.values()) for series in made}) == 5


def test_time_step_leaves_something_to_predict(made: list[Series]) -> None:
    """Persistence has VRMSE >= 0.2, and linear extrapolation a fidelity <= 0.5: neither is a good predictor."""
    energy = np.stack([series.energy[..., 0] for series in made]).astype(np.float64)
    old, now, truth = energy[:, :-2], energy[:, 1:-1], energy[:, 2:]
    vrmse = np.sqrt(((now - truth) ** 2).mean((2, 3)) / (truth.var((2, 3), ddof=1) + 1e-7))
    assert vrmse.mean() >= 0.2
    linear = 2 * now - old
    assert 1 - np.sqrt(((linear - truth) ** 2).sum() / ((truth - now) ** 2).sum()) <= 0.5


def test_known_physics_beats_persistence_and_the_law_is_kept(name: str, made: list[Series]) -> None:
    """Told the velocity and source of time t, both reference solvers know more than nothing."""
    judged = evaluate(Persistence(), made[2:], fit=made[:2])
    upwind, frozen = judged.baselines["upwind"], judged.baselines["frozen"]
    assert upwind is not None
    assert frozen is not None
    assert upwind.pooled > 0.3
    assert frozen.pooled > 0.4
    assert judged.headline.first_law is not None
    assert judged.headline.first_law.data < 1e-6


def test_progress_may_stop_it(name: str) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, of: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        simulator(name)(configure(name, SETTINGS), jax.random.key(0), sequences=5, progress=stop)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"scale": 33}, "multiple of 8"),
        ({"steps": 1}, "2 steps"),
        ({"dt": 0.0}, "dt > 0"),
        ({"dt": float("inf")}, "dt > 0 and finite"),
        ({"scale": 1_000_000}, "up to 1024"),
        ({"steps": 10**12}, "at most 65536 steps of 64×64"),
        ({"flow_step": 1e-9}, "steps of the flow solver"),
        ({"warm_up": -1.0}, "warm_up >= 0"),
        ({"sclae": 64}, "sclae"),
        ({"viscosity": [0.2, 0.1]}, "viscosity"),
        ({"scale": "wide"}, "whole number"),
        ({"dt": float("nan")}, "dt"),
        ({"diffusivity": 0.1}, "2 numbers"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings: dict[str, object], word: str) -> None:
    with pytest.raises(FieldError, match=word) as caught:
        configure("fluid_dynamics", settings)
    assert "\n" not in str(caught.value)


def test_unknown_domain_names_the_known() -> None:
    with pytest.raises(FieldError, match="fluid_dynamics"):
        simulator("surface_temperature")


def test_settings_come_back_from_json() -> None:
    assert configure("fluid_dynamics", {"viscosity": [0.1, 0.2]}) == FluidConfig(viscosity=(0.1, 0.2))


def test_every_simulator_has_a_configuration() -> None:
    assert CONFIGS.keys() == SIMULATORS.keys()
