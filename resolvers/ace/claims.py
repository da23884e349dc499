"""A claim: what must be true of a number for a hypothesis to hold. All of it is data; nothing is left to be read.

    METRIC of MODEL [minus that of VERSUS] COMPARATOR THRESHOLD
    on DOMAIN, frames of REGIME, at each lead up to HORIZON or at the last alone, the inputs under PERTURBATION

`Claim.sentence()` says it in words that `resolvers.ace.grammar.parse` reads back as the same claim.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from nvp.atlas.regime import REGIMES
from nvp.dynamics.perturbed_config import OPERATIONS
from nvp.errors import FieldError
from resolvers.ace.metrics import BASELINES, METRICS
from resolvers.ace.words import counted

Comparator = Literal[">", ">=", "<", "<="]
Leads = Literal["every", "last"]

SIZES = ("tiny", "small", "base", "literal")
HORIZON = 1000
VERSION = 1

_WORDS: Mapping[str, str] = {">": "above", ">=": "at least", "<": "below", "<=": "at most"}
FLIPPED: Mapping[str, Comparator] = {">": "<", ">=": "<=", "<": ">", "<=": ">="}
_GAINS: Mapping[str, str] = {">": "more than", ">=": "at least", "<": "less than", "<=": "at most"}
_BARE: Mapping[str, str] = {">": "beats", ">=": "is no worse than", "<": "loses to"}
_HOLDS: Mapping[str, Callable[[float, float], bool]] = {
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
}
_CHECKPOINT = re.compile(r"checkpoint:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
# operation → the largest amount, in the units of `nvp.dynamics.perturbations`, and how it is said
LARGEST: Mapping[str, float] = {
    "gaussian_noise": 1.0,
    "thermal_blur": 64.0,
    "rotation": 360.0,
    "translation": 1024.0,
    "energy_scaling": 100.0,
}
_SAID: Mapping[str, str] = {
    "gaussian_noise": "noise of {}",
    "thermal_blur": "a blur of {} cells",
    "rotation": "a rotation of {} degrees",
    "translation": "a shift of {} cells",
    "energy_scaling": "scaling by {}",
}


def number(value: float) -> str:
    """The shortest plain way to write it that reads back as the same number."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(float(value))


def percent(value: float) -> float:
    """That many hundredths: 7 % is 0.07, not 0.07000000000000001."""
    return float(f"{value / 100:.12g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbation:
    """What is done to the inputs before they are predicted from; the truth stays as it is."""

    operation: str
    # noise: standard deviation / mean; blur: cells; rotation: degrees; translation: whole cells; scaling: the factor
    amount: float

    def __post_init__(self) -> None:
        if self.operation not in OPERATIONS:
            raise _refused(f"an operation out of {', '.join(OPERATIONS)}", self.operation)
        if not 0 < self.amount <= LARGEST[self.operation]:
            raise _refused(f"an amount above 0 and up to {LARGEST[self.operation]:g}", self.amount)
        if self.operation == "translation" and self.amount != int(self.amount):
            raise _refused("a shift by whole cells", self.amount)

    def words(self) -> str:
        """As a sentence has it."""
        if self.operation == "gaussian_noise" and percent(shown := self.amount * 100) == self.amount:
            return f"{shown:.12g} % noise"
        return _SAID[self.operation].format(number(self.amount))


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One statement that numbers can refute."""

    metric: str
    comparator: Comparator
    threshold: float
    domain: str
    # a baseline: the claim is then about own value − its value on the same frames
    versus: str | None = None
    # a size, "checkpoint:<uid>" or a baseline; None: the domain's newest checkpoint
    model: str | None = None
    # None: whatever the frames look like
    regime: str | None = None
    # steps ahead, and whether it is said of each lead up to there or of the last one
    horizon: int = 1
    leads: Leads = "every"
    perturbation: Perturbation | None = None

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise _refused(f"a metric out of {', '.join(METRICS)}", self.metric)
        if self.comparator not in get_args(Comparator):
            raise _refused("a comparator out of >, >=, <, <=", self.comparator)
        if isinstance(self.threshold, bool) or not math.isfinite(self.threshold):
            raise _refused("a finite threshold", self.threshold)
        if not _NAME.fullmatch(self.domain):
            raise _refused("the name of a domain", self.domain)
        if self.versus is not None and self.versus not in BASELINES:
            raise _refused(f"a baseline out of {', '.join(BASELINES)}", self.versus)
        if self.model is not None and not (
            self.model in SIZES or self.model in BASELINES or _CHECKPOINT.fullmatch(self.model)
        ):
            raise _refused(f"a model out of {', '.join((*SIZES, *BASELINES))} or checkpoint:UID", self.model)
        if self.versus is not None and self.versus == self.model:
            raise _refused("a comparison with another", self.versus)
        if self.regime is not None and self.regime not in REGIMES:
            raise _refused(f"a regime out of {', '.join(REGIMES)}", self.regime)
        if type(self.horizon) is not int or not 1 <= self.horizon <= HORIZON:
            raise _refused(f"1 … {HORIZON} steps", self.horizon)
        if self.leads not in get_args(Leads):
            raise _refused("leads out of every, last", self.leads)
        if self.horizon == 1 and self.leads == "last":
            # one lead is the last of itself: the same claim has one form
            object.__setattr__(self, "leads", "every")
        known = METRICS[self.metric].persistence
        if self.versus == "persistence" and self.perturbation is None and known is not None:
            # what persistence scores is known: a difference to it is a plain threshold
            object.__setattr__(self, "threshold", self.threshold + known)
            object.__setattr__(self, "versus", None)
        if not self.decidable:
            raise _refused(
                f"a threshold that {METRICS[self.metric].title} ({METRICS[self.metric].range}) can miss", self.threshold
            )

    @property
    def decidable(self) -> bool:
        """Whether the metric's range leaves both outcomes open."""
        metric = METRICS[self.metric]
        low, high = metric.low, metric.high
        if self.versus is not None:
            low, high = low - high, high - low
        fits = low < self.threshold < high
        return (
            fits
            or (self.threshold == low and self.comparator in (">", "<="))
            or (self.threshold == high and self.comparator in ("<", ">="))
        )

    @property
    def steps(self) -> tuple[int, ...]:
        """The leads of which it is said."""
        return (self.horizon,) if self.leads == "last" else tuple(range(1, self.horizon + 1))

    def holds(self, value: float) -> bool:
        """Whether a value (of a difference, where there is a baseline) is on the claim's side."""
        return bool(_HOLDS[self.comparator](value, self.threshold))

    def sentence(self) -> str:
        """In plain words, by the grammar."""
        metric = METRICS[self.metric]
        if self.versus is None:
            said = f"keeps {metric.title} {_WORDS[self.comparator]} {number(self.threshold)}"
        else:
            # by how much it is better, whichever way the metric goes
            better, gain = self.comparator, self.threshold
            if not metric.higher:
                better, gain = FLIPPED[better], -gain
            said = f"beats {BASELINES[self.versus]} by {_GAINS[better]} {number(gain)} in {metric.title}"
            if gain == 0 and better in _BARE:
                said = f"{_BARE[better]} {BASELINES[self.versus]} in {metric.title}"
        parts = [
            f"on {self.domain}",
            "" if self.regime is None else f"in the {self.regime} regime",
            "the model" if self.model is None else _subject(self.model),
            said,
            f"at step {self.horizon}" if self.leads == "last" else f"for {counted(self.horizon, 'step')}",
            "" if self.perturbation is None else f"under {self.perturbation.words()}",
        ]
        return " ".join(part for part in parts if part)

    def brief(self) -> str:
        """In one short line: `fidelity > 0.9 | active_matter | base | 1–5 | gaussian_noise 0.01`."""
        metric = self.metric if self.versus is None else f"{self.metric} − {self.versus}"
        leads = f"{self.steps[0]}" if len(self.steps) == 1 else f"{self.steps[0]}–{self.steps[-1]}"
        parts = [
            f"{metric} {self.comparator} {number(self.threshold)}",
            self.domain,
            self.model or "newest",
            f"lead {leads}",
            self.regime,
            self.perturbation and f"{self.perturbation.operation} {number(self.perturbation.amount)}",
        ]
        return ", ".join(part for part in parts if part)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` reads them back."""
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, plain: object) -> Claim:
        """The claim; raises `FieldError` for what is none."""
        if not isinstance(plain, Mapping):
            raise _refused("a claim as an object of metric, comparator, threshold, domain …", repr(plain)[:80])
        given = dict(plain)
        if (version := given.pop("version", VERSION)) != VERSION:
            raise _refused(f"a claim of version {VERSION}", version)
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(given) - known):
            raise _refused(f"keys out of {', '.join(sorted(known))}", ", ".join(unknown))
        if missing := sorted({"metric", "comparator", "threshold", "domain"} - set(given)):
            raise _refused("metric, comparator, threshold and domain", f"none for {', '.join(missing)}")
        perturbation = given.pop("perturbation", None)
        try:
            made = None if perturbation is None else Perturbation(**perturbation)
        except TypeError:
            raise _refused("a perturbation of operation and amount", repr(perturbation)[:80]) from None
        try:
            return cls(**given, perturbation=made)
        except TypeError as error:
            raise _refused("metric, comparator, threshold and domain, each of its own type", error) from None

    def key(self) -> str:
        """sha256 of the canonical JSON: the same claim has the same key, however it was said."""
        plain = {**self.to_json(), "threshold": float(self.threshold) + 0.0}
        if self.perturbation is not None:
            plain["perturbation"]["amount"] = float(self.perturbation.amount)
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


def _subject(model: str) -> str:
    if model in BASELINES:
        return BASELINES[model]
    return model.replace(":", " ") if model.startswith("checkpoint:") else f"the {model} model"


def _refused(expected: str, got: object) -> FieldError:
    return FieldError("BAD_CLAIM", f"expected {expected}, got {got}.", next_step="Correct the claim.")
