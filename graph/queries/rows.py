"""From the driver's values to Python's: what every query module does to its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from neo4j.time import DateTime


def native(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with Neo4j's times as `datetime` (UTC offset kept); all else unchanged."""
    return {name: value.to_native() if isinstance(value, DateTime) else value for name, value in row.items()}


def parsed(text: str | None) -> dict[str, Any]:
    """The object in a `…_json` property; {} where there is none."""
    value = json.loads(text) if text else {}
    if not isinstance(value, dict):
        raise TypeError(f"expected a JSON object, got {text!r}.")
    return value
