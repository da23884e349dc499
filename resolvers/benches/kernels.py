"""The dearest kernels of a compiled program: their time, their work, and how near they come to the roofline.

A kernel is an instruction of the program as XLA has optimised it: a fusion, a convolution, a call of a library. Its
time is what the profiler saw; its operations and bytes are XLA's cost analysis of a program of that instruction alone.
By the roofline it takes at least

    max(operations / promised operations per second, bytes / promised bytes per second)

and the share of that time in the measured one is what it reaches. Bytes are counted as if every operand came from
memory: a kernel whose operands lie in a cache may reach more than 1.

Reference: Williams, Waterman & Patterson, Roofline, Comm. ACM 52 (2009).
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nvp.model.config import Compute
from resolvers.benches.costs import Peak
from resolvers.benches.hlo_cost import Cost, costs_of

# "%name = type opcode(operands), attributes"; the type of several results stands in parentheses
_INSTRUCTION = re.compile(
    r"^\s*(?:ROOT )?%(?P<name>\S+) = (?P<type>\(.*?\)|\S+) (?P<opcode>[\w-]+)\((?P<operands>[^)]*)\)(?P<rest>.*)$"
)
_COMPUTATION = re.compile(r"^(?:ENTRY )?%(?P<name>\S+) \(.*\{$")
_CALLED = re.compile(r"(?:calls|to_apply|condition|body)=%([\w.\-]+)")
_SOURCE = re.compile(r'op_name="([^"]*)"')
# what points into parts of the text that are left out
_ASIDE = re.compile(r",? ?(?:metadata|backend_config|frontend_attributes)=\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}")
# a convolution by cuDNN: of the three arrays x, kernel and y, the call is given two and returns the third
_CUDNN = re.compile(r"__cudnn\$conv(Forward|BackwardInput|BackwardFilter|BiasActivationForward)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One line of a program."""

    name: str
    type: str
    opcode: str
    operands: tuple[str, ...]
    rest: str

    @property
    def source(self) -> str | None:
        """The primitive of JAX that it comes from."""
        found = _SOURCE.search(self.rest)
        return None if found is None else found[1].rsplit("/", 1)[-1]


class Program:
    """The text of a compiled program, and what its instructions cost."""

    def __init__(self, text: str) -> None:
        self._computations: dict[str, list[str]] = {}
        self._instructions: dict[str, Instruction] = {}
        lines: list[str] | None = None
        for line in text.splitlines():
            if opening := _COMPUTATION.match(line):
                lines = self._computations[opening["name"]] = [line]
            elif lines is not None:
                lines.append(_ASIDE.sub("", line))
                if line == "}":
                    lines = None
                elif found := _INSTRUCTION.match(line):
                    operands = tuple(re.findall(r"%([\w.\-]+)", found["operands"]))
                    one = Instruction(
                        name=found["name"],
                        type=found["type"],
                        opcode=found["opcode"],
                        operands=operands,
                        rest=found["rest"],
                    )
                    self._instructions[one.name] = one

    def __contains__(self, name: str) -> bool:
        return name in self._instructions

    def __getitem__(self, name: str) -> Instruction:
        return self._instructions[name]

    def alone(self, name: str) -> str:
        """The text of a program of this instruction alone, whose operands are its parameters."""
        one = self[name]
        types = [self[operand].type for operand in one.operands]
        result, opcode, rest = one.type, one.opcode, _ASIDE.sub("", one.rest)
        if direction := _CUDNN.search(rest):
            types, result = _convolution(direction[1], types, result)
            # all three directions cost what the forward one costs
            opcode = "convolution"
            rest = "".join(re.findall(r", (?:window|dim_labels|feature_group_count)=[^,]*", rest))
        called = self._called(one.rest)
        parts = [line for other in called for line in (*self._computations[other], "")]
        parameters = [f"  %p{number} = {kind} parameter({number})" for number, kind in enumerate(types)]
        given = ", ".join(f"%p{number}" for number in range(len(types)))
        header = ", ".join(f"p{number}: {kind}" for number, kind in enumerate(types))
        body = f"  ROOT %result = {result} {opcode}({given}){rest}"
        return "\n".join(
            ["HloModule alone", "", *parts, f"ENTRY %main ({header}) -> {result} {{", *parameters, body, "}", ""]
        )

    def _called(self, rest: str) -> list[str]:
        """Computations that an instruction calls, those that they call before them."""
        found: list[str] = []
        for name in _CALLED.findall(rest):
            for line in self._computations[name][1:]:
                found += [other for other in self._called(line) if other not in found]
            if name not in found:
                found.append(name)
        return found


def _convolution(direction: str, given: list[str], result: str) -> tuple[list[str], str]:
    """Types of x, kernel and y, out of what a call of cuDNN is given and what it returns beside its workspace."""
    found = re.match(r"\(?(\w+\[[^\]]*\](?:\{[^}]*\})?)", result)
    returned = result if found is None else found[1]
    match direction:
        case "BackwardInput":
            y, kernel, x = given[0], given[1], returned
        case "BackwardFilter":
            x, y, kernel = given[0], given[1], returned
        case _:
            x, kernel, y = given[0], given[1], returned
    return [x, kernel], y


def dearest(
    compiled: Any, call: Callable[[], Any], *, calls: int, compute: Compute, promised: Peak | None, most: int = 5
) -> dict[str, Any] | None:
    """The kernels that take most of the time of `call`, a run of the compiled program; None where nothing was seen."""
    program = Program(compiled.as_text())
    seconds, runs = _profiled(call, calls, program)
    if not seconds:
        return None
    whole = sum(seconds.values())
    names = sorted(seconds, key=lambda name: -seconds[name])[:most]
    rows = []
    for name, cost in zip(names, costs_of([program.alone(name) for name in names]), strict=True):
        took = seconds[name] / runs[name]
        rows.append(
            {
                "kernel": name,
                "kind": program[name].opcode,
                "from": program[name].source,
                "share": round(seconds[name] / whole, 4),
                "runs": round(runs[name] / calls, 2),
                "microseconds": round(1e6 * took, 2),
                **({} if cost is None else _reached(cost, took, compute, promised)),
            }
        )
    return {"kernels": len(seconds), "microseconds": round(1e6 * whole / calls, 1), "dearest": rows}


def _reached(cost: Cost, seconds: float, compute: Compute, promised: Peak | None) -> dict[str, Any]:
    """Work, speed and the share of the roofline."""
    least = None if promised is None else (cost.flops / promised.flops[compute], cost.bytes / promised.bandwidth)
    return {
        "gflop": round(cost.flops / 1e9, 6),
        "mib": round(cost.bytes / 2**20, 4),
        "flop_per_byte": round(cost.flops / cost.bytes, 3) if cost.bytes else None,
        "tflop_per_second": round(cost.flops / seconds / 1e12, 4),
        "gib_per_second": round(cost.bytes / seconds / 2**30, 2),
        "bound": None if least is None else "compute" if least[0] > least[1] else "memory",
        "roofline": None if least is None else round(max(least) / seconds, 4),
    }


def _profiled(call: Callable[[], Any], calls: int, program: Program) -> tuple[dict[str, float], Counter[str]]:
    """Seconds that the instructions of the program took in so many calls, and how often each ran."""
    import jax

    seconds: dict[str, float] = defaultdict(float)
    runs: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="fieldgraph-profile-") as folder:
        with jax.profiler.trace(folder):
            for _ in range(calls):
                jax.block_until_ready(call())  # type: ignore[no-untyped-call]
        (path,) = Path(folder).rglob("*.xplane.pb")
        for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
            for line in plane.lines:
                # a device's other lines sum up what its streams say
                if plane.name.startswith("/device:") and not line.name.startswith("Stream"):
                    continue
                for event in line.events:
                    name = dict(event.stats).get("hlo_op")
                    if isinstance(name, str) and name in program:
                        seconds[name] += event.duration_ns / 1e9
                        runs[name] += 1
    return dict(seconds), runs
