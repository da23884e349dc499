"""Laws and their limits: what holds at any field, what is caught, and where a law does not apply."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from nvp.thermo.violations import (
    CLOSURE,
    DRIFT,
    ENTROPY_TOLERANCE,
    Limits,
    ThermodynamicViolation,
    Violation,
    broken_laws,
    check_prediction,
    measures,
    second_law_violated,
    violations,
)

CLOSED, OPEN, SIGNED = (domain(name) for name in ("fluid_dynamics", "turbulent_radiative_layer", "surface_temperature"))
ALL = Limits(max_energy_drift=CLOSURE, min_entropy_change=-ENTROPY_TOLERANCE, max_entropy_share=1.0)
ENERGIES = arrays.arrays(
    np.float64, (3, 4, 5, 1), elements=st.floats(0, 1e6, allow_subnormal=False).map(lambda x: x if x > 1e-6 else 0.0)
)


def kinds(before: np.ndarray, after: np.ndarray, limits: Limits = ALL, **account: object) -> set[str]:
    """Laws that any step breaks."""
    return {one.kind for one in measures(before, after, limits=limits, **account) if one.broken.any()}


def spike(share: float) -> np.ndarray:
    """(8, 8, 1) of total 64 of which one cell holds a `share`."""
    field = np.full((8, 8, 1), 64 * (1 - share) / 63)
    field[3, 4] = 64 * share
    return field


@given(ENERGIES)
@settings(max_examples=60, deadline=None)
def test_what_stays_as_it_is_breaks_no_law(energy: np.ndarray) -> None:
    assert kinds(energy, energy) == set()
    # nor does moving it about, or changing its unit on both sides
    assert kinds(energy, np.roll(energy, (1, 2), axis=(1, 2))) == set()
    assert kinds(7 * energy, 7 * energy[:, ::-1]) == set()


@given(ENERGIES, st.floats(-0.9, 5.0))
@settings(max_examples=60, deadline=None)
def test_the_measure_of_a_scaled_field_is_its_gain_unless_the_gain_is_accounted_for(
    energy: np.ndarray, gain: float
) -> None:
    totals = energy.sum(axis=(1, 2, 3))
    _, _, drift, _, _ = measures(energy, (1 + gain) * energy, limits=ALL)
    np.testing.assert_allclose(drift.value, np.where(totals > 0, abs(gain), 0), atol=1e-12)
    heated = kinds(energy, (1 + gain) * energy, heat=(gain + 0.5) * totals, outflow=0.5 * totals)
    assert "energy" not in heated


@given(ENERGIES, st.floats(0.05, 0.95))
@settings(max_examples=60, deadline=None)
def test_mixing_never_lowers_the_entropy_and_its_undoing_never_raises_it(energy: np.ndarray, share: float) -> None:
    mixed = (1 - share) * energy + share * energy.mean(axis=(1, 2), keepdims=True)
    assert kinds(energy, mixed, Limits(min_entropy_change=-ENTROPY_TOLERANCE)) == set()
    _, _, back = measures(mixed, energy, limits=Limits(min_entropy_change=-ENTROPY_TOLERANCE))
    assert (back.value <= 1e-9).all()


@given(ENERGIES, st.sampled_from([np.nan, np.inf, -np.inf]), st.integers(0, 2), st.booleans())
@settings(max_examples=30, deadline=None)
def test_what_is_no_number_is_all_that_is_said_of_its_step(
    energy: np.ndarray, cell: float, step: int, before: bool
) -> None:
    bad = energy.copy()
    bad[step, 1, 2] = cell
    pair = (bad, energy) if before else (energy, bad)
    found = list(measures(*pair, limits=ALL))
    assert [one.broken.any() for one in found] == [True, False, False, False, False]
    (violation,) = violations(found[0], where="step")
    assert (violation.value, violation.where) == (1.0, f"step[{step}]")


def test_a_negative_cell_is_a_violation_though_the_total_is_right() -> None:
    after = np.ones((8, 8, 1))
    after[0, 0], after[0, 1] = -0.25, 2.25
    assert "negative" in kinds(np.ones((8, 8, 1)), after, Limits())
    assert kinds(np.ones((8, 8, 1)), after, Limits(signed=True)) == set()


def test_of_nothing_comes_nothing() -> None:
    nothing, some = np.zeros((8, 8, 1)), np.ones((8, 8, 1))
    assert kinds(nothing, nothing) == set()
    assert "energy" in kinds(nothing, some, Limits(max_energy_drift=1e6))
    assert kinds(nothing, some, Limits(max_energy_drift=1e-9), heat=64.0) == set()
    # all may be lost where the budget says so
    assert kinds(some, nothing, Limits(max_energy_drift=1.0)) == set()
    assert kinds(some, nothing, Limits(max_energy_drift=0.99)) == {"energy"}


def test_an_account_that_is_no_number_closes_nothing() -> None:
    assert kinds(spike(0.5), spike(0.5), heat=float("nan")) == {"energy"}


def test_bounds_of_entropy_in_nats_and_as_a_share() -> None:
    flat = np.ones((256, 256, 1))
    for limits in (Limits(max_entropy_share=1.0), Limits(max_entropy=np.log(256**2)), Limits(max_entropy=11.1)):
        assert kinds(flat, flat, limits) == set()
    assert kinds(flat, flat, Limits(max_entropy_share=0.99)) == {"entropy bound"}
    assert kinds(flat, flat, Limits(max_entropy=10.0)) == {"entropy bound"}
    # the same share on another grid, where 10 nats bound nothing
    assert kinds(flat[:64, :64], flat[:64, :64], Limits(max_entropy_share=0.99)) == {"entropy bound"}
    assert kinds(flat[:64, :64], flat[:64, :64], Limits(max_entropy=10.0)) == set()


@pytest.mark.parametrize(
    "bad",
    [
        {"max_energy_drift": -0.1},
        {"max_energy_drift": float("nan")},
        {"max_entropy": -1.0},
        {"min_entropy_change": float("nan")},
        {"max_entropy": 8.0, "max_entropy_share": 0.9},
    ],
)
def test_limits_that_mean_nothing_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(FieldError, match="expected"):
        Limits(**bad)


def test_the_laws_of_domains() -> None:
    assert Limits.of(CLOSED, heat_known=False) == Limits(
        max_energy_drift=CLOSURE, min_entropy_change=-ENTROPY_TOLERANCE
    )
    # a source that nobody knows leaves nothing to hold the total to; a known one does
    assert Limits.of(OPEN, heat_known=False) == Limits()
    assert Limits.of(OPEN, heat_known=True) == Limits(max_energy_drift=CLOSURE)
    assert Limits.of(SIGNED, heat_known=True) == Limits(signed=True)


def rollout(*states: np.ndarray) -> np.ndarray:
    return np.stack(states).astype(np.float32)


def check(state: np.ndarray, predicted: np.ndarray, spec: object = CLOSED, heat: object = None, outflow: float = 0.0):
    left = np.full(len(predicted), outflow)
    return [
        (one.kind, one.lead, one.member)
        for one in check_prediction(state, heat, left, predicted, spec)  # type: ignore[arg-type]
    ]


def test_each_lead_is_held_to_the_one_before() -> None:
    assert check(spike(0.5), rollout(spike(0.4), spike(0.3), spike(0.2))) == []
    assert check(spike(0.5), rollout(spike(0.4), spike(0.45), spike(0.3))) == [("entropy", 2, None)]
    # a total that jumps once is off its account from then on
    found = check(spike(0.5), rollout(spike(0.4), 1.001 * spike(0.4), 1.001 * spike(0.4)))
    assert found == [("energy", 2, None), ("energy drift", 2, None), ("energy drift", 3, None)]
    assert check(np.ones((8, 8, 1)), rollout(np.ones((8, 8, 1)), np.full((8, 8, 1), np.nan))) == [
        ("not finite", 2, None)
    ]


def test_small_gains_add_up_to_perpetual_motion() -> None:
    gain = 0.9 * CLOSURE
    steps = rollout(*((1 + gain) ** k * np.ones((8, 8, 1)) for k in range(1, 101)))
    found = check_prediction(np.ones((8, 8, 1)), None, np.zeros(100), steps, CLOSED)
    assert {violation.kind for violation in found} == {"energy drift"}
    first = found[0]
    assert first.lead == int(np.ceil(DRIFT / gain))
    assert first.value == pytest.approx(gain * first.lead, rel=1e-2)
    assert len(found) == 100 - first.lead + 1


def test_heat_and_outflow_are_accounted_for_in_open_domains() -> None:
    steps = rollout(*((1 + 0.5 * k) * np.ones((8, 8, 1)) for k in range(1, 4)))
    assert check(np.ones((8, 8, 1)), steps, OPEN) == []
    assert check(np.ones((8, 8, 1)), steps, OPEN, heat=np.full(3, 40.0), outflow=8.0) == []
    found = check(np.ones((8, 8, 1)), steps, OPEN, heat=np.full(3, 40.0), outflow=-8.0)
    assert [(kind, lead) for kind, lead, _ in found] == [
        ("energy", 1),
        ("energy", 2),
        ("energy drift", 2),
        ("energy", 3),
        ("energy drift", 3),
    ]


def test_signed_fields_need_only_be_numbers() -> None:
    assert check(-np.ones((8, 8, 1)), rollout(2 * spike(0.1), -spike(0.9)), SIGNED) == []


def test_members_are_named() -> None:
    (found,) = check_prediction(spike(0.1), None, np.zeros(1), rollout(spike(0.2)), CLOSED, member=3)
    assert (found.member, found.where) == (3, "lead 1 of member 3")
    assert str(found).startswith("lead 1 of member 3: expected a change of spatial entropy of at least")


def test_an_evaluation_counts_what_each_step_breaks() -> None:
    before = np.stack([spike(0.5)] * 4)
    after = np.stack([spike(0.4), spike(0.6), 1.1 * spike(0.5), spike(0.5) - 0.6])
    found = broken_laws(before, after.astype(np.float32), CLOSED, heat=None)
    assert {kind: int(broken.sum()) for kind, broken in found.items()} == {
        "not finite": 0,
        "negative": 1,
        "energy": 2,
        "entropy": 2,
    }
    # what is no energy has, above 0, lost its spread
    assert found["entropy"].tolist() == [False, True, False, True]


def test_second_law_counts_what_is_no_energy_too() -> None:
    before = np.stack([spike(0.5)] * 4).astype(np.float32)
    after = np.stack([spike(0.4), spike(0.6), np.full((8, 8, 1), np.nan), spike(0.4) - 1]).astype(np.float32)
    assert second_law_violated(after, before).tolist() == [False, True, True, True]


def test_the_exception_says_what_and_where() -> None:
    error = ThermodynamicViolation("energy", 0.75, 0.5, "step 3")
    assert (error.kind, error.value, error.limit, error.where) == ("energy", 0.75, 0.5, "step 3")
    assert isinstance(error, FieldError)
    assert str(error).startswith("step 3: expected a change of Σ by at most 0.5")
    assert "\n" not in str(error)
    violation = Violation(kind="energy", value=0.75, limit=0.5, where="step 3")
    assert str(error).startswith(str(violation))
    assert replace(violation, where="").reason == str(replace(violation, where=""))
