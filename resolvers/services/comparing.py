"""Two runs side by side: what was asked of each that differs, what came of it, by what and at what expense.

Numbers of a kind (the fidelity of predictions, …) are means over a run's outputs, with how many there are. Energy is
compared only where both runs know it of every attempt, from the same source: a measured joule says nothing about an
estimated one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import Any

from graph.gateway import Gateway
from graph.queries.provenance import Provenance, provenance

METRICS: Mapping[str, tuple[str, ...]] = {
    "Checkpoint": ("val_fidelity",),
    "Evaluation": ("fidelity", "vrmse", "persistence", "n"),
    "Prediction": ("fidelity", "vrmse", "persistence"),
    "Model": ("parameter_count",),
    "Sequence": ("length",),
}
"""By label of an output: the numbers that are compared."""
ACCOUNT = (
    *("uid", "kind", "state", "device", "code_version", "attempt", "seconds"),
    *("energy_joules", "energy_source", "unmetered"),
)


async def compared(gateway: Gateway, first: str, second: str) -> dict[str, Any]:
    """The comparison of two runs by uid; raises NotFound."""
    return compare(await provenance(gateway, first), await provenance(gateway, second))


def compare(a: Provenance, b: Provenance) -> dict[str, Any]:
    """`{runs, parameters, same_parameters, metrics, energy}`; differences are the second's less the first's."""
    asked, also = dict(_flat(_asked(a))), dict(_flat(_asked(b)))
    names = sorted(asked.keys() | also.keys())
    differ = {name: [asked.get(name), also.get(name)] for name in names if asked.get(name) != also.get(name)}
    return {
        "runs": [{name: getattr(known.run, name) for name in ACCOUNT} for known in (a, b)],
        "parameters": differ,
        "same_parameters": len(names) - len(differ),
        "metrics": _metrics(a, b),
        "energy": _energy(a, b),
    }


def _asked(known: Provenance) -> dict[str, Any]:
    """All that a run was asked for: its configuration, seed, inputs and code."""
    inputs: dict[str, list[str]] = defaultdict(list)
    for thing in known.inputs:
        inputs[thing.role].append(thing.sha256)
    run = known.run
    return {
        "kind": run.kind,
        "config": run.config,
        "rng_seed": run.rng_seed,
        "code_version": run.code_version,
        "inputs": {role: sorted(found) for role, found in inputs.items()},
    }


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested objects by dotted name; a list is one value."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _metrics(a: Provenance, b: Provenance) -> dict[str, dict[str, Any]]:
    first, second = _numbers(a), _numbers(b)
    found: dict[str, dict[str, Any]] = {}
    for name in sorted(first.keys() | second.keys()):
        values = [fmean(numbers[name]) if numbers.get(name) else None for numbers in (first, second)]
        one, other = values
        found[name] = {
            "values": values,
            "n": [len(numbers.get(name, [])) for numbers in (first, second)],
            "difference": None if one is None or other is None else other - one,
        }
    return found


def _numbers(known: Provenance) -> dict[str, list[float]]:
    """Of a training's checkpoints the one counts that validated best."""
    best = {thing.properties.get("best_checkpoint") for thing in known.outputs if thing.label == "Model"} - {None}
    found: dict[str, list[float]] = defaultdict(list)
    for thing in known.outputs:
        if thing.label == "Checkpoint" and best and thing.uid not in best:
            continue
        for name in METRICS.get(thing.label, ()):
            value = thing.properties.get(name)
            if value is not None:
                found[f"{thing.label.lower()} {name}"].append(float(value))
    return found


def _energy(a: Provenance, b: Provenance) -> dict[str, Any]:
    one, other = a.run, b.run
    if one.energy_joules is None or other.energy_joules is None:
        return {"comparable": False, "why": "not known of both", "difference": None, "ratio": None}
    if lost := [run for run in (one, other) if run.unmetered]:
        why = " and ".join(f"unknown of {run.unmetered} of the attempts of {run.uid}" for run in lost)
        return {"comparable": False, "why": why, "difference": None, "ratio": None}
    if one.energy_source != other.energy_source:
        why = f"{one.energy_source} beside {other.energy_source}"
        return {"comparable": False, "why": why, "difference": None, "ratio": None}
    ratio = other.energy_joules / one.energy_joules if one.energy_joules > 0 else None
    difference = other.energy_joules - one.energy_joules
    return {"comparable": True, "why": one.energy_source, "difference": difference, "ratio": ratio}
