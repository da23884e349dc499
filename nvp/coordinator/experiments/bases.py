"""Polynomial bases: what they change about relaxing (nothing) and about fitting (much).

Three claims are held apart. *Relaxing*: the same polynomial written as monomials, Legendre polynomials and the basis
that a sample makes orthonormal (aPC) is relaxed; a scalar η has a 1 × 1 Hessian, so no basis can diagonalise it.
*Fitting by least squares*: the three span the same space, so that the fit, in the sample and beyond it, is one and the
same. *Fitting step by step*: how far gradient descent gets in a given number of steps is a matter of the Gram matrix's
condition, which the basis does change; errors are of the fit on a shifted sample. The probe fits −dF/dη of wells from
25 values and follows it by Euler's method.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from numpy.polynomial import polynomial

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import CouplingGraph, Module
from nvp.coordinator.experiments.config import BasesConfig
from nvp.coordinator.experiments.finding import Check, Finding, Report, exact_effect, mean_effect, verdict
from nvp.coordinator.many import relax_many
from nvp.coordinator.polynomials import arbitrary_basis, gram_condition, legendre_matrix

HYPOTHESIS = "An orthogonal basis spares the line search backtracks."
BASES = ("monomial", "legendre", "aPC")
CONDITIONS = (4, 8)
SHIFT, SPREAD = 0.4, 0.25
START, FIRST_STEP = 0.9, 3.0
SAMPLES, EULER_STEPS, EULER_STEP, EULER_START = 25, 40, 0.05, 0.3


def run(config: BasesConfig, progress: Report) -> Finding:
    """Relax and fit the same functions in every basis."""
    rngs = [np.random.default_rng((config.seed, trial)) for trial in range(config.trials)]
    samples = [np.clip(rng.normal(-SHIFT, SPREAD, config.samples), -1, 1) for rng in rngs]
    monomials = [rng.normal(0.0, 1.0 / np.arange(1, config.degree + 2)) for rng in rngs]
    matrices = [bases_of(sample, config.degree) for sample in samples]
    graphs = [
        CouplingGraph(modules=[_module(name, matrices[trial][name], monomials[trial])])
        for name in BASES
        for trial in range(config.trials)
    ]
    progress("relax", 0.1, f"{len(graphs)} polynomials at once")
    ways = RelaxConfig(mode="gradient", steps=config.steps, step_size=FIRST_STEP, record_states=True)
    found = relax_many(graphs, ways, jax.random.key(config.seed), [[START]] * len(graphs))
    progress("relax", 1.0, "done")
    paths = np.array([each.trail.states[:, 0] for each in found]).reshape(len(BASES), config.trials, -1)
    backtracks = np.array([each.trail.backtracks.sum() for each in found]).reshape(len(BASES), config.trials)
    apart = float(np.abs(paths - paths[0]).max())
    noises = [config.noise * rng.standard_normal(config.samples) for rng in rngs]
    fits = [
        [_fit(matrices[trial][name], samples[trial], noises[trial], config) for trial in range(config.trials)]
        for name in BASES
    ]
    probes = [[_probe(matrices[trial][name], trial, config) for trial in range(config.trials)] for name in BASES]
    least, descent, late = (np.array([[each[place] for each in row] for row in fits]) for place in range(3))
    seed = config.seed
    spared = mean_effect("backtracks: monomial − aPC", backtracks[0] - backtracks[2], seed=seed)
    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=verdict(spared),
        reading="The path is the same in every basis; a better one is fitted in fewer steps, to the same fit.",
        effects=[
            spared,
            mean_effect("backtracks: legendre − aPC", backtracks[1] - backtracks[2], seed=seed),
            mean_effect("distance of descent from least squares: legendre − aPC", late[1] - late[2], seed=seed),
            mean_effect("shifted error of descent: monomial − aPC", descent[0] - descent[2], seed=seed),
            mean_effect("shifted error of descent: legendre − aPC", descent[1] - descent[2], seed=seed),
            mean_effect("shifted error of least squares: legendre − aPC", least[1] - least[2], seed=seed),
        ],
        arms={
            name: [
                mean_effect("backtracks", backtracks[place], seed=seed),
                mean_effect("shifted error, least squares", least[place], seed=seed),
                mean_effect(f"shifted error, {config.fit_steps} steps of descent", descent[place], seed=seed),
                mean_effect("distance of descent from least squares, in the sample", late[place], seed=seed),
                mean_effect("error of the Euler path of the probe", probes[place], seed=seed),
                *(
                    exact_effect(f"condition of the Gram matrix, degree {degree}", _condition(name, degree))
                    for degree in CONDITIONS
                ),
            ]
            for place, name in enumerate(BASES)
        }
        | {
            "monomial in η, not in ξ = 2η − 1": [
                exact_effect(f"condition of the Gram matrix, degree {degree}", _condition("monomial", degree, low=0.0))
                for degree in CONDITIONS
            ]
        },
        checks=[Check(name="largest distance of paths", value=apart, bound="<= 1e-9", met=apart <= 1e-9)],
    )


def bases_of(sample: Any, degree: int) -> dict[str, np.ndarray]:
    """Row n of each: the monomial coefficients of its n-th polynomial."""
    return {
        "monomial": np.eye(degree + 1),
        "legendre": legendre_matrix(degree),
        "aPC": arbitrary_basis(sample, degree),
    }


def _module(name: str, matrix: np.ndarray, monomials: np.ndarray) -> Module:
    """The same polynomial by its coefficients in that basis."""
    coefficients = np.linalg.solve(matrix.T, monomials)
    basis: Any = name if name != "aPC" else tuple(map(tuple, matrix.tolist()))
    return Module("polynomial", {"coefficients": tuple(coefficients.tolist()), "basis": basis})


def _condition(name: str, degree: int, *, low: float = -1.0) -> float:
    """On an even sample of [low, 1]."""
    even = np.linspace(low, 1, 4001)
    return gram_condition(bases_of(even, degree)[name], even)


def _fit(matrix: np.ndarray, sample: np.ndarray, noise: np.ndarray, config: BasesConfig) -> list[float]:
    """Errors on a shifted sample of least squares and of descent with the best fixed step, and how far they differ."""
    y = np.tanh(3 * sample) + noise
    features = _features(matrix, sample)
    beyond = np.clip(sample + 2 * SHIFT, -1, 1)
    exact = np.linalg.lstsq(features, y, rcond=None)[0]
    gram, right = features.T @ features / y.size, features.T @ y / y.size
    largest, smallest = np.linalg.eigvalsh(gram)[[-1, 0]]
    reached = np.zeros(config.degree + 1)
    for _ in range(config.fit_steps):
        reached = reached - 2 / (largest + smallest) * (gram @ reached - right)
    truth = np.tanh(3 * beyond)
    far = _features(matrix, beyond)
    missed = (far @ exact - truth, far @ reached - truth, features @ (reached - exact))
    return [float(np.sqrt(np.mean(each**2))) for each in missed]


def _probe(matrix: np.ndarray, trial: int, config: BasesConfig) -> float:
    """Largest distance between Euler paths of −dF/dη of a well and of its fit from a few noisy values."""
    rng = np.random.default_rng((config.seed, trial, 1))
    a, b = rng.uniform(-1, 0.5), rng.uniform(0.5, 1.5)
    right = np.array([0.0, -2 * a, 0.0, -4 * b])
    eta = rng.uniform(0, 1, SAMPLES)
    seen = polynomial.polyval(eta, right) + config.noise * rng.standard_normal(SAMPLES)
    coefficients = np.linalg.lstsq(_features(matrix, 2 * eta - 1), seen, rcond=None)[0]
    true = fitted = EULER_START
    apart = 0.0
    for _ in range(EULER_STEPS):
        true = true + EULER_STEP * float(polynomial.polyval(true, right))
        fitted = fitted + EULER_STEP * float((_features(matrix, np.array([2 * fitted - 1])) @ coefficients)[0])
        apart = max(apart, abs(true - fitted))
    return apart


def _features(matrix: np.ndarray, xi: np.ndarray) -> np.ndarray:
    """φ_n(ξ), one column for each n."""
    columns: np.ndarray = np.vander(xi, len(matrix), increasing=True) @ matrix.T
    return columns
