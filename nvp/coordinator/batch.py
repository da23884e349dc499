"""Many problems as one: arrays padded to the same shapes and stacked, to be mapped over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import jax
import numpy as np

from nvp.coordinator.problem import bucket

T = TypeVar("T")


def stack(trees: Sequence[T], *, empty: int = 0) -> T:
    """One tree whose arrays have a leading axis more; shorter ones are filled up with `empty`."""
    stacked: T = jax.tree.map(lambda *leaves: _stack([np.asarray(leaf) for leaf in leaves], empty), *trees)
    return stacked


def split(tree: T, count: int) -> list[T]:
    """The members of a stacked tree."""
    return [jax.tree.map(lambda leaf, at=number: leaf[at], tree) for number in range(count)]


def _stack(leaves: list[np.ndarray], empty: int) -> np.ndarray:
    if not leaves[0].ndim:
        return np.stack(leaves)
    shape = [bucket(int(length)) for length in np.max([leaf.shape for leaf in leaves], axis=0)]
    padded = [np.pad(leaf, _widths(leaf.shape, shape), constant_values=empty) for leaf in leaves]
    return np.stack(padded)


def _widths(have: tuple[int, ...], want: list[int]) -> list[tuple[int, int]]:
    return [(0, wanted - length) for length, wanted in zip(have, want, strict=True)]
