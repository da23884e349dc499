"""Modules that a coupling graph might be given. No JAX, so that the API can check them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nvp.coordinator.description import normal
from nvp.errors import FieldError


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One module that might be added, with what would couple it to the graph."""

    key: str
    # kind, params and term, as in a description
    module: Mapping[str, Any]
    # couplings as in a description; each has the candidate at one end and a module of the graph at the other
    couplings: Sequence[Mapping[str, Any]] = ()
    # benefits that its couplings are fed by and the graph does not have yet
    deltas: Mapping[str, float] = field(default_factory=dict)

    @property
    def partners(self) -> tuple[str, ...]:
        """The modules that it would be coupled with, each once."""
        ends = [(each.get("from"), each.get("to")) for each in self.couplings]
        return tuple(dict.fromkeys(str(b if a == self.key else a) for a, b in ends))


def extended(description: Mapping[str, Any], candidate: Candidate) -> dict[str, Any]:
    """The description with the candidate, in its one form; raises `FieldError` where the two do not fit."""
    keys = {each["key"] for each in description["modules"]}
    name = f"candidate {candidate.key!r}"
    if candidate.key in keys:
        raise FieldError("BAD_KEY", f"expected a key that the graph does not have, got {name}.", next_step="Rename it.")
    for coupling in candidate.couplings:
        ends = {coupling.get("from"), coupling.get("to")}
        if candidate.key not in ends or not ends - {candidate.key} <= keys:
            raise FieldError(
                "BAD_INDEX",
                f"expected couplings between {name} and a module of the graph, got one between "
                f"{coupling.get('from')!r} and {coupling.get('to')!r}.",
                next_step="Correct its ends.",
            )
    if other := sorted(
        name
        for name in candidate.deltas
        if description["deltas"].get(name, candidate.deltas[name]) != candidate.deltas[name]
    ):
        raise FieldError(
            "BAD_PARAMETER",
            f"expected benefits as the graph has them, got others of {', '.join(other)}.",
            next_step="Leave them out, or name them otherwise.",
        )
    return normal(
        {
            **description,
            "modules": [*description["modules"], {**candidate.module, "key": candidate.key}],
            "couplings": [*description["couplings"], *candidate.couplings],
            "deltas": {**description["deltas"], **candidate.deltas},
        }
    )
