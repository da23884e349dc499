"""The Landau well F = aη² + bη⁴ orders below a = 0: η* = √(−a/2b) with F* = −a²/4b, and η* = 0 above.

A whole sweep of a is one coupling graph without couplings, relaxed from random starts in one batch. Beside it, what
200 plain steps of .05·dF/dη from η = .1 reach: near a = 0 they have not arrived, since the well is flat there
(critical slowing down).

Landau, "On the theory of phase transitions", Zh. Eksp. Teor. Fiz. 7 (1937).
"""

from __future__ import annotations

import jax
import numpy as np

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import CouplingGraph, Module
from nvp.coordinator.experiments.config import LandauConfig
from nvp.coordinator.experiments.finding import Check, Finding, Report, exact_effect, mean_effect, verdict
from nvp.coordinator.relax import relax

HYPOTHESIS = "A well aη² + bη⁴ orders where a < 0, as √(−a/2b), and does not where a > 0."
STEPS, RATE, START = 200, 0.05, 0.1
AT_ZERO = 1e-9
"""|a| below which the well is flat and only η ~ t^(−1/2) can be expected."""


def run(config: LandauConfig, progress: Report) -> Finding:
    """Relax the sweep and hold it against the formula."""
    first, last, count = config.sweep
    a = np.linspace(first, last, int(count))
    exact = order_parameter(a, config.b)
    graph = CouplingGraph(modules=[Module("landau", {"a": each, "b": config.b}) for each in a.tolist()])
    starts = np.random.default_rng(config.seed).uniform(0.05, 1.0, (config.trials, len(a)))
    progress("relax", 0.1, f"{config.trials} starts of {len(a)} wells")
    found = relax(graph, RelaxConfig(mode="newton", steps=200), jax.random.key(config.seed), eta0=starts)
    progress("relax", 1.0, "done")
    judged = np.abs(a) > AT_ZERO
    error = np.abs(found.eta - exact)[:, judged].max(axis=1)
    descended = np.abs(descent(a, config.b) - exact)[judged].max()
    ordered = judged & (a < 0) & (exact < 1)
    slopes = [_slope(-a[ordered], eta[ordered]) for eta in found.eta] if ordered.sum() > 1 else []
    missed = mean_effect("largest |η − √(−a/2b)|", error, seed=config.seed)
    within = mean_effect("tolerance − largest |η − √(−a/2b)|", config.tolerance - error, seed=config.seed)
    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=verdict(within),
        reading="Every start settles at the formula's minimum; plain descent is late where the well is flat.",
        effects=[
            missed,
            *([mean_effect("exponent of η* in −a (½ by the formula)", slopes, seed=config.seed)] if slopes else []),
        ],
        arms={f"{STEPS} plain steps of {RATE} from η = {START}": [exact_effect("largest |η − √(−a/2b)|", descended)]},
        checks=[
            Check(
                name="largest error of any start",
                value=float(error.max()),
                bound=f"<= {config.tolerance:g}",
                met=bool(error.max() <= config.tolerance),
            )
        ],
        curves={
            "a": a.tolist(),
            "exact": exact.tolist(),
            "relaxed": found.eta.mean(axis=0).tolist(),
            "plain": descent(a, config.b).tolist(),
            "wells": _wells(config, a),
        },
    )


def order_parameter(a: np.ndarray, b: float) -> np.ndarray:
    """η* = √(−a/2b) where a < 0, as far as the box allows, else 0."""
    eta: np.ndarray = np.minimum(np.sqrt(np.maximum(-a, 0) / (2 * b)), 1.0)
    return eta


def descent(a: np.ndarray, b: float) -> np.ndarray:
    """η after plain steps along −dF/dη."""
    eta = np.full(len(a), START)
    for _ in range(STEPS):
        eta = eta - RATE * (2 * a * eta + 4 * b * eta**3)
    return eta


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def _wells(config: LandauConfig, a: np.ndarray) -> dict[str, list[float] | list[list[float]]]:
    """F(η) of five of the wells."""
    eta = np.linspace(*config.eta_range, config.points)
    shown = a[np.unique(np.linspace(0, len(a) - 1, 5).round().astype(int))]
    return {
        "eta": eta.tolist(),
        "a": shown.tolist(),
        "energy": [(each * eta**2 + config.b * eta**4).tolist() for each in shown],
    }
