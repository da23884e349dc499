"""The trail of a relaxation as a table: a row for each kept step, a column for each term and each order parameter.

An export for whoever wants columns; the graph stays the record. What was exported can be drawn again without a graph.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from graph.queries.relaxation import StepRow
from nvp.errors import FieldError

ENERGY, GRADIENT, ETA, WEIGHT = "energy:", "grad_norm:", "eta:", "alloc:"
"""What the names of the columns of terms and order parameters begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TermTrail:
    """What the terms of the energy had along a trail."""

    # step and F of each row
    index: list[int]
    energy: list[float]
    terms: list[str]
    # rows of energies and of gradient norms, in the order of the terms
    energies: list[list[float]]
    norms: list[list[float]]


def rows_of(
    run_id: str,
    steps: Sequence[StepRow],
    *,
    terms: Sequence[str],
    keys: Sequence[str],
    seconds: float | None = None,
    beside: Mapping[str, Sequence[Any]] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """The table's rows; `delta_energy` is since the row before, `redemption_gain` what it fell by.

    `seconds` is what one step took, in the mean over all: they are one compiled loop, which no clock looks into; a row
    costs as much as the steps since the one before. `beside` has further columns, a value for each step.
    """
    rows: list[dict[str, Any]] = []
    before, backtracks, violations, backoffs = None, 0, 0, 0
    for number, step in enumerate(steps):
        backtracks += step.backtracks
        refused = step.index > 0 and not step.accepted
        violations += refused
        backoffs += "BACKED_OFF" in step.events
        delta = 0.0 if before is None else step.energy - before.energy
        cost = None if seconds is None or before is None else seconds * (step.index - before.index)
        rows.append(
            {
                "run_id": run_id,
                "step": step.index,
                "energy": step.energy,
                "delta_energy": delta,
                "compute_cost": cost,
                "redemption_gain": max(-delta, 0.0),
                "redemption_rate": max(-delta, 0.0) / cost if cost else None,
                "accepted": step.accepted,
                "reason": "refused" if refused else "accepted" if step.index else "start",
                "events": " ".join(step.events),
                "violations": violations,
                "objective_version": step.objective_version,
                "gain": step.gain,
                "homotopy_scale": step.scale,
                "homotopy_backoffs": backoffs,
                "step_size": step.step,
                "last_backtracks": step.backtracks,
                "total_backtracks": backtracks,
                "noise": step.noise,
                "contraction_margin": step.margin,
                "gradient_norm": step.gradient_norm,
                "min_eta": min(step.eta),
                "mean_eta": math.fsum(step.eta) / len(step.eta),
                "max_eta": max(step.eta),
                **{f"{ENERGY}{name}": value for name, value in zip(terms, step.term_energy, strict=True)},
                **{f"{GRADIENT}{name}": value for name, value in zip(terms, step.term_norm, strict=True)},
                **{f"{WEIGHT}{name}": value for name, value in zip(terms, step.weights, strict=bool(step.weights))},
                **{name: values[number] for name, values in beside.items()},
                **{f"{ETA}{key}": value for key, value in zip(keys, step.eta, strict=True)},
            }
        )
        before = step
    return rows


def write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the rows as CSV, making the folder if need be; raises `FieldError` where that cannot be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise FieldError(
            "TABLE_UNWRITABLE",
            f"expected to write {path}, got: {error.strerror}.",
            next_step="Name a file in a folder that you may write to.",
        ) from error


def read_table(path: Path) -> TermTrail:
    """What an exported table says of the terms; raises `FieldError` for one that is none."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        terms = [name.removeprefix(ENERGY) for name in rows[0] if name.startswith(ENERGY)]
        return TermTrail(
            index=[int(row["step"]) for row in rows],
            energy=[float(row["energy"]) for row in rows],
            terms=terms,
            energies=[[float(row[f"{ENERGY}{name}"]) for name in terms] for row in rows],
            norms=[[float(row[f"{GRADIENT}{name}"]) for name in terms] for row in rows],
        )
    except (OSError, LookupError, ValueError, TypeError, csv.Error) as error:
        wrong = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise FieldError(
            "BAD_TABLE",
            f"expected {path} as `fieldgraph coord export` writes it, got: {wrong}.",
            next_step=f"Write it by `fieldgraph coord export RUN --csv {path}`.",
        ) from error


def terms_of(steps: Sequence[StepRow], terms: Sequence[str]) -> TermTrail:
    """The same from the graph."""
    return TermTrail(
        index=[step.index for step in steps],
        energy=[step.energy for step in steps],
        terms=list(terms),
        energies=[step.term_energy for step in steps],
        norms=[step.term_norm for step in steps],
    )
