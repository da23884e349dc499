"""What a compiled program costs by XLA's count, and what the device it runs on promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nvp.model.config import Compute


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """What a device promises."""

    # dense operations per second by the type of the products; those of float32 are TF32, as JAX multiplies there
    flops: Mapping[Compute, float]
    # bytes per second between its memory and its processors
    bandwidth: float


# by the makers' data sheets, without sparsity; processors that are not listed promise nothing that is known here
PEAKS: Mapping[str, Peak] = {
    "NVIDIA H200": Peak(flops={"float32": 494e12, "bfloat16": 989e12}, bandwidth=4.8e12),
    "NVIDIA H100 80GB HBM3": Peak(flops={"float32": 494e12, "bfloat16": 989e12}, bandwidth=3.35e12),
    "NVIDIA A100-SXM4-80GB": Peak(flops={"float32": 156e12, "bfloat16": 312e12}, bandwidth=2.04e12),
}


def accelerator() -> dict[str, Any]:
    """What JAX computes on."""
    import jax

    devices = jax.devices()
    return {"platform": devices[0].platform, "kind": devices[0].device_kind, "count": len(devices)}


def on_gpu() -> bool:
    """Whether that is a GPU."""
    return bool(accelerator()["platform"] == "gpu")


def peak() -> Peak | None:
    """What it promises; None where nothing is known of it."""
    return PEAKS.get(accelerator()["kind"])


def mfu(flops_per_second: float, compute: Compute = "float32") -> float | None:
    """The share of the promised operations per second; None where nothing is promised."""
    promised = peak()
    return None if promised is None else flops_per_second / promised.flops[compute]


def flops_of(program: Any) -> float:
    """Operations that XLA counts in a lowered or compiled function; it counts none of a Fourier transform.

    Of what is compiled for a GPU it counts no convolution either, since these are calls of a library: there only the
    lowered function says how much work there is.
    """
    analysis = program.cost_analysis()
    return float((analysis[0] if isinstance(analysis, list) else analysis).get("flops", float("nan")))


def memory_of(compiled: Any) -> float | None:
    """GiB of arguments, results and temporaries of one call; results that take the place of arguments count once."""
    found = compiled.memory_analysis()
    if found is None:
        return None
    size = found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes
    return round(float(size - found.alias_size_in_bytes) / 2**30, 3)
