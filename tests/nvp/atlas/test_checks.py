"""Checks: every error names file, variable and index."""

import numpy as np
import pytest

from nvp.atlas.checks import check_units, check_values
from nvp.atlas.formats.imported import Imported
from nvp.atlas.time_axis import without_times
from nvp.dynamics.domain import DomainSpec
from nvp.errors import FieldError

ENERGY = DomainSpec(
    name="heat", title="Heat", closed=True, second_law=True, boundary_x="periodic", boundary_y="periodic", units="1",
    dx=1.0, dy=1.0, dt=1.0,
)  # fmt: skip
SIGNED = DomainSpec(
    name="weather", title="Weather", closed=False, second_law=False, boundary_x="open", boundary_y="open", units="K",
    dx=1.0, dy=1.0, dt=3600.0, signed=True,
)  # fmt: skip


def imported(value: float = 1.0, units: str = "1", channels: int = 1) -> Imported:
    values = np.ones((4, 8, 16, channels), np.float32)
    values[2, 3, 5, 0] = value
    return Imported(file="storm.nc", variable="heat", units=units, values=values, time=without_times(4, dt=1.0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("domain", [ENERGY, SIGNED])
def test_what_is_not_finite(value: float, domain: DomainSpec) -> None:
    with pytest.raises(FieldError, match=rf"{value} in 'heat' of storm\.nc at index \(t=2, y=3, x=5\)"):
        check_values(imported(value), domain)


def test_a_negative_energy() -> None:
    with pytest.raises(FieldError, match=r"'heat' of storm\.nc at index \(t=2, y=3, x=5\)") as caught:
        check_values(imported(-0.5), ENERGY)
    assert caught.value.code == "BAD_VALUE"
    check_values(imported(-0.5), SIGNED)


def test_zero_is_an_energy_and_channels_are_not() -> None:
    check_values(imported(0.0), ENERGY)
    with pytest.raises(FieldError, match="one channel"):
        check_values(imported(channels=2), ENERGY)
    check_values(imported(channels=2), SIGNED)


@pytest.mark.parametrize(
    ("units", "domain", "expected"),
    [
        ("K", SIGNED, "K"),
        ("kelvin", SIGNED, "K"),
        ("1", ENERGY, "1"),
        ("", ENERGY, "1"),
        ("dimensionless", ENERGY, "1"),
    ],
)
def test_units_that_fit(units: str, domain: DomainSpec, expected: str) -> None:
    assert check_units(imported(units=units), domain) == expected


@pytest.mark.parametrize(("units", "domain"), [("degC", SIGNED), ("", SIGNED), ("K", ENERGY), ("J m-2", ENERGY)])
def test_units_that_do_not_fit_unless_stated(units: str, domain: DomainSpec) -> None:
    with pytest.raises(FieldError, match=r"'heat' of storm\.nc in .*--units"):
        check_units(imported(units=units), domain)
    assert check_units(imported(units=units), domain, stated=domain.units) == domain.units


def test_a_stated_unit_must_fit_too() -> None:
    with pytest.raises(FieldError, match="degC"):
        check_units(imported(units="K"), SIGNED, stated="degC")
