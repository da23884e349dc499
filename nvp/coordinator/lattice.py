"""A square lattice whose bonds appear one after the other, and the edges that may be added to it.

Bond percolation: each bond has a uniform draw and is kept at probability p where its draw is below p. In the order of
the draws the lattice only grows, so that the p at which its largest component reaches a given share of the nodes is a
number of each lattice, found exactly by bisection over the bonds.

Newman & Ziff, "Fast Monte Carlo algorithm for site or bond percolation", Phys. Rev. E 64 (2001); shortcuts: Newman &
Watts, "Scaling and percolation in the small-world network model", Phys. Rev. E 60 (1999).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from nvp.coordinator.measures import connectivity

Edges = Int[np.ndarray, "e 2"]
Extra = Callable[["Lattice", int], Edges]
"""The edges that are added where so many bonds are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """The bonds of an n × n lattice in the order in which they appear, and long shortcuts in a random order."""

    nodes: int
    # p at which each bond appears, rising
    draws: Float[np.ndarray, "e"]
    bonds: Edges
    # pairs of different nodes that are no bonds, none of them twice
    shortcuts: Edges

    def kept(self, p: float) -> int:
        """How many bonds there are at p."""
        return int(np.searchsorted(self.draws, p))


def lattice(size: int, rng: np.random.Generator) -> Lattice:
    """A random order of the bonds of a size × size lattice, and as many shortcuts where there is room."""
    if size < 2:
        raise ValueError(f"expected a lattice of at least 2 × 2 nodes, got {size}")
    number = np.arange(size * size).reshape(size, size)
    across = np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], axis=1)
    down = np.stack([number[:-1].ravel(), number[1:].ravel()], axis=1)
    bonds = np.concatenate([across, down])
    draws = rng.random(len(bonds))
    order = np.argsort(draws, kind="stable")
    return Lattice(nodes=size * size, draws=draws[order], bonds=bonds[order], shortcuts=_shortcuts(size, bonds, rng))


def nothing(lattice: Lattice, kept: int) -> Edges:
    """No edges."""
    return np.zeros((0, 2), np.int64)


def long_shortcuts(share: float) -> Extra:
    """⌊share·kept⌋ pairs of nodes anywhere."""
    return lambda lattice, kept: lattice.shortcuts[: int(share * kept)]


def local_bonds(share: float) -> Extra:
    """As many bonds of the lattice that are not kept yet: the control that has the same number of edges."""

    def extra(lattice: Lattice, kept: int) -> Edges:
        # the last of a random order are as random as any
        return lattice.bonds[max(kept, len(lattice.bonds) - int(share * kept)) :]

    return extra


def coherence(lattice: Lattice, kept: int, extra: Extra) -> float:
    """η: share of the nodes in the largest component."""
    return connectivity(lattice.nodes, np.concatenate([lattice.bonds[:kept], extra(lattice, kept)]))


def critical(lattice: Lattice, threshold: float, extra: Extra) -> float:
    """The p at which η reaches the threshold; 1 where it never does."""
    low, high = 0, len(lattice.bonds)  # η(high) ≥ threshold as all bonds together connect everything
    if coherence(lattice, high, extra) < threshold:
        return 1.0
    while low < high:
        middle = (low + high) // 2
        if coherence(lattice, middle, extra) >= threshold:
            high = middle
        else:
            low = middle + 1
    return float(lattice.draws[high - 1]) if high else 0.0


def _shortcuts(size: int, bonds: Edges, rng: np.random.Generator) -> Edges:
    nodes = size * size
    drawn = np.sort(rng.integers(0, nodes, (4 * len(bonds), 2)), axis=1)
    codes = drawn[:, 0] * nodes + drawn[:, 1]
    _, first = np.unique(codes, return_index=True)
    fresh = np.zeros(len(codes), bool)
    fresh[first] = True
    allowed = fresh & (drawn[:, 0] != drawn[:, 1]) & ~np.isin(codes, bonds[:, 0] * nodes + bonds[:, 1])
    pairs: Edges = drawn[allowed][: len(bonds)]
    return pairs
