"""What the compiler is told before JAX is imported. No JAX here.

By default XLA hands convolutions on a processor to YNNPACK, one thread each; without it they are Eigen's and use every
core. On two cores a forecast of a `small` network at 256² then takes 45 ms in place of 107, a training step of a `tiny`
one at 64² 84 ms in place of 107 (docs/benchmarks.md). Other numbers follow in the last bits, so a training resumes bit
by bit only under the flags that it was begun with.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import version

VARIABLE = "XLA_FLAGS"
FLAGS: Mapping[str, str] = {"0.10": "--xla_cpu_experimental_ynn_fusion_type="}
"""By release of jaxlib, those that were measured: a flag that XLA does not know ends the process."""


def prefer_measured_flags() -> None:
    """Set the flags for this process and its children; what the user has set stays."""
    release = ".".join(version("jaxlib").split(".")[:2])
    if release in FLAGS:
        os.environ.setdefault(VARIABLE, FLAGS[release])
