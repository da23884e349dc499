"""Windows of a rollout's steps in The Well's notation: counted from 0 and half-open, so that 6:12 are the leads 7 … 12.

No JAX here, so that the API can check one.
"""

from __future__ import annotations

from nvp.errors import FieldError

WELL_WINDOWS = ((6, 12), (13, 30))


def window_of(text: str) -> tuple[int, int]:
    """(6, 12) out of "6:12"; raises `FieldError`."""
    first, colon, last = text.partition(":")
    if not (colon and first.isdecimal() and last.isdecimal() and int(first) < int(last)):
        raise FieldError(
            "BAD_WINDOW",
            f"expected a window of steps such as 6:12 (leads 7 … 12), got {text!r}.",
            next_step="Count steps from 0, the second number not included.",
        )
    return int(first), int(last)
