"""Evaluation: all on the same pairs, against what can be known beforehand."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import jax
import numpy as np
import pytest

from nvp.atlas.series import Series
from nvp.dynamics.config import configure
from nvp.dynamics.perturbed import simulate as perturbed
from nvp.dynamics.perturbed_config import configure_perturbed
from nvp.dynamics.simulators import simulator
from nvp.errors import FieldError
from nvp.prediction.baselines import KnownPhysics, LinearExtrapolation, Persistence
from nvp.prediction.evaluation import Evaluation, evaluate
from nvp.prediction.forecaster import Forcing, Forecast, Window, windows
from nvp.prediction.seeds import combine


class Truthful:
    """Knows the future of the series that it was given."""

    history = 2

    def __init__(self, series: Series, error: float = 0.0) -> None:
        self._series, self._error = series, error

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        assert window.history.shape[1] == self.history
        frames = self._series.energy
        at = [int(np.flatnonzero((frames == now).all(axis=(1, 2, 3)))[0]) for now in window.history[:, -1]]
        mean = np.stack([frames[t + 1 : t + 1 + steps] for t in at])
        offset = self._error * np.where(forcing == "frozen", 2, 1).astype(np.float32)
        return Forecast(mean=mean + offset, log_var=np.zeros_like(mean), outflow=np.zeros(mean.shape[:2], np.float32))


@pytest.fixture(scope="module")
def series() -> list[Series]:
    return simulator("fluid_dynamics")(
        configure("fluid_dynamics", {"scale": 32, "steps": 8}), jax.random.key(5), sequences=4
    )


@pytest.fixture(scope="module")
def still(series: list[Series]) -> list[Series]:
    """The same with a context that no reference solver can use."""
    return [replace(one, context={"colour": one.energy}) for one in series]


@pytest.fixture(scope="module")
def persisted(series: list[Series]) -> Evaluation:
    return evaluate(Persistence(), series[2:], fit=series[:2], horizon=2)


def test_persistence_is_zero_and_rivals_stand_in_their_known_order(persisted: Evaluation) -> None:
    scores = {name: score.pooled for name, score in persisted.baselines.items() if score}
    assert persisted.fidelity.pooled == scores["persistence"] == 0
    assert scores["linear_extrapolation"] < 0.5
    # each is told more than the one before
    assert 0 < scores["ridge"] < scores["upwind"] < scores["frozen"] < 1
    assert scores["frozen"] > 0.8
    assert not persisted.headline.known_physics_void


def test_pairs_are_the_same_for_all(persisted: Evaluation) -> None:
    # ridge wants 3 frames of 8: starts 2 … 6 of both series, whatever the horizon
    assert {score.n for score in [persisted.fidelity, *persisted.baselines.values()] if score} == {10}
    assert persisted.pairs is not None
    assert persisted.pairs.series.tolist() == [0] * 5 + [1] * 5
    assert persisted.pairs.start.tolist() == [2, 3, 4, 5, 6] * 2
    # two leads begin at 2 … 5
    of_leads = [score for lead in persisted.rollout for score in (lead.fidelity, *lead.baselines.values())]
    assert {score.n for score in of_leads if score} == {8}
    assert len([score for score in of_leads if score]) == 24
    np.testing.assert_array_equal(persisted.pairs.vrmse, persisted.pairs.persistence_vrmse)


def test_laws_of_the_data_stand_beside(persisted: Evaluation, still: list[Series]) -> None:
    assert persisted.headline.first_law is not None
    assert persisted.headline.second_law is not None
    assert persisted.headline.first_law.data < 1e-6
    assert persisted.headline.second_law.data == 0
    leaking = evaluate(Truthful(still[2], error=0.01), [still[2]])
    assert leaking.headline.first_law is not None
    assert leaking.headline.first_law.model == pytest.approx(0.02, rel=0.01)


def test_truth_scores_one_at_every_lead(still: list[Series]) -> None:
    result = evaluate(Truthful(still[2]), [still[2]], horizon=3, forcing="frozen")
    assert [lead.fidelity.pooled for lead in result.rollout] == [1, 1, 1]
    assert result.vrmse == 0
    assert result.baselines["ridge"] is None


def test_both_forcings_are_rolled_out(still: list[Series]) -> None:
    result = evaluate(Truthful(still[2], error=0.05), [still[2]], horizon=2)
    assert [(lead.forcing, lead.lead) for lead in result.rollout] == [
        ("frozen", 1),
        ("frozen", 2),
        ("recorded", 1),
        ("recorded", 2),
    ]
    frozen, recorded = result.rollout[1], result.rollout[3]
    assert recorded.vrmse == pytest.approx(frozen.vrmse / 2, rel=1e-4)


def test_json_has_the_agreed_keys(persisted: Evaluation) -> None:
    plain = json.loads(json.dumps(persisted.to_json()))
    assert plain["fidelity"].keys() >= {"mean", "median", "pooled", "n", "ci95"}
    assert plain["baselines"].keys() == {
        "persistence",
        "linear_extrapolation",
        "ridge",
        "known_physics",
        "noise_ceiling",
    }
    assert plain["baselines"]["known_physics"].keys() == {"upwind", "frozen"}
    assert plain["baselines"]["noise_ceiling"] is None
    assert plain["linear_fidelity"] == plain["baselines"]["linear_extrapolation"]["pooled"]
    assert plain["vrmse"] == plain["persistence_vrmse"] > 0
    low, high = plain["baselines"]["ridge"]["ci95"]
    assert low <= plain["baselines"]["ridge"]["pooled"] <= high


def test_physics_does_not_apply_without_velocity(still: list[Series]) -> None:
    result = evaluate(Persistence(), still[2:], fit=still[:2])
    assert result.baselines["upwind"] is None
    assert result.baselines["frozen"] is None
    with pytest.raises(FieldError, match="velocity"):
        KnownPhysics(high_order=True).forecast(windows(still[0], history=1, starts=[0], steps=1), 1)


def test_recorded_forcing_helps_known_physics(series: list[Series]) -> None:
    frozen, recorded = (
        evaluate(KnownPhysics(high_order=True), series[2:], horizon=3, forcing=kind).rollout[-1].fidelity.pooled
        for kind in ("frozen", "recorded")
    )
    assert recorded > frozen + 0.02


def test_linear_extrapolation_is_exact_on_a_line() -> None:
    slope = np.random.default_rng(0).random((8, 8, 1))
    line = Series(
        energy=(1 + np.arange(6)[:, None, None, None] * slope).astype(np.float32), dt=1.0, domain="surface_temperature"
    )
    result = evaluate(LinearExtrapolation(), [line], horizon=3)
    assert [lead.fidelity.pooled for lead in result.rollout] == pytest.approx([1, 1, 1], abs=1e-5)
    assert (result.headline.first_law, result.headline.second_law, result.headline.negative) == (None, None, None)


def test_seeds_are_averaged(still: list[Series]) -> None:
    results = [evaluate(Truthful(still[2], error=error), [still[2]]) for error in (0.0, 0.04)]
    both = combine(results)
    assert both.seeds == 2
    assert both.fidelity.pooled == pytest.approx((1 + results[1].fidelity.pooled) / 2)
    assert both.to_json()["per_seed"] == pytest.approx([1, results[1].fidelity.pooled])
    assert combine(results[:1]) is results[0]
    with pytest.raises(FieldError, match="same pairs"):
        combine([results[0], evaluate(Persistence(), still[:1], stride=2)])


def test_starts_and_stride(still: list[Series]) -> None:
    result = evaluate(Persistence(), still[:2], stride=3)
    assert result.pairs is not None
    assert result.pairs.start.tolist() == [1, 4, 1, 4]
    chosen = evaluate(Persistence(), still[:2], starts=[3, 6]).pairs
    assert chosen is not None
    assert chosen.start.tolist() == [3, 6, 3, 6]


def test_too_short_series_are_refused(still: list[Series]) -> None:
    with pytest.raises(FieldError, match="at least 9 frames"):
        evaluate(Persistence(), still, horizon=7)
    with pytest.raises(FieldError, match="got at most 0"):
        evaluate(Persistence(), [])


def test_the_noise_ceiling_of_perturbed_series_is_that_of_the_scored_pairs() -> None:
    made = perturbed(
        configure_perturbed("fluid_dynamics", {"scale": 16, "steps": 12, "blur_sigma_px": 1.0}), 0, sequences=3
    )
    result = evaluate(Persistence(), made)
    assert result.headline.noise_ceiling is not None
    assert result.headline.noise_ceiling.n == result.fidelity.n
    # linear extrapolation wants a frame more: 10 pairs of each
    change = sum(float((np.diff(one.energy[1:].astype(float), axis=0) ** 2).sum()) for one in made)
    noise = 10 * sum(one.parameters["irreducible"] for one in made)
    assert result.headline.noise_ceiling.pooled == pytest.approx(1 - np.sqrt(noise / change), rel=1e-6)
    assert 0 < result.headline.noise_ceiling.pooled < 1
    assert result.to_json()["baselines"]["noise_ceiling"]["pooled"] == result.headline.noise_ceiling.pooled


def test_there_is_no_noise_ceiling_where_the_noise_of_one_series_is_unknown(still: list[Series]) -> None:
    known = replace(still[2], parameters={"irreducible": 0.0})
    alone, together = evaluate(Persistence(), [known]), evaluate(Persistence(), [known, still[3]])
    assert alone.headline.noise_ceiling is not None
    assert alone.headline.noise_ceiling.pooled == 1
    assert together.headline.noise_ceiling is None


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Persistence that says how far it may be off, and two members around it."""

    deviation: float
    history: int = 1

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        mean = np.repeat(window.history[:, -1:], steps, axis=1)
        away = np.float32(self.deviation)
        return Forecast(
            mean=mean,
            log_var=np.full(mean.shape, 2 * np.log(self.deviation), np.float32),
            outflow=np.zeros(mean.shape[:2], np.float32),
            members=np.stack([mean - away, mean + away], axis=1),
        )


def test_what_is_claimed_is_held_against_the_errors(still: list[Series]) -> None:
    change = np.concatenate([np.diff(one.energy[1:], axis=0) for one in still[2:]])
    made = evaluate(Doubtful(float(change.std())), still[2:], fit=still[:2], horizon=2, forcing="frozen")
    found = made.headline.calibration
    assert found is not None
    # errors of this size are as large as said, but not normally distributed
    assert found.spread_skill == pytest.approx(1, rel=0.25)
    assert found.climatology_sharpness > found.sharpness
    assert found.members is not None
    assert found.members.members == 2
    assert found.ci95["crps"][0] < found.crps < found.ci95["crps"][1]
    plain = made.to_json()["calibration"]
    assert plain["persistence_crps"] == made.metrics["mae"].persistence
    last = made.at(2)
    assert last is not None
    assert last.calibration is not None
    assert last.calibration.spread_skill < found.spread_skill, "it claims no more at lead 2, and errs more"
    assert evaluate(Persistence(), still[2:]).headline.calibration is None
