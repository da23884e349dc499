"""The linear path's fit to the training part, before the first step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from nvp.model.config import NVPConfig
from nvp.model.inputs import Inputs
from nvp.model.linear import Constants, fit_linear, stride_for
from nvp.model.statistics import Statistics
from nvp.training.data import Examples

# windows that the fit looks at, at most: evenly spread beyond that
_MAX_WINDOWS = 2000
# cells whose rows are in memory together
_CHUNK_CELLS = 25_000


def solve(config: NVPConfig, statistics: Statistics, examples: Examples) -> Statistics:
    """The statistics with the weights of the linear path, where the network has one."""
    if not config.linear:
        return statistics
    assert config.site is not None
    cells = config.site[0] * config.site[1]
    numbers = np.unique(np.linspace(0, len(examples) - 1, min(len(examples), _MAX_WINDOWS)).round().astype(int))
    constants = Constants(*(getattr(statistics, name) for name in Constants._fields))
    weights = fit_linear(config, constants, _batches(examples, numbers, cells), stride=stride_for(len(numbers), cells))
    return replace(statistics, linear=weights)


def _batches(
    examples: Examples, numbers: np.ndarray, cells: int
) -> Iterator[tuple[Inputs, Float32[np.ndarray, "b h w c"]]]:
    size = max(1, _CHUNK_CELLS // cells)
    for start in range(0, len(numbers), size):
        yield examples.batch(numbers[start : start + size])
