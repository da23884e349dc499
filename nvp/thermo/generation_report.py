"""What generated data are like: whether they obey the laws, and whether there is anything to predict.

Over all sequences of a domain: the largest |residual| of the first law (float64 sums over float32 frames, with the
recorded source and outflow), the mean VRMSE of persistence over all steps, the pooled fidelity of linear extrapolation
over all steps that have two frames before them, and how often spatial entropy falls. A sequence is looked at once and
let go.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nvp.atlas.canonical import digests
from nvp.atlas.series import IRREDUCIBLE, Series
from nvp.dynamics.domain import domain as registered_domain
from nvp.thermo.conservation import first_law_residual
from nvp.thermo.scores import finite, pair_errors, pooled_fidelity, vrmse
from nvp.thermo.violations import second_law_violated

MAX_RESIDUAL = 1e-5
MIN_PERSISTENCE_VRMSE = 0.2
MAX_LINEAR_FIDELITY = 0.5


class DomainReport:
    """Figures of one domain, sequence by sequence."""

    def __init__(self, domain: str) -> None:
        self.spec = registered_domain(domain)
        self.sequences = self.frames = 0
        self.largest_residual = 0.0
        self._vrmse: list[float] = []
        self._falls: list[bool] = []
        self._error = self._change = 0.0
        self._irreducible: float | None = 0.0
        self._all_change = 0.0
        self._digest = hashlib.sha256()

    def add(self, series: Series) -> None:
        """Count a whole sequence; the order of sequences is part of the digest."""
        energy = series.energy
        now, after = energy[:-1], energy[1:]
        self.sequences += 1
        self.frames += len(energy)
        for sha256 in digests(energy):
            self._digest.update(bytes.fromhex(sha256))
        residual = first_law_residual(
            after, now, source=_totals(series.source_total, len(now)), outflow=_totals(series.outflow_total, len(now))
        )
        # the maximum with NaN is NaN, which is no pass
        self.largest_residual = float(np.maximum(self.largest_residual, np.abs(residual).max()))
        self._vrmse += vrmse(now, after).mean(axis=1).tolist()
        self._falls += second_law_violated(after, now).tolist()
        pairs = pair_errors(now, after, now)
        self._all_change += float(pairs.change.sum())
        if self._irreducible is not None:
            known = series.parameters.get(IRREDUCIBLE)
            self._irreducible = None if known is None else self._irreducible + known * len(now)
        if len(energy) > 2:
            linear = pair_errors(2 * energy[1:-1] - energy[:-2], energy[2:], energy[1:-1])
            self._error += float(linear.error.sum())
            self._change += float(linear.change.sum())

    @property
    def persistence_vrmse(self) -> float:
        return float(np.mean(self._vrmse)) if self._vrmse else math.nan

    @property
    def linear_fidelity(self) -> float:
        """NaN for sequences of two frames."""
        return pooled_fidelity(self._error, self._change)

    @property
    def noise_ceiling(self) -> float | None:
        """Where the noise is known: the fidelity that no predictor can exceed."""
        if self._irreducible is None or not self._all_change > 0:
            return None
        return pooled_fidelity(self._irreducible, self._all_change)

    def to_json(self) -> dict[str, Any]:
        """Figures by name; null for what a domain does not have."""
        rate = float(np.mean(self._falls)) if self._falls else None
        return {
            "first_law_residual": finite(self.largest_residual),
            "persistence_vrmse": finite(self.persistence_vrmse),
            "linear_fidelity": finite(self.linear_fidelity),
            "second_law_rate": rate if self.spec.second_law else None,
            # the same count where it breaks no law
            "entropy_fall_rate": rate,
            "noise_ceiling": self.noise_ceiling,
            "n": self.sequences,
            "frames": self.frames,
            "digest": self._digest.hexdigest(),
        }


def missed(figures: Mapping[str, Any], *, predictable: bool = True) -> list[str]:
    """What data of a simulator have to be and these are not, in words; [] where all is well.

    `predictable=False` leaves out what makes a prediction worth the name: perturbed pictures hardly move.
    """
    residual, persistence, linear = (
        figures[name] for name in ("first_law_residual", "persistence_vrmse", "linear_fidelity")
    )
    found = []
    if residual is None or not residual < MAX_RESIDUAL:
        found.append(f"expected a first-law residual below {MAX_RESIDUAL:g}, got {_said(residual)}")
    if predictable and (persistence is None or not persistence >= MIN_PERSISTENCE_VRMSE):
        found.append(f"expected a persistence VRMSE of at least {MIN_PERSISTENCE_VRMSE:g}, got {_said(persistence)}")
    # two frames have nothing to extrapolate from
    if predictable and figures["frames"] > 2 * figures["n"] and (linear is None or not linear <= MAX_LINEAR_FIDELITY):
        found.append(f"expected a linear fidelity of at most {MAX_LINEAR_FIDELITY:g}, got {_said(linear)}")
    return found


def _totals(recorded: np.ndarray | None, steps: int) -> np.ndarray:
    """Of each step; 0 where nothing was recorded."""
    return np.zeros(steps) if recorded is None else recorded[1:].astype(float)


def _said(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"
