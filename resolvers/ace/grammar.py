"""Sentences into claims, by the grammar in `claims.lark`; what leaves something open is answered by one question.

What a sentence may leave out: the model (then the domain's newest checkpoint), the steps (1), the regime and the
perturbation. The domain, the metric and the threshold it has to say.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from nvp.atlas.regime import REGIMES
from nvp.dynamics.domain import DOMAINS
from nvp.errors import FieldError
from resolvers.ace.claims import FLIPPED, HORIZON, LARGEST, SIZES, Claim, Perturbation, percent
from resolvers.ace.metrics import BASELINES, METRICS

if TYPE_CHECKING:
    from lark import Lark, Tree

LONGEST = 500
EXAMPLE = "on active_matter the base model keeps fidelity above 0.9 for 5 steps under 1 % noise"

Said = dict[str, Any]
"""Fields of a claim, by name, as far as a part of the sentence says them."""

_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
# rule → what is done to the inputs
_PERTURBATIONS = {
    "noise": "gaussian_noise",
    "blur": "thermal_blur",
    "rotation": "rotation",
    "shift": "translation",
    "scaling": "energy_scaling",
}
_COMPARISONS = {"above": ">", "at_least": ">=", "below": "<", "at_most": "<="}
# rule → by how much one is better than the other, where no margin is said
_GAINS = {"beats": (">", 0.0), "loses": ("<", 0.0), "ties": (">=", 0.0)}
_HOW_MUCH = {"noise": "1 % noise", "blur": "a blur of 2 cells", "rotation": "a rotation of 90 degrees"}
_MEASURES = ("fidelity above 0.9", "VRMSE below 0.3", "total error below 5 %")

_EXPECTED = "What must be true each time, without {word!r}?"
_ONE = "Which of them first? A claim is one statement; test the other by itself."
_WHAT = "What would be measured if that were so? A claim says what, not why."
_NUMBER = "How much is {word!r}: which measure must lie above or below which number?"
# words by which one knows what is missing, what to ask and what might be answered
_HINTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("might may could can probably perhaps should often sometimes usually", _EXPECTED, ()),
    ("and or but while whereas", _ONE, ()),
    ("because since causes cause therefore if due", _WHAT, ()),
    ("good well high low bad poor accurate accurately reliable reliably great excellent robust", _NUMBER, _MEASURES),
    ("stable better best worse small large works fast understands understand learns learn", _NUMBER, _MEASURES),
)
_SPELT = {
    "≥": ">=",
    "≤": "<=",
    "−": "-",
    "per cent": "%",
    "percent": "%",
    "’s": "'s",
    "doesn't": "does not",
}


class Unclear(FieldError):
    """A sentence that leaves something open: the question to whoever said it, and answers to choose from."""

    def __init__(self, sentence: str, question: str, options: Collection[str] = ()) -> None:
        shown = f" ({' | '.join(options)})" if options else ""
        super().__init__(
            "CLAIM_UNCLEAR",
            f"expected a claim that numbers can refute, got {_short(sentence)!r}.",
            next_step=f"{question}{shown}",
        )
        self.question = question
        self.options = tuple(options)


def parse(sentence: str, *, domains: Collection[str] | None = None) -> Claim:
    """The claim that a sentence says; `domains` are those that there are (default: all that are registered).

    Raises `Unclear` with one question.
    """
    return _Reading(sentence, sorted(DOMAINS if domains is None else domains)).claim()


class _Reading:
    """One sentence on its way to a claim."""

    def __init__(self, sentence: str, domains: list[str]) -> None:
        self.sentence = sentence
        self.domains = domains

    def claim(self) -> Claim:
        if len(self.sentence) > LONGEST:
            raise self.unclear(f"Can it be said in {LONGEST} characters?")
        said = _plain(self.sentence)
        if not said:
            raise self.unclear("What do you claim?", [EXAMPLE])
        if said.endswith("?"):
            raise self.unclear("What do you expect the answer to be? State it, and it can be tested.")
        return self._made(self._read(self._tree(said)))

    def unclear(self, question: str, options: Collection[str] = ()) -> Unclear:
        return Unclear(self.sentence, question, options)

    def _tree(self, said: str) -> Tree[Any]:
        from lark import UnexpectedInput

        try:
            return _parser().parse(said)
        except UnexpectedInput as error:
            raise self._not_understood(said, error) from None

    def _not_understood(self, said: str, error: Any) -> Unclear:
        """What to ask about a sentence that the grammar does not have."""
        self._know_model(said)
        words = re.findall(r"[a-z_]+", said)
        for known, question, options in _HINTS:
            if word := next((word for word in words if word in known.split()), None):
                return self.unclear(question.format(word=word), options)
        at = error.pos_in_stream if error.pos_in_stream not in (None, -1) else len(said)
        rest = said[at:].split()
        if not rest:
            return self.unclear("What is measured, and above or below which number must it lie?", _MEASURES)
        return self.unclear(f"What does {rest[0]!r} mean here? Say it as in:", [EXAMPLE])

    def _read(self, node: Any) -> Any:
        """What a node says: text for a word, else what its rule makes of what its children say."""
        from lark import Token

        if isinstance(node, Token):
            return str(node)
        rule, said = str(node.data), [self._read(child) for child in node.children]
        if rule in METRICS:
            return {"metric": rule}
        if rule in BASELINES:
            return {"baseline": rule}
        if rule in _COMPARISONS:
            # the metric, where it stands within, comes first
            return self._merged([*said[:-1], {"comparator": _COMPARISONS[rule], "threshold": said[-1]}])
        if rule in _PERTURBATIONS:
            return {"perturbation": self._perturbation(_PERTURBATIONS[rule], float(said[0]))}
        if rule in _GAINS:
            return self._gain(rule, said)
        return getattr(self, f"_{rule}")(*said)

    # ---- who and what; each method reads the rule of its name

    def _start(self, *parts: Said) -> Said:
        return self._merged(parts)

    def _statement(self, *parts: Said) -> Said:
        return self._merged(parts)

    def _predicate(self, *parts: Said) -> Said:
        return self._merged(parts)

    def _sized(self, size: str | None = None) -> Said:
        return {} if size is None else {"model": size}

    def _checkpoint(self, uid: str) -> Said:
        return {"model": f"checkpoint:{uid}"}

    def _newest(self) -> Said:
        return {}

    def _model(self, said: Said) -> Said:
        return {"model": said["baseline"]}

    def _some_error(self) -> Said:
        raise self.unclear("Which error?", ["VRMSE", "nRMSE", "RMSE", "total error", "spectrum error", "entropy error"])

    def _some_quality(self) -> Said:
        raise self.unclear("By which measure?", _MEASURES)

    def _entropy(self) -> Said:
        return {"metric": "entropy"}

    def _never_falls(self, *parts: Said) -> Said:
        said = self._merged(parts)
        if said.pop("metric") != "entropy":
            raise self.unclear("Below which number does it never fall?", _MEASURES)
        return {**said, "metric": "second_law_violations", "comparator": "<=", "threshold": 0.0}

    def _never_lets_fall(self, metric: Said, value: float) -> Said:
        return {**metric, "comparator": ">=", "threshold": value}

    def _never_lets_rise(self, metric: Said, value: float) -> Said:
        return {**metric, "comparator": "<=", "threshold": value}

    def _conserves(self, value: float, model: Said | None = None) -> Said:
        return {**(model or {}), "metric": "closure", "comparator": "<=", "threshold": value}

    def _keeps_total(self, value: float) -> Said:
        return {"metric": "total_error", "comparator": "<=", "threshold": value}

    def _neither(self, metric: Said, value: float) -> Said:
        raise self.unclear(f"Above or below {value:g}?", [f"at least {value:g}", f"at most {value:g}"])

    def _higher_than(self, metric: Said, rival: Said) -> Said:
        return {**metric, "versus": rival["baseline"], "comparator": ">", "threshold": 0.0}

    def _lower_than(self, metric: Said, rival: Said) -> Said:
        return {**metric, "versus": rival["baseline"], "comparator": "<", "threshold": 0.0}

    def _margin(self, bound: Said | float) -> Said:
        return bound if isinstance(bound, dict) else {"comparator": ">=", "threshold": bound}

    def _gain(self, rule: str, parts: list[Said]) -> Said:
        """Better or worse than a baseline by some margin, as a difference of the metric."""
        said = {"metric": "fidelity", **self._merged(parts)}
        comparator, least = _GAINS[rule]
        if rule == "loses" and "comparator" in said:
            said["comparator"], said["threshold"] = FLIPPED[said["comparator"]], -said["threshold"]
        comparator, gain = said.get("comparator", comparator), said.get("threshold", least)
        versus, metric = said.pop("baseline"), said["metric"]
        if metric in METRICS and not METRICS[metric].higher:
            comparator, gain = FLIPPED[comparator], -gain
        return {**said, "versus": versus, "comparator": comparator, "threshold": gain + 0.0}

    def _between(self, low: float, high: float) -> Said:
        raise self.unclear(
            "Which bound first? A claim has one; test the other by itself.", [f"above {low:g}", f"below {high:g}"]
        )

    # ---- how much

    def _percent(self, number: str) -> float:
        return percent(float(number))

    def _plain(self, number: str) -> float:
        return float(number)

    # ---- where, when, whatever

    def _name(self, *words: str) -> str:
        return "_".join(words)

    def _domain(self, name: str) -> Said:
        if name in self.domains:
            return {"domain": name}
        alike = [known for known in self.domains if known.startswith(f"{name}_")]
        if len(alike) == 1:
            return {"domain": alike[0]}
        self._know_model(_plain(self.sentence))
        raise self.unclear(f"Which domain is {name!r}?", alike or self.domains)

    def _know_model(self, said: str) -> None:
        """Ask which model is meant by a word before "model" that is no size: it may have been taken for a name's."""
        strange = re.search(r"\b(?!the\b|a\b|that\b|newest\b)([a-z0-9_]+) (?:model|network|predictor)\b", said)
        if strange and strange[1] not in SIZES and not self._named(strange[1]):
            raise self.unclear(f"Which model is {strange[1]!r}?", [f"the {known} model" for known in SIZES])

    def _named(self, word: str) -> bool:
        """Whether it is a word of a domain's name."""
        return any(word == known or word in known.split("_") for known in self.domains)

    _domain_of = _domain

    def _regime(self, word: str, domain: Said | None = None) -> Said:
        if word not in REGIMES:
            raise self.unclear(f"Which regime is {word!r}?", REGIMES)
        return {"regime": word, **(domain or {})}

    def _count(self, number: str) -> int:
        steps = float(number)
        if not (steps.is_integer() and 1 <= steps <= HORIZON):
            raise self.unclear(f"How many steps, from 1 to {HORIZON}?", ["1 step", "5 steps"])
        return int(steps)

    def _steps(self, count: int) -> Said:
        return {"horizon": count, "leads": "every"}

    def _at_step(self, count: int) -> Said:
        # step 1 is the first and the last
        return {"horizon": count, "leads": "last" if count > 1 else "every"}

    def _clock(self, count: int, unit: str) -> Said:
        raise self.unclear(f"How many steps of the data are {count} {unit}?", [f"for {count} steps"])

    def _unsized(self, word: str) -> Said:
        raise self.unclear(f"How much {word}?", [_HOW_MUCH.get(word, "a shift of 3 cells")])

    def _perturbation(self, operation: str, amount: float) -> Perturbation:
        try:
            return Perturbation(operation=operation, amount=amount)
        except FieldError:
            number = "a whole number" if operation == "translation" else "a number"
            largest = LARGEST[operation]
            raise self.unclear(
                f"How strong is the perturbation: {operation} takes {number} above 0, up to {largest:g}?"
            ) from None

    # ---- all of it

    def _merged(self, parts: Iterable[Said]) -> Said:
        """What all parts say together; whoever says one thing twice is asked."""
        merged: Said = {}
        for part in parts:
            for name, value in part.items():
                if merged.setdefault(name, value) != value:
                    raise self.unclear(f"Which {name}, {merged[name]} or {value}? A claim has one.")
        return merged

    def _made(self, said: Said) -> Claim:
        metric = said.get("metric")
        if metric == "entropy":
            raise self.unclear("What of the entropy?", ["entropy error", "entropy agreement", "entropy never falls"])
        if "domain" not in said:
            raise self.unclear("On which domain?", self.domains)
        spec, needs = DOMAINS.get(said["domain"]), METRICS[said["metric"]].needs
        if spec is not None and not _has(spec.name, needs):
            lawful = [name for name in self.domains if _has(name, needs)]
            raise self.unclear(
                f"{METRICS[said['metric']].title} means nothing on {spec.name}; which domain, or which measure?", lawful
            )
        try:
            return Claim(**said)
        except FieldError:
            known = METRICS[said["metric"]]
            raise self.unclear(
                f"Which threshold? {known.title} is {known.range}, and {said['threshold']:g} leaves nothing to be seen."
            ) from None


def _plain(sentence: str) -> str:
    """Lower case, with the signs that the grammar has, number words as digits."""
    said = sentence.strip().lower().rstrip(".!")
    for sign, plain in _SPELT.items():
        said = said.replace(sign, plain)
    return re.sub(rf"\b({'|'.join(_NUMBERS)})\b", lambda word: str(_NUMBERS.index(word[0]) + 1), said)


def _has(name: str, needs: str) -> bool:
    spec = DOMAINS.get(name)
    return spec is None or (not spec.signed if needs == "energy" else needs != "second law" or spec.second_law)


def _short(sentence: str) -> str:
    return sentence if len(sentence) <= 80 else f"{sentence[:79]}…"


@lru_cache(maxsize=1)
def _parser() -> Lark:
    """Earley, since where a clause ends is known only at its end; imported here, so that others need no lark."""
    from lark import Lark

    text = files("resolvers.ace").joinpath("claims.lark").read_text(encoding="utf-8")
    return Lark(text, parser="earley", lexer="basic", ambiguity="resolve")
