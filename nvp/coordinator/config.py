"""How a coupling graph is relaxed. No JAX here, so that the API can check one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from nvp.errors import FieldError

NOISE_SHAPES = ("plain", "precision", "metric")
ADAPTERS = (
    "none",
    "norm_balance",
    "gradnorm",
    "gspo",
    "phase",
    "gate_cost",
    "small_gain",
    "closed_form",
    "random_buckets",
)
MODES = ("gradient", "coordinate", "adaptive", "splitting", "admm", "newton", "lbfgs", "mirror")
MOST_MOVES = 1 << 17
"""Moves, directions or shorter steps within one step of a solver."""


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
    # follow not the gradient but one of length 1, one that is no longer than this, or one divided by the largest
    # curvature of each coordinate
    unit_gradient: bool = False
    max_gradient_norm: float | None = None
    precondition: bool = False
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
    # the same of single terms, (term, share); a refused step halves all shares, down to `homotopy.LEAST`
    homotopy_terms: tuple[tuple[str, float], ...] = ()
    homotopy_backoff: bool = True
    # hold all couplings so low that the curvature of the box is bounded by this
    coupling_cap: float | None = None
    # what gives the terms new weights after each step (see `adapters`); none: they stay as they are configured
    adapter: str = "none"
    # bring a term that pulls more than `max_term_norm_ratio` times the target down to it, its weight within bounds
    auto_balance: bool = False
    term_norm_target: float = 1.0
    max_term_norm_ratio: float = 10.0
    term_weight_floor: float = 0.0
    term_weight_ceiling: float | None = None
    # T > 0: a step must also lower U − T·S, S the mixing entropy of η, by this much
    temperature: float = 0.0
    free_energy_gain: float = 1e-6
    # stop after so many steps in a row that change F by less than this; 0: never
    stall_gain: float = 0.0
    stall_patience: int = 5
    # take a step that would have raised F by more than this for an error, instead of only refusing it
    assert_monotonic: bool = False
    monotonic_tolerance: float = 1e-10
    # length σ of the noise tangent to the level set, its decay per step, and whether the four signals steer it
    noise: float = 0.0
    noise_decay: float = 0.99
    noise_control: bool = False
    # plain; precision (longer where the box is flat); metric (orthogonal in the metric of the curvature)
    noise_shape: str = "plain"
    # take noisy steps without the guard; what is returned is the best state seen
    stochastic: bool = False
    # keep every state, to replay and to plot
    record_states: bool = False

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise _bad(f"a mode out of {', '.join(MODES)}", self.mode)
        if self.adapter not in ADAPTERS:
            raise _bad(f"an adapter out of {', '.join(ADAPTERS)}", self.adapter)
        if self.noise_shape not in NOISE_SHAPES:
            raise _bad(f"a noise_shape out of {', '.join(NOISE_SHAPES)}", self.noise_shape)
        for said, names, fits in _RANGES:
            for name in names:
                value = getattr(self, name)
                if value is not None and not (abs(value) < math.inf and fits(value)):
                    raise _bad(f"{name} {said}", value)
        for name, share in self.homotopy_terms:
            if not 0 <= share <= 1:
                raise _bad(f"a share of {name} from 0 to 1", share)
        if self.homotopy_terms and not self.homotopy_steps:
            raise _bad("homotopy_steps >= 1 with homotopy_terms", self.homotopy_steps)
        if self.term_weight_ceiling is not None and self.term_weight_ceiling < self.term_weight_floor:
            raise _bad("term_weight_floor <= term_weight_ceiling", self.term_weight_ceiling)


_RANGES: tuple[tuple[str, tuple[str, ...], Callable[[float], bool]], ...] = (
    (
        f"from 1 to {2**31 - 1}",  # compiled code counts in 32 bits
        ("steps", "max_rejected", "switch_patience", "stall_patience"),
        lambda x: 1 <= x < 2**31,
    ),
    (f"from 0 to {2**31 - 1}", ("homotopy_steps",), lambda x: 0 <= x < 2**31),
    # within one step, where nothing can be stopped
    (f"from 1 to {MOST_MOVES}", ("cg_steps",), lambda x: 1 <= x <= MOST_MOVES),
    (f"from 0 to {MOST_MOVES}", ("max_backtrack", "coordinate_steps"), lambda x: 0 <= x <= MOST_MOVES),
    (
        ">= 0 and finite",
        (
            *("noise", "switch_gain", "temperature"),
            *("free_energy_gain", "stall_gain", "monotonic_tolerance", "term_weight_floor", "term_weight_ceiling"),
        ),
        lambda x: x >= 0,
    ),
    (
        "> 0 and finite",
        (
            *("step_size", "prox_tau", "admm_rho", "admm_tolerance", "gradient_tolerance", "max_gradient_norm"),
            *("coupling_cap", "term_norm_target"),
        ),
        lambda x: x > 0,
    ),
    (
        "between 0 and 1",
        ("armijo_c", "backtrack_factor", "stability_cap_fraction", "cg_tolerance"),
        lambda x: 0 < x < 1,
    ),
    ("from 0 to 1", ("homotopy_start", "noise_decay"), lambda x: 0 <= x <= 1),
    (">= 1 and finite", ("max_term_norm_ratio",), lambda x: x >= 1),
)


def _bad(expected: str, got: object) -> FieldError:
    return FieldError("BAD_CONFIG", f"expected {expected}, got {got}.", next_step="Leave it out for the default.")
