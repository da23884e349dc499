"""`fieldgraph runs compare`: two runs side by side."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from resolvers.cli.follow import opened
from resolvers.cli.output import JsonOption, emit, run
from resolvers.services.comparing import compared

WIDTH = 28


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A run.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The run that it is compared with.")],
    as_json: JsonOption = False,
) -> None:
    """Show what two runs were asked differently, and what came of it.

    Energy is compared only where it is known in the same way of both.

    Example: fieldgraph runs compare 019aa5f2-7c1e-7b52-9d0e-1f7a4c2b8e11 019aa5f3-0b2c-7d1a-8c4f-6a5e3d2c1b0a
    """
    found = run(_compared(first, second))
    emit(found, as_json=as_json, text=_text(found))


async def _compared(first: str, second: str) -> dict[str, Any]:
    async with opened() as services:
        return await compared(services.gateway, first, second)


def _text(found: dict[str, Any]) -> str:
    one, other = found["runs"]
    lines = [_line(name, one[name], other[name]) for name in one if one[name] is not None or other[name] is not None]
    lines += [_line(name, *values) for name, values in found["parameters"].items() if name not in one]
    lines.append(f"{found['same_parameters']} more parameters are the same")
    for name, metric in found["metrics"].items():
        change = "" if metric["difference"] is None else f"  {metric['difference']:+.4g}"
        lines.append(_line(name, *metric["values"]) + change)
    energy = found["energy"]
    if energy["comparable"]:
        ratio = "" if energy["ratio"] is None else f", a factor of {energy['ratio']:.3g}"
        lines.append(f"energy: {energy['difference']:+.4g} J{ratio} ({energy['why']})")
    else:
        lines.append(f"energy: no comparison ({energy['why']})")
    return "\n".join(lines)


def _line(name: str, one: Any, other: Any) -> str:
    """A name with its two values; those that differ are marked."""
    mark = " " if one == other else "≠"
    return f"{mark} {name:{WIDTH}} {_shown(one):{WIDTH}} {_shown(other)}"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = "–" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
