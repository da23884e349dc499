"""Units of files: which spellings mean one unit, and how numbers of one become numbers of another.

A unit is a factor and an offset to the SI unit of its kind. What is not in the table is compared by its spelling only.
Reference: BIPM, The International System of Units, 9th edition (2019).
"""

from __future__ import annotations

from typing import NamedTuple


class Unit(NamedTuple):
    """si = factor · number + offset, in the SI unit of `kind`."""

    kind: str
    factor: float
    offset: float = 0.0


_UNITS: dict[Unit, str] = {
    Unit("number", 1.0): "1|-|dimensionless|none|arbitrary",
    Unit("number", 0.01): "%|percent",
    Unit("temperature", 1.0): "K|kelvin|degK|deg_K|degrees kelvin",
    Unit("temperature", 1.0, 273.15): "degC|celsius|deg_C|degree_celsius|degrees_celsius|°C|C",
    Unit("temperature", 5 / 9, 459.67 * 5 / 9): "degF|fahrenheit|degree_fahrenheit|degrees_fahrenheit|°F",
    Unit("length", 1.0): "m|metre|metres|meter|meters",
    Unit("length", 1e3): "km|kilometre|kilometres|kilometer|kilometers",
    Unit("length", 1e-2): "cm|centimetre|centimeter",
    Unit("length", 1e-3): "mm|millimetre|millimeter",
    Unit("speed", 1.0): "m s-1|m/s|m s**-1|m s^-1|m.s-1|meter per second|meters per second",
    Unit("speed", 1 / 3.6): "km h-1|km/h|km hr-1|kmh",
    Unit("speed", 1852 / 3600): "kt|knot|knots",
    Unit("pressure", 1.0): "Pa|pascal|pascals",
    Unit("pressure", 1e2): "hPa|mbar|millibar|hectopascal",
    Unit("pressure", 1e3): "kPa|kilopascal",
    Unit("pressure", 1e5): "bar",
    Unit("energy", 1.0): "J|joule|joules",
    Unit("energy", 1e3): "kJ|kilojoule",
    Unit("energy per area", 1.0): "J m-2|J/m2|J m**-2|J m^-2",
    Unit("energy per area", 1e3): "kJ m-2|kJ/m2|kJ m**-2",
    Unit("power per area", 1.0): "W m-2|W/m2|W m**-2|W m^-2",
    Unit("power per area", 1e3): "kW m-2|kW/m2|kW m**-2",
}

_EXACT = {spelling: unit for unit, spellings in _UNITS.items() for spelling in spellings.split("|")}
# words may begin with a capital; symbols may not, as M and m are two units
_WORDS = {spelling.lower(): unit for spelling, unit in _EXACT.items() if len(spelling) > 4}


def known(units: str) -> Unit | None:
    """The unit of this spelling, where the table has it; none said means a number."""
    said = units.strip()
    return _EXACT.get(said or "1") or _WORDS.get(said.lower())


def conversion(found: str, wanted: str) -> tuple[float, float] | None:
    """(factor, offset) with wanted = factor · found + offset; None where these are not two units of one kind."""
    one, other = known(found), known(wanted)
    if one is None or other is None or one.kind != other.kind:
        return None
    return one.factor / other.factor, (one.offset - other.offset) / other.factor
