"""A film: one quantity over the frames, with the colours that show it.

Limits and colours are shared by all frames of a film, so that what looks brighter is more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from nvp.atlas.series import Series
from nvp.dynamics.domain import DomainSpec
from nvp.errors import FieldError
from nvp.pictures.style import BESIDE, DIVERGING, SEQUENTIAL, with_units

# this share of the cells may lie beyond either end of the colours, which then says so by an arrow
_BEYOND = 5e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """Frames of one quantity, row 0 on top as everywhere in the atlas."""

    # what it is, and what its colours measure, with the unit
    label: str
    quantity: str
    frames: Float[np.ndarray, "t h w"]
    # values of the first and the last colour
    low: float
    high: float
    # name of a matplotlib colour map
    colours: str

    @property
    def extend(self) -> str:
        """Which ends of the colours cells lie beyond, in matplotlib's words."""
        below, above = bool(self.frames.min() < self.low), bool(self.frames.max() > self.high)
        return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[
            below, above
        ]

    def part(self, chosen: slice | list[int]) -> Film:
        """Some of the frames in the same colours."""
        return replace(self, frames=self.frames[chosen])


def film(
    label: str,
    frames: Float[np.ndarray, "t h w"],
    *,
    quantity: str = "",
    colours: str = SEQUENTIAL,
    centred: bool | None = None,
) -> Film:
    """Choose limits and colours: diverging and centred on 0 where the quantity has both signs, else `colours`.

    `centred` decides where the values themselves do not, such as for an error.
    """
    values = frames[np.isfinite(frames)].astype(np.float64)
    low, high = (float(x) for x in np.quantile(values, (_BEYOND, 1 - _BEYOND))) if values.size else (0.0, 1.0)
    both = low < 0 < high if centred is None else centred
    if both:
        size = max(abs(low), abs(high)) or 1.0
        low, high = -size, size
    elif not low < high:
        # a uniform field: its colour is the middle one
        size = abs(low) * 0.01 or 1.0
        low, high = low - size, high + size
    return Film(
        label=label,
        quantity=quantity or label,
        frames=np.asarray(frames),
        low=low,
        high=high,
        colours=DIVERGING if both else colours,
    )


def energy_film(series: Series, spec: DomainSpec, *, label: str = "") -> Film:
    """The field itself; of several channels, the first."""
    label = label or _name(spec)
    return film(label, series.energy[..., 0], quantity=with_units(label, spec.units))


def context_film(series: Series, name: str) -> Film:
    """A context field: itself where it has one channel, its magnitude where it is a vector."""
    if name not in series.context:
        raise FieldError(
            "NO_CONTEXT",
            f"expected a context field out of {', '.join(sorted(series.context)) or 'none'}, got {name!r}.",
            next_step="Choose one of them, or leave it out.",
        )
    values = series.context[name]
    if values.shape[-1] == 1:
        return film(name, values[..., 0], colours=BESIDE)
    return film(f"|{name}|", np.sqrt((values.astype(np.float64) ** 2).sum(axis=-1)), colours=BESIDE)


def comparison(
    truth: Float[np.ndarray, "t h w"], prediction: Float[np.ndarray, "t h w"], spec: DomainSpec
) -> tuple[Film, Film, Film]:
    """Truth and prediction in the truth's colours, and prediction − truth centred on 0."""
    shown = film("truth", truth, quantity=quantity(spec))
    return (
        shown,
        replace(shown, label="prediction", frames=np.asarray(prediction)),
        film("error", prediction - truth, quantity=quantity(spec), centred=True),
    )


def quantity(spec: DomainSpec) -> str:
    """What the colours of a domain's field measure."""
    return with_units(_name(spec), spec.units)


def _name(spec: DomainSpec) -> str:
    return "field" if spec.signed else "E"
