"""Canonical JSON as RFC 8785 has it, so that anybody's tools get the same bytes of a certificate, hence the same hash.

Keys are sorted by their UTF-16 code units, numbers are written as ECMAScript does, nothing is blank.
`graph.identity.canonical_json` is near it but writes small and large numbers as Python does; the uids of content rest
on that, and nobody else has to make them.
Reference: Rundgren, Jordan & Erdtman, RFC 8785, JSON Canonicalization Scheme (2020); ECMA-262, Number::toString.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

EXACT = 2**53 - 1
"""Beyond it whole numbers are not the same to all readers of JSON."""


def canonical(value: Any) -> bytes:
    """The canonical bytes; ValueError for a number that JSON cannot carry, TypeError for what is no JSON."""
    return _text(value).encode()


def parsed(text: str | bytes) -> Any:
    """What JSON text says, read strictly: ValueError where a key comes twice, a number is none, or it is no JSON."""
    try:
        return json.loads(text, object_pairs_hook=_once, parse_int=_whole, parse_constant=_refused)
    except RecursionError:
        raise ValueError("expected a JSON value, got one too deep to read.") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"expected each key once, got {[key for key, _ in pairs]}.")
    return found


def _whole(text: str) -> int | float:
    # beyond, the text is that of the nearest float
    return int(text) if len(text) < 20 and abs(int(text)) <= EXACT else float(text)


def _refused(text: str) -> Any:
    raise ValueError(f"expected a finite number, got {text}.")


def _text(value: Any) -> str:
    match value:
        case None | bool() | str():
            return json.dumps(value, ensure_ascii=False)
        case int():
            if abs(value) > EXACT:
                raise ValueError(f"expected whole numbers up to 2^53 − 1, got {value}.")
            return str(value)
        case float():
            return _number(value)
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise TypeError(f"expected text as keys of a JSON object, got {sorted(map(repr, value))}.")
            keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
            return "{" + ",".join(f"{_text(key)}:{_text(value[key])}" for key in keys) + "}"
        case list() | tuple():
            return "[" + ",".join(_text(item) for item in value) + "]"
    raise TypeError(f"expected a JSON value, got {type(value).__name__}.")


def _number(value: float) -> str:
    """The shortest digits that read back as `value`: Python's own, laid out as ECMAScript does."""
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, got {value}.")
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text, minus = "".join(map(str, digits)), "-" * sign
    count = len(text)
    # value = 0.text · 10^point
    point = count + int(exponent)
    if count <= point <= 21:
        return minus + text + "0" * (point - count)
    if 0 < point <= 21:
        return f"{minus}{text[:point]}.{text[point:]}"
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{text}"
    fraction = f".{text[1:]}" if count > 1 else ""
    return f"{minus}{text[0]}{fraction}e{point - 1:+d}"
