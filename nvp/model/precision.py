"""How a network is computed, as apart from what it computes: the type of its products, and what is kept for the
gradient.

References: Micikevicius et al., Mixed precision training, ICLR (2018); Chen et al., Training deep nets with sublinear
memory cost, arXiv:1604.06174 (2016).
"""

from __future__ import annotations

from flax import nnx

from nvp.model.config import Compute
from nvp.model.padding import Conv
from nvp.model.unet import Block, Decoder


def set_precision(network: nnx.Module, *, compute: Compute, remat: bool) -> None:
    """Convolutions multiply in `compute`, but for the one that gives the outputs; blocks are recomputed if `remat`."""
    for _, module in nnx.iter_modules(network):
        if isinstance(module, Conv):
            module.compute = compute
        if isinstance(module, Block):
            module.remat = remat
    for _, module in nnx.iter_modules(network):
        if isinstance(module, Decoder):
            # a change is a sum of gated hints: three digits of a gate would be all the digits of the change
            module.leave.compute = "float32"
