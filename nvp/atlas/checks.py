"""Checks of imported fields, before anything is written: each error names file, variable and index (t, y, x)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float32

from nvp.atlas.formats.imported import Imported, as_field
from nvp.atlas.formats.units import conversion
from nvp.dynamics.domain import DomainSpec
from nvp.errors import FieldError

# spellings of one unit
_SPELLINGS = {
    "": "1", "1": "1", "-": "1", "dimensionless": "1", "none": "1", "arbitrary": "1",
    "kelvin": "K", "degk": "K", "deg_k": "K", "degrees kelvin": "K",
    "celsius": "degC", "degc": "degC", "deg_c": "degC", "degree_celsius": "degC", "degrees_celsius": "degC",
}  # fmt: skip


def check_values(field: Imported, domain: DomainSpec) -> None:
    """Refuse NaN, infinity (in the context too) and, where the domain is an energy, negative values and more than one
    channel."""
    T, _, _, C = field.values.shape
    if not domain.signed and C != 1:
        raise FieldError(
            "BAD_SHAPE",
            f"expected one channel in {field.variable!r} of {field.file}, got {C}.",
            next_step="An energy has one channel; choose a domain of signed fields for others.",
        )
    # one channel's frames at a time keep the masks small
    for t in range(T):
        frame = field.values[t]
        _refuse(field, t, ~np.isfinite(frame), frame, "a finite number", "Fill or cut the missing values first.")
        if not domain.signed:
            _refuse(
                field,
                t,
                frame < 0,
                frame,
                f"an energy of at least 0 in domain {domain.name!r}",
                "Shift or square the field, or choose a domain of signed fields.",
            )
    for name, values in field.context.items():
        beside = replace(field, variable=name, values=values)
        for t, frame in enumerate(values):
            _refuse(beside, t, ~np.isfinite(frame), frame, "a finite number", "Fill or cut the missing values first.")


def check_boundaries(field: Imported, domain: DomainSpec) -> None:
    """Refuse a file that says other boundaries than the domain's; one that says nothing is believed to have them."""
    wanted = (domain.boundary_x, domain.boundary_y)
    if field.boundaries is not None and field.boundaries != wanted:
        raise FieldError(
            "BAD_BOUNDARIES",
            f"expected boundaries {wanted[0]} along x and {wanted[1]} along y, as in domain {domain.name!r}, got "
            f"{field.boundaries[0]} and {field.boundaries[1]} in {field.file}.",
            next_step="Choose a domain with these boundaries, or say --any-boundaries.",
        )


def in_units_of(field: Imported, domain: DomainSpec, *, stated: str | None = None) -> Imported:
    """The field in the domain's unit, converted where both units are known to be of one kind.

    `stated` is what the user says instead of the file. Raises `FieldError` where the units are not the same and none
    of them is made of the other.
    """
    converted = conversion(field.units if stated is None else stated, domain.units)
    if converted is None:
        return replace(field, units=check_units(field, domain, stated=stated))
    factor, offset = converted
    if converted == (1.0, 0.0):
        return replace(field, units=domain.units)
    values = np.stack([as_field(frame.astype(np.float64) * factor + offset) for frame in field.values])
    return replace(field, values=values, units=domain.units)


def check_units(field: Imported, domain: DomainSpec, *, stated: str | None = None) -> str:
    """The field's unit, which must be the domain's; `stated` is what the user says instead of the file."""
    found = field.units if stated is None else stated
    if _spelled(found) == _spelled(domain.units):
        return domain.units
    said = "no units" if not found else f"units {found!r}"
    raise FieldError(
        "BAD_UNITS",
        f"expected {field.variable!r} of {field.file} in {domain.units!r}, the unit of domain {domain.name!r}, "
        f"got {said}.",
        next_step="Convert it, or state its unit by --units where the file is wrong or silent.",
    )


def _refuse(
    field: Imported,
    t: int,
    bad: Bool[np.ndarray, "h w c"],
    frame: Float32[np.ndarray, "h w c"],
    expected: str,
    next_step: str,
) -> None:
    if bad.any():
        y, x, c = (int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))
        raise FieldError(
            "BAD_VALUE",
            f"expected {expected}, got {frame[y, x, c]} in {field.variable!r} of {field.file} at index "
            f"(t={t}, y={y}, x={x}).",
            next_step=next_step,
        )


def _spelled(units: str) -> str:
    known = units.strip()
    return _SPELLINGS.get(known.lower(), known)
