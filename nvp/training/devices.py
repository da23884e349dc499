"""One training on several devices: each has a part of every batch and all of the parameters.

The sharding of the batch's first axis is all that is said; the compiler adds the sums between devices. The program, and
but for rounding its result, is that of one device.
"""

from __future__ import annotations

from typing import TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from nvp.errors import FieldError

T = TypeVar("T")


class Devices:
    """Where batches and parameters lie. With one device nothing is moved."""

    def __init__(self, count: int | None, *, batch: int) -> None:
        present = jax.local_device_count()
        count = max(n for n in range(1, present + 1) if batch % n == 0) if count is None else count
        if count > present:
            raise FieldError(
                "NO_DEVICES", f"expected {count} devices, got {present}.", next_step="Leave `devices` out for all."
            )
        if batch % count:
            raise FieldError(
                "BAD_CONFIG",
                f"expected a batch (or part of one) that {count} devices divide, got {batch}.",
                next_step=f"Use {max(1, batch // count) * count} examples per device group.",
            )
        self.count = count
        self._mesh = jax.make_mesh((count,), ("data",), (AxisType.Auto,), devices=jax.local_devices()[:count])

    def shared(self, batch: T, *, axis: int = 0) -> T:
        """A batch of host arrays, cut along `axis`; empty arrays lie on all devices."""
        if self.count == 1:
            return batch
        cut, whole = self._sharding(*(None,) * axis, "data"), self._sharding()
        placed: T = jax.tree.map(lambda leaf: jax.device_put(leaf, cut if np.size(leaf) else whole), batch)
        return placed

    def everywhere(self, tree: T) -> T:
        """The same on each device."""
        placed: T = tree if self.count == 1 else jax.device_put(tree, self._sharding())
        return placed

    def _sharding(self, *axes: str | None) -> NamedSharding:
        return NamedSharding(self._mesh, PartitionSpec(*axes))  # type: ignore[no-untyped-call]
