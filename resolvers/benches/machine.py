"""Where a figure was measured: what every bench prints beside its results."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import Any

import psutil

PACKAGES = ("fieldgraph", "jax", "flax", "neo4j", "neomodel", "strawberry-graphql", "numpy")


def machine() -> dict[str, Any]:
    """Device, cores, memory, load and versions."""
    return {
        "device": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "load": round(os.getloadavg()[0], 2),
        },
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }
