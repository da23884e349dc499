"""Hypotheses as order parameters: what evidence says of each, and what they say of each other.

η is how far a statement is held. Its well comes from counted evidence: with s for and r against, n = s + r,

    F(η) = n·(η − t)²,    t = (s + 1)/(n + 2)

t is the mean of the posterior under a uniform prior (Laplace's rule of succession), and a weight of w elsewhere in the
graph pulls as hard as w pieces of evidence. What statements say of each other is drawn in words:

| A —word→ B | couples | and means |
|---|---|---|
| supports | asymmetric hinge on β·η_A − η_B, `scale` = β | where A is held, B is at least β times as much |
| entails | directed hinge on η_A − η_B | B is held no less than A |
| contradicts | hinge on η_A + η_B − 1 | both cannot be held |
| redeems | [(1 − η_A)² − margin]₊ | A is later evidence for B: B's loss counts until A is held |

Where all pulls settle is a coherent state, not a probability. Reference: Thagard, "Explanatory coherence" (1989), the
idea of coherence as the relaxation of constraints among statements. No JAX.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nvp.coordinator.coupling_graph import LARGEST, is_number, shown
from nvp.coordinator.kinds import COUPLINGS
from nvp.errors import FieldError

EVIDENCE = ("supporting", "refuting")
"""Counts, or sums of weights, that may stand in place of a hypothesis' `a` and `target`."""

# word → kind, whether the coupling runs from B to A, and parameters by another name
WORDS: Mapping[str, tuple[str, bool, Mapping[str, str]]] = {
    "supports": ("asymmetric_hinge", True, {"scale": "beta"}),
    "entails": ("directed_hinge", True, {}),
    "contradicts": ("sum_hinge", False, {}),
    "redeems": ("redemption", True, {}),
}


def informed(module: Mapping[str, Any]) -> dict[str, Any]:
    """The module with its counts of evidence, where it has any, as a well."""
    params = dict(module["params"])
    counts = {name: params.pop(name) for name in EVIDENCE if name in params}
    if module["kind"] != "hypothesis" or not counts:
        return dict(module)
    if given := sorted({"a", "target"} & set(params)):
        raise FieldError(
            "BAD_PARAMETER",
            f"expected either counts of evidence or a and target, got both ({', '.join(given)}) of {module['key']!r}.",
            next_step="Leave one of them out.",
        )
    for name, value in counts.items():
        if not is_number(value) or value < 0:
            raise FieldError(
                "BAD_PARAMETER",
                f"expected {name} from 0 to {LARGEST:g}, got {shown(value)} of {module['key']!r}.",
                next_step="Count the evidence.",
            )
    return {**module, "params": {**params, **well(*(float(counts.get(name, 0)) for name in EVIDENCE))}}


def well(supporting: float, refuting: float) -> dict[str, float]:
    """`a` and `target` of a hypothesis from its evidence."""
    count = supporting + refuting
    return {"a": count, "target": (supporting + 1) / (count + 2)}


def spelled(coupling: Mapping[str, Any]) -> dict[str, Any]:
    """The coupling with a word as its kind by what the word couples; weighed and accounted under the word."""
    word = coupling["kind"]
    if word not in WORDS:
        return dict(coupling)
    kind, turned, names = WORDS[word]
    known = {"weight", *names} | ({"margin"} if "margin" in COUPLINGS[kind] else set())
    if unknown := sorted(set(coupling["params"]) - known):
        raise FieldError(
            "BAD_PARAMETER",
            f"expected parameters out of {', '.join(sorted(known))}, got {', '.join(unknown)} of {word!r}.",
            next_step="Correct the name.",
        )
    ends = (coupling["to"], coupling["from"]) if turned else (coupling["from"], coupling["to"])
    return {
        **coupling,
        "kind": kind,
        "from": ends[0],
        "to": ends[1],
        "params": {names.get(name, name): value for name, value in coupling["params"].items()},
        "term": coupling.get("term") or f"coup:{word}",
    }
