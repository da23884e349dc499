"""Validation of steps: verdicts, their reasons, and the exception where one is asked for."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from nvp.errors import FieldError
from nvp.thermo.validation import (
    ThermodynamicViolation,
    Verdict,
    entropy_change,
    validate_energy_conservation,
    validate_entropy_increase,
)

ONES = np.ones((16, 16))


def spike(share: float) -> np.ndarray:
    """A map of total 256 of which one cell holds a `share`."""
    field = np.full((16, 16), 256 * (1 - share) / 255)
    field[3, 4] = 256 * share
    return field


@pytest.mark.parametrize(
    ("factor", "holds"), [(1.0, True), (1.049, True), (1.051, False), (0.951, True), (0.949, False)]
)
def test_five_percent_is_the_limit(factor: float, holds: bool) -> None:
    verdict = validate_energy_conservation(ONES, factor * ONES)
    assert bool(verdict) == holds
    assert verdict.value == pytest.approx(abs(factor - 1))
    assert verdict.kind == "energy"


def test_source_and_outflow_are_accounted_for() -> None:
    assert not validate_energy_conservation(ONES, 1.5 * ONES)
    assert validate_energy_conservation(ONES, 1.5 * ONES, source=128.0)
    assert validate_energy_conservation(ONES, 1.5 * ONES, 1e-9, source=150.0, outflow=22.0)
    # the sign matters
    assert not validate_energy_conservation(ONES, 1.5 * ONES, outflow=128.0)


def test_an_empty_map_may_stay_empty_and_nothing_else() -> None:
    assert validate_energy_conservation(0 * ONES, 0 * ONES)
    assert not validate_energy_conservation(0 * ONES, ONES)


def test_entropy_may_rise_and_not_fall(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert validate_entropy_increase(spike(0.5), ONES)
        assert validate_entropy_increase(ONES, ONES)
        assert caplog.text == ""
        verdict = validate_entropy_increase(ONES, spike(0.5), where="plasma/7")
    assert not verdict
    assert verdict.value == pytest.approx(entropy_change(ONES, spike(0.5)))
    assert verdict.value < -1
    assert "plasma/7" in caplog.text


def test_entropy_is_judged_to_its_tolerance() -> None:
    """Of ln N: a fall of 1e-7 is round-off, one of 1e-4 is not."""
    nearly, hardly = (ONES + a * spike(0.5) for a in (1e-5, 1e-2))
    assert -1e-6 < entropy_change(ONES, nearly) < 0
    assert validate_entropy_increase(ONES, nearly)
    assert not validate_entropy_increase(ONES, hardly)
    assert validate_entropy_increase(ONES, hardly, 1e-2)


@pytest.mark.parametrize("validate", [validate_energy_conservation, validate_entropy_increase])
@pytest.mark.parametrize(
    ("cell", "kind"),
    [(np.nan, "not finite"), (np.inf, "not finite"), (-0.1, "negative")],
    ids=["nan", "inf", "negative"],
)
def test_no_energy_is_a_violation_whatever_the_totals_say(validate: object, cell: float, kind: str) -> None:
    bad = ONES.copy()
    bad[0, 0] = cell
    assert callable(validate)
    for pair in ((ONES, bad), (bad, ONES)):
        verdict = validate(*pair)
        assert isinstance(verdict, Verdict)
        assert (bool(verdict), verdict.kind) == (False, kind)


def test_strict_raises_with_what_was_measured() -> None:
    assert validate_energy_conservation(ONES, ONES, strict=True)
    with pytest.raises(ThermodynamicViolation, match=r"step 3: expected a change .* got 0\.5") as caught:
        validate_energy_conservation(ONES, 1.5 * ONES, strict=True, where="step 3")
    violation = caught.value
    assert isinstance(violation, FieldError)
    assert (violation.kind, violation.value, violation.limit, violation.where) == ("energy", 0.5, 0.05, "step 3")
    assert violation.exit_code == 1
    with pytest.raises(ThermodynamicViolation) as fallen:
        validate_entropy_increase(ONES, spike(0.5), strict=True)
    assert fallen.value.kind == "entropy"
    assert fallen.value.value < fallen.value.limit < 0
