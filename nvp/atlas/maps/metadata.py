"""Metadata of one energy map: what its JSON sidecar says, no more and no less.

Written and read without loss; reading refuses what is missing, unknown, of another type or not finite, so that a
sidecar is either right or an error that names it.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Real

from nvp.atlas.canonical import digest
from nvp.atlas.maps.errors import BadData
from nvp.atlas.statistics import frame_statistics
from nvp.dynamics.domain import domain as registered_domain

Source = Literal["real", "synthetic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyMapMetadata:
    """One map of an atlas; energies in `units`, entropy in nats."""

    domain: str
    # name of the evolution that it belongs to, and its place there
    sequence: str
    step: int
    # height, width
    shape: tuple[int, int]
    # of the stored values
    dtype: str = "float32"
    units: str
    # of the canonical .npy bytes, axes (H, W, 1): the graph's identity of the array
    sha256: str

    # over the cells; the variance is the population's
    total_energy: float
    energy_mean: float
    energy_variance: float
    # spatial entropy; None where the field is signed or holds nothing
    entropy: float | None
    regime: str

    # spacing of the grid
    dx: float
    dy: float
    # time since the sequence began, in the domain's unit, and the calendar's (ISO 8601, UTC) where there is one
    t: float
    timestamp: str | None = None

    # measured, or made by a simulator or generator
    source: Source
    # root of what was drawn, where something was
    seed: int | None = None
    # what was done to the map since the step before: {"name": "rotation", "angle_deg": 12.5}, in order
    perturbations: tuple[Mapping[str, Any], ...] = ()
    # external source over the step that led here, ΣQ·dt, where it is known
    source_total: float | None = None

    def __post_init__(self) -> None:
        if problem := _problem({entry.name: getattr(self, entry.name) for entry in fields(self)}):
            raise _refused(problem)

    @property
    def map_id(self) -> str:
        """Name within its domain."""
        return map_id(self.sequence, self.step)

    @property
    def scale(self) -> int:
        """The shorter side."""
        return min(self.shape)

    @classmethod
    def of(
        cls,
        energy: Real[np.ndarray, "h w"],
        *,
        domain: str,
        sequence: str,
        step: int,
        source: Source,
        **known: Any,
    ) -> EnergyMapMetadata:
        """The metadata of this map: statistics from its values, units and spacing from the domain, the rest `known`.

        `t` follows from step and the domain's dt where it is not given.
        """
        spec = registered_domain(domain)
        defaults: dict[str, Any] = {"units": spec.units, "dx": spec.dx, "dy": spec.dy, "t": step * spec.dt}
        return cls(
            domain=domain,
            sequence=sequence,
            step=step,
            source=source,
            **(defaults | known),
            **_measured(energy, signed=spec.signed),
        )

    def measured(self, energy: Real[np.ndarray, "h w"]) -> EnergyMapMetadata:
        """The same, with the statistics and the hash of these values; itself where it was made from them."""
        if digest(energy[..., None]) == self.sha256:
            return self
        return replace(self, **_measured(energy, signed=registered_domain(self.domain).signed))

    def to_json(self) -> dict[str, Any]:
        """The sidecar's content; `map_id` and `scale` are there for readers and follow from the rest."""
        said = asdict(self)
        return {"map_id": self.map_id, "scale": self.scale, **said, "shape": list(self.shape)}

    @classmethod
    def from_json(cls, said: Mapping[str, Any], *, file: str = "the sidecar") -> EnergyMapMetadata:
        """What `to_json` gave; `file` names it in errors."""
        names = {entry.name for entry in fields(cls)}
        found = set(said) - {"map_id", "scale"}
        if found != names:
            missing, unknown = sorted(names - found), sorted(found - names)
            raise _refused(f"expected the fields of a map's metadata, got missing {missing}, unknown {unknown}", file)
        values: dict[str, Any] = {
            name: tuple(said[name]) if isinstance(said[name], list) else said[name] for name in names
        }
        if problem := _problem(values):
            raise _refused(problem, file)
        metadata = cls(**values)
        derived = {"map_id": metadata.map_id, "scale": metadata.scale}
        if {key: said.get(key) for key in derived} != derived:
            raise _refused(f"expected {derived}, got {[said.get(key) for key in derived]}", file)
        return metadata


def to_text(metadata: EnergyMapMetadata) -> str:
    """The sidecar's text: keys sorted, one line each, so that two versions compare by eye."""
    return json.dumps(metadata.to_json(), indent=1, sort_keys=True, allow_nan=False) + "\n"


def from_text(text: str | bytes, *, file: str) -> EnergyMapMetadata:
    """What `to_text` wrote; raises `BadData` naming `file` for anything else."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refused(f"cannot parse it as JSON ({error})", file) from error
    if not isinstance(said, dict):
        raise _refused(f"expected a JSON object, got {type(said).__name__}", file)
    return EnergyMapMetadata.from_json(said, file=file)


def map_id(sequence: str, step: int) -> str:
    """`<sequence>/<step>`, four digits at least."""
    return f"{sequence}/{step:04d}"


def _measured(energy: Real[np.ndarray, "h w"], *, signed: bool) -> dict[str, Any]:
    statistics = frame_statistics(energy[None, ..., None], signed=signed)
    empty = statistics.entropy is None or not statistics.total_energy[0] > 0
    return {
        "shape": tuple(energy.shape),
        "sha256": digest(energy[..., None]),
        "total_energy": float(statistics.total_energy[0]),
        "energy_mean": float(statistics.mean[0]),
        "energy_variance": float(statistics.variance[0]),
        "entropy": None if empty or statistics.entropy is None else float(statistics.entropy[0]),
        "regime": str(statistics.regime[0]),
    }


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _or_none(allows: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or allows(value)


_TYPES: Mapping[str, tuple[Callable[[Any], bool], str]] = types.MappingProxyType(
    {
        **dict.fromkeys(("domain", "sequence", "dtype", "units", "regime"), (_text, "text")),
        **dict.fromkeys(("total_energy", "energy_mean", "energy_variance", "t"), (_number, "a finite number")),
        **dict.fromkeys(("dx", "dy"), (lambda value: _number(value) and value > 0, "a finite number above 0")),
        **dict.fromkeys(("entropy", "source_total"), (_or_none(_number), "a finite number or none")),
        "step": (lambda value: _whole(value) and value >= 0, "a whole number from 0"),
        "shape": (
            lambda value: isinstance(value, tuple) and len(value) == 2 and all(_whole(n) and n > 0 for n in value),
            "height and width",
        ),
        "sha256": (
            lambda value: _text(value) and len(value) == 64 and not set(value) - set("0123456789abcdef"),
            "64 hexadecimal digits",
        ),
        "timestamp": (_or_none(_text), "text or none"),
        "source": (lambda value: value in ("real", "synthetic"), "'real' or 'synthetic'"),
        "seed": (_or_none(_whole), "a whole number or none"),
        "perturbations": (lambda value: isinstance(value, tuple), "a tuple"),
    }
)


def _problem(values: Mapping[str, Any]) -> str | None:
    """What is wrong with these fields; None where nothing is."""
    for name, (allows, wanted) in _TYPES.items():
        if not allows(values[name]):
            return f"expected {name} as {wanted}, got {values[name]!r}"
    for item in values["perturbations"]:
        try:
            kept = json.loads(json.dumps(item, allow_nan=False))
        except (TypeError, ValueError) as error:
            return f"expected perturbations of JSON values, got {item!r} ({error})"
        # a tuple would come back as a list, a number as a key as text
        if not isinstance(item, dict) or kept != item:
            return f"expected perturbations as JSON objects, got {item!r}"
    return None


def _refused(said: str, file: str = "a map's metadata") -> BadData:
    return BadData("BAD_METADATA", f"{file}: {said}.", next_step="Save the map again, or restore the file.")
