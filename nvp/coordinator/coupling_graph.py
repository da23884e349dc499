"""A coupling graph as its author writes it: order parameters, couplings between them, and what they are weighed with.

Each module carries one order parameter η ∈ [0, 1]; the energy of the whole is

    F(η) = Σ_i w(term_i)·F_i(η_i) + Σ_e w(term_e)·F_e(η_i, η_j) + γ·N

a pairwise energy-based model on a box. Everything is checked here, once, on the host: compiled code never meets a bad
index, a missing benefit or a number that is not finite. No JAX, so that the API can check a graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nvp.coordinator.kinds import COUPLINGS, MODULES, SIGNED
from nvp.coordinator.polynomials import require_polynomial
from nvp.errors import FieldError

LARGEST = 1e20
"""No number of a graph is larger, so that products of its numbers, and squares of these, stay finite."""


@dataclass(frozen=True, slots=True)
class Module:
    """One order parameter and its local energy."""

    kind: str
    # what differs from the defaults of the kind
    params: Mapping[str, Any] = field(default_factory=dict)
    # what its weight is called; by default one weight for all modules of a kind
    term: str = ""

    @property
    def term_id(self) -> str:
        """The name under which its energy is weighed and accounted."""
        return self.term or f"local:{self.kind}"


@dataclass(frozen=True, slots=True)
class Coupling:
    """A potential between order parameters i and j; of a gate coupling, i is the gate and j the domain it serves."""

    kind: str
    i: int
    j: int
    # what differs from the defaults of the kind
    params: Mapping[str, Any] = field(default_factory=dict)
    # which of the graph's benefits a gate coupling is fed by
    delta: str = ""
    term: str = ""

    @property
    def term_id(self) -> str:
        """The name under which its energy is weighed and accounted."""
        return self.term or f"coup:{self.kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CouplingGraph:
    """Modules, couplings and what the energy is weighed with; immutable, and checked when it is made."""

    modules: Sequence[Module]
    couplings: Sequence[Coupling] = ()
    # weight of each term; a term that is not named weighs 1
    weights: Mapping[str, float] = field(default_factory=dict)
    # benefits Δ, measured outside and frozen for a run
    deltas: Mapping[str, float] = field(default_factory=dict)
    # take a benefit that nobody measured for 0
    allow_missing_delta: bool = False
    # γ ≥ 0, what one more module costs, and τ ≥ 0, what it must gain beyond that
    gamma: float = 0.0
    tau: float = 0.0
    # what messages call the modules; by default their numbers
    keys: Sequence[str] = ()

    @property
    def terms(self) -> tuple[str, ...]:
        """Every term of the energy, in the order of their first appearance."""
        return tuple(dict.fromkeys([each.term_id for each in self.modules] + [each.term_id for each in self.couplings]))

    def __post_init__(self) -> None:
        if not self.modules:
            raise FieldError(
                "EMPTY_GRAPH", "expected at least one module, got none.", next_step="Add an order parameter."
            )
        for number, module in enumerate(self.modules):
            _check(module.kind, module.params, MODULES, f"module {self._called(number)}")
        for number, coupling in enumerate(self.couplings):
            ends = f" from {self._called(coupling.i)} to {self._called(coupling.j)}" if self.keys else f" {number}"
            name = f"coupling{ends}"
            _check(coupling.kind, coupling.params, COUPLINGS, name)
            self._check_ends(coupling, name)
        for name, value in self.deltas.items():
            _finite(f"benefit {name}", value)
        for name, value in {**self.weights, "gamma": self.gamma, "tau": self.tau}.items():
            _not_negative(f"weight {name}" if name in self.weights else name, value)
        if unknown := sorted(set(self.weights) - set(self.terms)):
            raise FieldError(
                "UNKNOWN_TERM",
                f"expected weights of {', '.join(self.terms)}, got one of {', '.join(unknown)}.",
                next_step="Name a term of the graph.",
            )

    def _called(self, number: int) -> str:
        return repr(self.keys[number]) if self.keys else str(number)

    def _check_ends(self, coupling: Coupling, name: str) -> None:
        count = len(self.modules)
        if not (0 <= coupling.i < count and 0 <= coupling.j < count) or coupling.i == coupling.j:
            raise FieldError(
                "BAD_INDEX",
                f"expected two of the {count} modules, got {self._called(coupling.i)} and {self._called(coupling.j)} "
                f"of {name}.",
                next_step="Correct the coupling.",
            )
        fed = "gate" in coupling.kind
        if fed and coupling.delta not in self.deltas and not self.allow_missing_delta:
            raise FieldError(
                "MISSING_DELTA",
                f"expected a benefit out of {', '.join(self.deltas) or 'none'}, got {coupling.delta!r} of {name}.",
                next_step="Measure it, or set allow_missing_delta to take it for 0.",
            )


def _check(kind: str, params: Mapping[str, Any], kinds: Mapping[str, Mapping[str, Any]], name: str) -> None:
    """Refuse an unknown kind, an unknown parameter and a value out of range."""
    if kind not in kinds:
        raise FieldError(
            "UNKNOWN_KIND", f"expected a kind out of {', '.join(kinds)}, got {kind!r} of {name}.", next_step="Name one."
        )
    if unknown := sorted(set(params) - set(kinds[kind])):
        raise FieldError(
            "BAD_PARAMETER",
            f"expected parameters out of {', '.join(kinds[kind])}, got {', '.join(unknown)} of {name}.",
            next_step="Correct the name.",
        )
    for parameter, value in params.items():
        default = kinds[kind][parameter]
        if isinstance(default, float):
            _finite(f"{parameter} of {name}", value)
            if (kind, parameter) not in SIGNED:
                _not_negative(f"{parameter} of {name}", value)
        elif isinstance(default, bool) and not isinstance(value, bool):
            raise FieldError(
                "BAD_PARAMETER",
                f"expected true or false as {parameter} of {name}, got {shown(value)}.",
                next_step="Correct it.",
            )
    if kind == "polynomial":
        given = {**kinds[kind], **params}
        require_polynomial(given["coefficients"], given["basis"], normalized=given["normalized"], largest=LARGEST)
    if kind == "landau" and not params.get("b", 1.0) > 0:
        raise FieldError("BAD_PARAMETER", f"expected b > 0, got {params['b']} of {name}.", next_step="Give it a wall.")
    if params.get("power", 1.0) < 1:  # at 0 the energy would jump
        raise FieldError("BAD_PARAMETER", f"expected power >= 1, got {params['power']} of {name}.", next_step="Use 1.")
    if not 0 <= params.get("target", 0.0) <= 1 and kind != "redemption":
        raise FieldError(
            "BAD_PARAMETER", f"expected 0 <= target <= 1, got {params['target']} of {name}.", next_step="Clip it."
        )


def is_number(value: Any) -> bool:
    """Whether it is a finite number that a graph may have; whole ones may be of any length."""
    return not isinstance(value, bool) and isinstance(value, int | float) and -LARGEST <= value <= LARGEST


def shown(value: Any) -> str:
    """The value as a message has it: in one line, and not without end."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of more digits than Python writes
        text = "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}…"


def _finite(name: str, value: Any) -> None:
    if not is_number(value):
        raise FieldError(
            "NONFINITE",
            f"expected a finite number of at most {LARGEST:g} in size, got {shown(value)} for {name}.",
            next_step="Give a number.",
        )


def _not_negative(name: str, value: Any) -> None:
    _finite(name, value)
    if value < 0:
        raise FieldError("BAD_PARAMETER", f"expected {name} >= 0, got {value}.", next_step="Use its absolute value.")
