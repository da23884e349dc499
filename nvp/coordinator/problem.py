"""A coupling graph as arrays: one record per family of terms, padded to powers of two so that few shapes are compiled.

Every shipped local energy is a well a(η − t)² + b(η − t)⁴ − hη or a polynomial; every pair coupling is the square of a
linear form, w·φ(pη_i + qη_j − m)² with φ(u) = u or max(0, u). Padding has weight 0 and points at module 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.kinds import COUPLINGS, MODULES
from nvp.coordinator.polynomials import curvature_bound, on_unit_interval, to_monomials

# an array: NumPy's on the host, JAX's in compiled code, with one axis more in a batch
if TYPE_CHECKING:
    Leaf = jax.Array
else:
    Leaf = Any

LEAST = 8
"""Modules of the smallest bucket."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, slots=True)
class Wells:
    """a(η − t)² + b(η − t)⁴ − hη, one for each module; axes (n,)."""

    a: Leaf
    b: Leaf
    h: Leaf
    target: Leaf
    term: Leaf


@jax.tree_util.register_dataclass
@dataclass(frozen=True, slots=True)
class Polynomials:
    """w·Σ_k c_k η_i^k; axes (p,), coefficients (p, degree + 1), `bend` = max |second derivative| on [0, 1]."""

    i: Leaf
    coefficients: Leaf
    bend: Leaf
    w: Leaf
    term: Leaf


@jax.tree_util.register_dataclass
@dataclass(frozen=True, slots=True)
class Pairs:
    """w·φ(pη_i + qη_j − m)², φ(u) = u where two-sided, else max(0, u); axes (e,)."""

    i: Leaf
    j: Leaf
    p: Leaf
    q: Leaf
    m: Leaf
    two_sided: Leaf
    w: Leaf
    term: Leaf


@jax.tree_util.register_dataclass
@dataclass(frozen=True, slots=True)
class Gates:
    """−w·s(Δ)·Δ·η_i^power; axes (g,)."""

    i: Leaf
    delta: Leaf
    positive: Leaf
    negative: Leaf
    power: Leaf
    w: Leaf
    term: Leaf


@jax.tree_util.register_dataclass
@dataclass(frozen=True, slots=True)
class Redemptions:
    """w·[(target − scale·η_j − offset)² − margin]₊; axes (r,)."""

    j: Leaf
    target: Leaf
    scale: Leaf
    offset: Leaf
    margin: Leaf
    w: Leaf
    term: Leaf


@jax.tree_util.register_dataclass
@dataclass(frozen=True, slots=True)
class Problem:
    """All terms of F. `gates` are linear in η, `powers` are not; one weight per term.

    `mask` is 1 for modules that may move, 0 for others and for padding; `shares` are what a homotopy begins with of
    each term's weight.
    """

    wells: Wells
    polynomials: Polynomials
    pairs: Pairs
    gates: Gates
    powers: Gates
    redemptions: Redemptions
    delta: Leaf
    weights: Leaf
    shares: Leaf
    mask: Leaf
    # γ·N
    price: Leaf

    @property
    def size(self) -> int:
        """Modules, with padding."""
        return int(self.mask.shape[-1])


def bucket(count: int, least: int = 1) -> int:
    """The smallest power of two that holds `count`; 0 for none."""
    return max(least, 1 << (count - 1).bit_length()) if count else 0


def build(graph: CouplingGraph) -> Problem:
    """The arrays of a graph, in float64 on the host; the same graph gives the same arrays."""
    terms = {name: number for number, name in enumerate(graph.terms)}
    deltas = {name: number for number, name in enumerate(graph.deltas)}
    size = bucket(len(graph.modules), LEAST)
    wells = [(*_well(module), terms[module.term_id]) for module in graph.modules]
    rows: dict[str, list[tuple[Any, ...]]] = {"pairs": [], "gates": [], "powers": [], "redemptions": []}
    for coupling in graph.couplings:
        family, row = _coupling(coupling, deltas)
        rows[family].append((*row, terms[coupling.term_id]))
    delta: Any = np.array([*graph.deltas.values(), 0.0])  # the last: nobody measured it
    weights: Any = np.array([graph.weights.get(name, 1.0) for name in terms])
    mask: Any = np.pad(np.ones(len(graph.modules)), (0, size - len(graph.modules)))
    price: Any = np.float64(graph.gamma * len(graph.modules))
    return Problem(
        wells=_table(Wells, wells, size),
        polynomials=_polynomials(graph, terms),
        pairs=_table(Pairs, rows["pairs"]),
        gates=_table(Gates, rows["gates"]),
        powers=_table(Gates, rows["powers"]),
        redemptions=_table(Redemptions, rows["redemptions"]),
        delta=delta,
        weights=weights,
        shares=np.ones_like(weights),
        mask=mask,
        price=price,
    )


_INTEGER = {"i", "j", "term", "delta"}
_BOOLEAN = {"two_sided"}


def _table(family: Any, rows: list[tuple[Any, ...]], size: int | None = None) -> Any:
    """Columns of a family, padded with zeros."""
    names = [each.name for each in fields(family)]
    length = bucket(len(rows)) if size is None else size
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    arrays = []
    for name, column in zip(names, columns, strict=True):
        kind = np.int32 if name in _INTEGER else np.bool_ if name in _BOOLEAN else np.float64
        array: np.ndarray = np.zeros(length, kind)
        array[: len(column)] = column
        arrays.append(array)
    return family(*arrays)


def _well(module: Module) -> tuple[float, float, float, float]:
    """a, b, h and target of a module; all 0 for a polynomial."""
    given = {**MODULES[module.kind], **module.params}
    match module.kind:
        case "landau":
            return given["a"], given["b"], given["h"], 0.0
        case "gating":
            return given["a"], given["b"], given["net"], 0.0
        case "compression":
            return given["a"], given["b"], 0.0, given["target"]
        case "hypothesis":
            return given["a"], 0.0, 0.0, given["target"]
        case "polynomial":
            return 0.0, 0.0, 0.0, 0.0
        case _:
            return given["alpha"], given["beta"], 0.0, 1.0


def _polynomials(graph: CouplingGraph, terms: Mapping[str, int]) -> Polynomials:
    rows, powers = [], []
    for number, module in enumerate(graph.modules):
        if module.kind != "polynomial":
            continue
        given = {**MODULES[module.kind], **module.params}
        in_eta = on_unit_interval(to_monomials(given["coefficients"], given["basis"]), normalized=given["normalized"])
        rows.append((number, 0.0, curvature_bound(in_eta), 1.0, terms[module.term_id]))
        powers.append(in_eta)
    table: Polynomials = _table(Polynomials, rows)
    coefficients: Any = np.zeros((bucket(len(rows)), bucket(max(map(len, powers), default=0))))
    for row, in_eta in zip(coefficients, powers, strict=False):
        row[: len(in_eta)] = in_eta
    return Polynomials(table.i, coefficients, table.bend, table.w, table.term)


def _coupling(coupling: Coupling, deltas: Mapping[str, int]) -> tuple[str, tuple[Any, ...]]:
    """Family and row of a coupling."""
    given = {**COUPLINGS[coupling.kind], **coupling.params}
    i, j, w = coupling.i, coupling.j, given["weight"]
    match coupling.kind:
        case "quadratic":
            return "pairs", (i, j, 1.0, -1.0, 0.0, True, w)
        case "directed_hinge":
            return "pairs", (i, j, -1.0, 1.0, 0.0, False, w)
        case "asymmetric_hinge":
            return "pairs", (i, j, -given["alpha"], given["beta"], 0.0, False, w)
        case "sum_hinge":
            return "pairs", (i, j, 1.0, 1.0, given["margin"], False, w)
        case "redemption":
            return "redemptions", (j, given["target"], given["scale"], given["offset"], given["margin"], w)
        case _:
            power = given.get("power", 1.0)
            sides = given.get("positive", 1.0), given.get("negative", 1.0)
            damped = w * given.get("damping", 1.0)
            row = (i, deltas.get(coupling.delta, len(deltas)), *sides, power, damped)
            return ("gates" if power == 1 else "powers"), row
