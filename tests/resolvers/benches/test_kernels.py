"""What a kernel costs is XLA's count of it alone; calls of cuDNN cost what their convolutions cost."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resolvers.benches.costs import Peak, flops_of
from resolvers.benches.hlo_cost import costs_of
from resolvers.benches.kernels import Program, dearest

# x (8, 16, 16, 4), kernel (3, 3, 4, 6), y (8, 14, 14, 6): as XLA writes such calls when it compiles for a GPU
CUDNN = """HloModule step

ENTRY %main (x: bf16[8,16,16,4], k: bf16[3,3,4,6], y: bf16[8,14,14,6]) -> bf16[8,14,14,6] {
  %x.1 = bf16[8,16,16,4]{3,2,1,0} parameter(0), metadata={op_name="x"}
  %k.1 = bf16[3,3,4,6]{3,2,1,0} parameter(1)
  %y.1 = bf16[8,14,14,6]{3,2,1,0} parameter(2)
  %forward = (bf16[8,14,14,6]{3,2,1,0}, u8[0]{0}) custom-call(%x.1, %k.1), window={size=3x3}, dim_labels=b01f_01io->b01f, custom_call_target="__cudnn$convForward", metadata={op_name="jit(step)/jvp()/conv_general_dilated" stack_frame_id=5}, backend_config={"operation_queue_id":"0","cudnn_conv_backend_config":{"activation_mode":"kNone","algorithm":{"algo_id":"1"}}}
  %input = (bf16[8,16,16,4]{3,2,1,0}, u8[64]{0}) custom-call(%y.1, %k.1), window={size=3x3}, dim_labels=b01f_01io->b01f, custom_call_target="__cudnn$convBackwardInput"
  %filter = (bf16[3,3,4,6]{3,2,1,0}, u8[64]{0}) custom-call(%x.1, %y.1), window={size=3x3}, dim_labels=b01f_01io->b01f, custom_call_target="__cudnn$convBackwardFilter"
  ROOT %out = bf16[8,14,14,6]{3,2,1,0} get-tuple-element(%forward), index=0
}
"""  # noqa: E501, one line per instruction


def test_a_call_of_cudnn_costs_what_its_convolution_costs() -> None:
    program = Program(CUDNN)
    work = 2 * 8 * 14 * 14 * 6 * 3 * 3 * 4
    costs = costs_of([program.alone(name) for name in ("forward", "input")] + ["none", program.alone("filter")])
    # what is no program costs the others nothing
    assert costs.pop(2) is None
    for cost in costs:
        assert cost is not None
        assert cost.flops == work
        assert cost.bytes == 2 * (8 * 16 * 16 * 4 + 3 * 3 * 4 * 6 + 8 * 14 * 14 * 6)
    assert program["forward"].source == "conv_general_dilated"
    assert program["input"].source is None


def test_the_kernels_of_a_program_do_all_its_work_and_the_dearest_are_told() -> None:
    kernel = np.ones((3, 3, 8, 8), np.float32)
    states = np.ones((4, 32, 32, 8), np.float32)

    def loss(kernel: jax.Array, states: jax.Array) -> jax.Array:
        for _ in range(2):
            states = jnp.tanh(
                jax.lax.conv_general_dilated(states, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            )
        return jnp.sum(states**2)

    lowered = jax.jit(jax.grad(loss)).lower(kernel, states)
    compiled = lowered.compile()
    promised = Peak(flops={"float32": 1e15, "bfloat16": 1e15}, bandwidth=1e9)
    found = dearest(
        compiled, lambda: compiled(kernel, states), calls=3, compute="float32", promised=promised, most=1000
    )
    assert found is not None
    rows = found["dearest"]
    assert len(rows) == found["kernels"] > 3
    assert sum(row["share"] for row in rows) == pytest.approx(1, abs=0.01)
    assert [row["share"] for row in rows] == sorted((row["share"] for row in rows), reverse=True)
    # each convolution once, and what the fusions do
    work = sum(row["gflop"] * row["runs"] for row in rows)
    assert work == pytest.approx(flops_of(compiled) / 1e9, rel=0.05)
    # a device with so slow a memory waits for it
    assert {row["bound"] for row in rows} == {"memory"}
    one = rows[0]
    least = one["mib"] * 2**20 / 1e9
    assert one["roofline"] == pytest.approx(least / (one["microseconds"] * 1e-6), rel=0.05)
    none = dearest(compiled, lambda: compiled(kernel, states), calls=1, compute="float32", promised=None)
    assert none is not None
    assert len(none["dearest"]) == 5
    assert none["dearest"][0]["roofline"] is None
    assert none["dearest"][0]["bound"] is None
    assert dearest(compiled, lambda: jnp.zeros(()), calls=1, compute="float32", promised=None) is None
