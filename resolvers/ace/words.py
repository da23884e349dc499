"""Words: so many of something, in plain English."""

from __future__ import annotations

_PLURALS = {"hypothesis": "hypotheses"}


def counted(n: int, what: str) -> str:
    """`1 sequence`, `8 sequences`, `0 hypotheses`: `what` is the singular, its last word is what there is one of."""
    if n == 1:
        return f"1 {what}"
    *before, noun = what.split(" ")
    return " ".join([str(n), *before, _PLURALS.get(noun, f"{noun}s")])
