"""What the compiler is told before JAX is imported. No JAX here.

By default XLA hands convolutions on a processor to YNNPACK, one thread each; without it they are Eigen's and use every
core. On two cores a forecast of a `small` network at 256² then takes 45 ms in place of 107, a training step of a `tiny`
one at 64² 84 ms in place of 107 (docs/benchmarks.md). Other numbers follow in the last bits, so a training resumes bit
by bit only under the flags that it was begun with.

A program that runs for seconds is not worth the time in which XLA makes it fast: a step of three members of a shadow
ensemble takes 29 s of the processor to compile as a rule and 5 s briefly, then 0.26 s and 0.55 s to run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import version

VARIABLE = "XLA_FLAGS"
FLAGS: Mapping[str, str] = {"0.10": "--xla_cpu_experimental_ynn_fusion_type="}
"""By release of jaxlib, those that were measured: a flag that XLA does not know ends the process."""

BRIEF: Mapping[str, Mapping[str, int | bool]] = {
    "0.10": {
        "xla_backend_optimization_level": 0,
        "xla_cpu_use_fusion_emitters": False,
        "xla_cpu_parallel_codegen_split_count": 1,
    }
}
"""By release of jaxlib: options under which a program is compiled in a fraction of the time, and runs slower."""


def brief_options(backend: str) -> dict[str, int | bool]:
    """What `jax.jit` is told of a program that runs for seconds; nothing for accelerators and releases not measured."""
    return dict(BRIEF.get(_release(), {})) if backend == "cpu" else {}


def prefer_measured_flags() -> None:
    """Set the flags for this process and its children; what the user has set stays."""
    if (release := _release()) in FLAGS:
        os.environ.setdefault(VARIABLE, FLAGS[release])


def _release() -> str:
    return ".".join(version("jaxlib").split(".")[:2])
