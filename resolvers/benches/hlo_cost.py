"""XLA's cost analysis of programs given as text, in a process of its own: XLA ends a process whose program it does not
understand.

Run as `python -m resolvers.benches.hlo_cost`, it reads a JSON list of texts and prints a line for each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one run of a program."""

    flops: float
    # read and written
    bytes: float


def costs_of(texts: Sequence[str]) -> list[Cost | None]:
    """The cost of each program; None for one that XLA does not understand."""
    found: list[Cost | None] = []
    while len(found) < len(texts):
        ran = subprocess.run(
            [sys.executable, "-m", "resolvers.benches.hlo_cost"],
            input=json.dumps(texts[len(found) :]),
            env={**os.environ, "JAX_PLATFORMS": "cpu"},
            capture_output=True,
            text=True,
            check=False,
        )
        found += [Cost(**json.loads(line)) for line in ran.stdout.splitlines()]
        if len(found) < len(texts):
            found.append(None)
    return found


def _main() -> None:
    import jax

    # no public name leads there
    hlo, core = (import_module(f"jaxlib.{name}") for name in ("_hlo", "_jax"))
    client = jax.devices()[0].client
    for text in json.load(sys.stdin):
        found = core.hlo_module_cost_analysis(client, hlo.hlo_module_from_text(text))
        cost = {"flops": max(0.0, found.get("flops", 0.0)), "bytes": found.get("bytes accessed", 0.0)}
        print(json.dumps(cost), flush=True)


if __name__ == "__main__":
    _main()
