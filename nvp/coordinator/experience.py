"""What a gate has learnt of itself: openings per unit of realised gain, good ones to bad ones, and what to expect.

    μ̂ = n / Σ max(Δ, 0),    good/bad = (n₊ + ε)/(n₋ + ε),    E[Δ] = (m·promised + Σ max(Δ, 0) − Σ max(−Δ, 0))/(m + n)

Δ is what an opening was measured to bring, afterwards and before any cost; what it was promised to bring counts as m
openings (the mean of a conjugate normal prior). So 1/μ̂, less what bad openings lost, takes the place of the promise as
openings are seen. Gelman et al., "Bayesian Data Analysis" (3rd ed.), 2.5. No JAX.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from nvp.errors import FieldError

SMALL = 1e-6
"""So that the quotient of good to bad openings is a number before there are any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """The openings of one gate, counted."""

    openings: int = 0
    # Σ max(Δ, 0) and Σ max(−Δ, 0)
    gained: float = 0.0
    lost: float = 0.0
    # openings with Δ > 0 and with Δ < 0
    good: int = 0
    bad: int = 0

    def after(self, realised: float) -> Experience:
        """With one opening more, which brought so much."""
        if not math.isfinite(realised):
            raise FieldError("NONFINITE", f"expected a finite benefit, got {realised}.", next_step="Measure it.")
        return replace(
            self,
            openings=self.openings + 1,
            gained=self.gained + max(realised, 0.0),
            lost=self.lost + max(-realised, 0.0),
            good=self.good + (realised > 0),
            bad=self.bad + (realised < 0),
        )

    @property
    def mu(self) -> float | None:
        """Openings per unit of realised gain; None where nothing was gained."""
        return self.openings / self.gained if self.gained else None

    @property
    def good_bad_ratio(self) -> float:
        """Openings that gained over those that lost."""
        return (self.good + SMALL) / (self.bad + SMALL)

    def expected(self, promised: float, *, prior: float = 2.0) -> float:
        """What the next opening should bring; `prior` is how many openings the promise counts for."""
        if not prior > 0:
            raise FieldError("BAD_PARAMETER", f"expected prior > 0, got {prior}.", next_step="Use 2.")
        return (prior * promised + self.gained - self.lost) / (prior + self.openings)
