"""The look at the validation part after each epoch: pooled fidelity and VRMSE, one step ahead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from flax import nnx

from nvp.model.nvp import NVP
from nvp.training.data import Examples
from nvp.training.step import Weights, predict_step

# The Well's epsilon: keeps VRMSE finite on uniform fields
_EPSILON = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """On the windows that were looked at."""

    # 1 − sqrt(Σ‖P − T‖² / Σ‖T − O‖²)
    fidelity: float
    # mean of sqrt(mean (P − T)² / (var T + eps))
    vrmse: float


def validate(
    graph: nnx.GraphDef[NVP],
    params: Weights,
    constants: Weights,
    examples: Examples,
    *,
    batch: int,
    windows: int,
) -> Score:
    """Score parameters on at most `windows` examples, evenly spread; the last batch is filled up, not counted twice."""
    numbers = np.unique(np.linspace(0, len(examples) - 1, min(windows, len(examples))).round().astype(int))
    wrong = change = vrmse = 0.0
    for start in range(0, len(numbers), batch):
        chosen = numbers[start : start + batch]
        inputs, truth = examples.batch(np.resize(chosen, batch))
        mean = np.asarray(predict_step(graph, params, constants, inputs).mean)[: len(chosen)]
        truth, state = truth[: len(chosen)], inputs.history[: len(chosen), -1]
        squared = np.mean((mean.astype(np.float64) - truth) ** 2, axis=(1, 2))
        variance = truth.astype(np.float64).var(axis=(1, 2), ddof=1)
        vrmse += float(np.sqrt(squared / (variance + _EPSILON)).mean(axis=-1).sum())
        wrong += float(squared.sum())
        change += float(np.mean((truth.astype(np.float64) - state) ** 2, axis=(1, 2)).sum())
    if change == 0:
        return Score(fidelity=0.0, vrmse=vrmse / len(numbers))
    return Score(fidelity=1 - float(np.sqrt(wrong / change)), vrmse=vrmse / len(numbers))
