"""The kinds of local energies and couplings: their parameters, with a default for each.

| module | local energy | its order parameter |
|---|---|---|
| landau | aη² + bη⁴ − hη, b > 0; a < 0 orders it at √(−a/2b) | free |
| gating | aη² + bη⁴ − net·η; `net` = gain − cost, so that the price of a gate acts while it relaxes | gate opening |
| sequence, connectivity, nash, residual | α(1 − η)² + β(1 − η)⁴ | a measured coherence |
| compression | a(η − target)² + b(η − target)⁴ | ratio |
| hypothesis | a(η − target)², a from the count of evidence, target from its mean | credence |
| polynomial | Σ_k c_k φ_k(ξ), ξ = 2η − 1 or η; basis `legendre`, `monomial` or a matrix of coefficients | free |

| coupling | potential |
|---|---|
| quadratic | w(η_i − η_j)² |
| directed_hinge | w·max(0, η_j − η_i)², which keeps η_i ≥ η_j |
| asymmetric_hinge | w·max(0, βη_j − αη_i)² |
| sum_hinge | w·max(0, η_i + η_j − margin)²: contradictory statements |
| gate_benefit | −w·Δ·η_i |
| damped_gate_benefit | −w·damping·s(Δ)·Δ·η_i^power, s = `positive` where Δ > 0, else `negative` |
| redemption | w·[(target − scale·η_j − offset)² − margin]₊ |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COHERENCE = {"alpha": 1.0, "beta": 1.0}

MODULES: Mapping[str, Mapping[str, Any]] = {
    "landau": {"a": 0.0, "b": 1.0, "h": 0.0},
    "gating": {"a": 0.1, "b": 0.1, "net": 0.0},
    "sequence": _COHERENCE,
    "connectivity": _COHERENCE,
    "nash": _COHERENCE,
    "residual": _COHERENCE,
    "compression": {"a": 1.0, "b": 0.0, "target": 1.0},
    "hypothesis": {"a": 1.0, "target": 0.5},
    "polynomial": {"coefficients": (), "basis": "legendre", "normalized": True},
}

COUPLINGS: Mapping[str, Mapping[str, Any]] = {
    "quadratic": {"weight": 1.0},
    "directed_hinge": {"weight": 1.0},
    "asymmetric_hinge": {"weight": 1.0, "alpha": 1.0, "beta": 1.0},
    "sum_hinge": {"weight": 1.0, "margin": 1.0},
    "gate_benefit": {"weight": 1.0},
    "damped_gate_benefit": {"weight": 1.0, "damping": 1.0, "power": 1.0, "positive": 1.0, "negative": 1.0},
    "redemption": {"weight": 1.0, "target": 1.0, "scale": 1.0, "offset": 0.0, "margin": 0.0},
}

# the parameters that may be below 0
SIGNED = {
    ("landau", "a"),
    ("landau", "h"),
    ("gating", "net"),
    ("redemption", "target"),
    ("redemption", "scale"),
    ("redemption", "offset"),
}
