"""Who meets whom: the pair couplings of each module, and classes of couplings that share no module.

Only sequential solvers need these tables. They depend on the ends of the couplings alone, never on the state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from nvp.coordinator.problem import Leaf, Problem, bucket


@jax.tree_util.register_dataclass
@dataclass(frozen=True, slots=True)
class Layout:
    """Indices of pair couplings; the number of pairs where a place is empty."""

    # (n, d): the couplings of a module, in whichever direction
    incident: Leaf
    # (c, k): couplings of one colour have no end in common, so that their order does not matter
    colours: Leaf


def incidence(problem: Problem) -> Any:
    """(n, d) table of the couplings of each module, d a power of two."""
    ends, real = _ends(problem)
    of: list[list[int]] = [[] for _ in range(problem.size)]
    for edge in real:
        for end in ends[edge]:
            of[end].append(edge)
    return _padded(of, len(ends), bucket(max(map(len, of))))


def edge_colours(problem: Problem) -> Any:
    """(c, k) table of a greedy edge colouring: each coupling takes the first colour free at both of its ends."""
    ends, real = _ends(problem)
    used = [0] * problem.size
    classes: list[list[int]] = []
    for edge in real:
        i, j = ends[edge]
        free = ~(used[i] | used[j])
        colour = (free & -free).bit_length() - 1
        used[i] |= 1 << colour
        used[j] |= 1 << colour
        if colour == len(classes):
            classes.append([])
        classes[colour].append(edge)
    return _padded(classes, len(ends), bucket(max(map(len, classes), default=0)))


def _ends(problem: Problem) -> tuple[list[tuple[int, int]], list[int]]:
    """Both ends of every coupling, and which of them are no padding."""
    i, j = np.asarray(problem.pairs.i).tolist(), np.asarray(problem.pairs.j).tolist()
    ends = list(zip(i, j, strict=True))
    return ends, [edge for edge, (a, b) in enumerate(ends) if a != b]


def _padded(lists: list[list[int]], empty: int, width: int) -> np.ndarray:
    table = np.full((len(lists), width), empty, np.int32)
    for row, entries in zip(table, lists, strict=True):
        row[: len(entries)] = entries
    return table
