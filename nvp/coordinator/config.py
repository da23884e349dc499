"""How a coupling graph is relaxed. No JAX here, so that the API can check one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nvp.errors import FieldError

MODES = ("gradient", "coordinate", "adaptive", "splitting", "admm", "newton", "lbfgs", "mirror")


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaxConfig:
    """Solver, budget and tolerances of one relaxation."""

    # projected gradient, Gauss-Southwell coordinates, both in turn, proximal splitting, ADMM, projected Newton,
    # L-BFGS on logits, mirror descent on logits
    mode: str = "newton"
    # most steps; a step of `coordinate` is `coordinate_steps` moves
    steps: int = 50
    # stop where no coordinate of the projected gradient is larger
    gradient_tolerance: float = 1e-8
    # α: the step without line search, and the first one with it
    step_size: float = 0.05
    # Armijo: accept F(η⁺) ≤ F − c⟨g, η − η⁺⟩, else shorten the step, at most so often
    line_search: bool = True
    armijo_c: float = 1e-6
    backtrack_factor: float = 0.5
    max_backtrack: int = 40
    # hold a step without line search below this share of 2/L, L the bound on the curvature of the whole box
    stability_guard: bool = True
    stability_cap_fraction: float = 0.9
    # rejected steps in a row before giving up; each halves the next
    max_rejected: int = 30
    # moves per step of `coordinate`; 0 for as many as there are modules
    coordinate_steps: int = 0
    # `adaptive` goes back to coordinates after so many steps that gain less
    switch_gain: float = 1e-5
    switch_patience: int = 5
    # largest τ of the proximal steps, halved whenever a sweep no longer gains
    prox_tau: float = 1.0
    # ρ, and the residuals at which ADMM stops
    admm_rho: float = 1.0
    admm_tolerance: float = 1e-7
    # conjugate-gradient steps and the residual, relative to the gradient, of a Newton direction
    cg_steps: int = 50
    cg_tolerance: float = 0.05
    # couplings begin at this share of their weight and reach it after so many steps; 0 steps: at once
    homotopy_start: float = 0.1
    homotopy_steps: int = 0
    # length σ of the noise tangent to the level set, its decay per step, and whether the four signals steer it
    noise: float = 0.0
    noise_decay: float = 0.99
    noise_control: bool = False
    # take noisy steps without the guard; what is returned is the best state seen
    stochastic: bool = False
    # keep every state, to replay and to plot
    record_states: bool = False

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise _bad(f"a mode out of {', '.join(MODES)}", self.mode)
        for name in ("steps", "max_rejected", "switch_patience", "cg_steps"):
            if getattr(self, name) < 1:
                raise _bad(f"{name} >= 1", getattr(self, name))
        for name in ("max_backtrack", "coordinate_steps", "homotopy_steps"):
            if getattr(self, name) < 0:
                raise _bad(f"{name} >= 0", getattr(self, name))
        for name in ("step_size", "prox_tau", "admm_rho", "admm_tolerance", "gradient_tolerance"):
            if not 0 < getattr(self, name) < math.inf:
                raise _bad(f"{name} > 0 and finite", getattr(self, name))
        for name in ("armijo_c", "backtrack_factor", "stability_cap_fraction", "cg_tolerance"):
            if not 0 < getattr(self, name) < 1:
                raise _bad(f"0 < {name} < 1", getattr(self, name))
        for name in ("homotopy_start", "noise_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise _bad(f"0 <= {name} <= 1", getattr(self, name))
        for name in ("noise", "switch_gain"):
            if not 0 <= getattr(self, name) < math.inf:
                raise _bad(f"{name} >= 0 and finite", getattr(self, name))


def _bad(expected: str, got: object) -> FieldError:
    return FieldError("BAD_CONFIG", f"expected {expected}, got {got}.", next_step="Leave it out for the default.")
