"""Numbers on their way into the graph: what is not finite is absent, for JSON and analysts alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def finite(value: Any) -> Any:
    """The value with every NaN and infinity in it replaced by None."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case Mapping():
            return {key: finite(item) for key, item in value.items()}
        case list() | tuple():
            return [finite(item) for item in value]
        case _:
            return value
