"""What the perturbations do to the laws, measured: the generator's honest data sheet.

First law: the relative error of ΣE before the result is scaled back to the total that it had, and after. The second is
round-off by construction; the first is what the operation itself does, by pattern and boundary mode. Energy scaling
changes ΣE on purpose: the report says by how much, and what is left once its source Q is accounted for.

Second law: how often spatial entropy falls, and by how much it changes, under each operation and under the first step
from a base map, with each domain's own parameters over many maps; and over the steps of whole sequences, whose rate is
the data's own: a predictor that knew these data by heart would violate the law as often.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
from jaxtyping import Float

from nvp.dynamics.patterns import PatternName, pattern
from nvp.dynamics.perturbations import (
    Perturbed,
    apply_energy_scaling,
    apply_gaussian_noise,
    apply_rotation,
    apply_thermal_blur,
    apply_translation,
)
from nvp.dynamics.perturbed import apply_step, draw
from nvp.dynamics.perturbed_config import BOUNDARY_MODES, DOMAIN_PARAMETERS, PerturbationConfig
from nvp.thermo.validation import entropy_change, validate_energy_conservation
from nvp.thermo.violations import ENTROPY_TOLERANCE

Map = Float[np.ndarray, "h w"]
Progress = Callable[[int, int], None]

TOLERANCE = 0.05
TARGET_RATE = 0.01
# name → what is done, at the strengths whose errors are quoted
STRENGTHS: dict[str, Callable[[Map, str, np.random.Generator], Perturbed]] = {
    "rotation 45 deg": lambda e, boundary, rng: apply_rotation(e, 45.0, boundary=boundary),
    "gaussian_noise 0.1": lambda e, boundary, rng: apply_gaussian_noise(e, 0.1, rng=rng),
    "thermal_blur 3 px": lambda e, boundary, rng: apply_thermal_blur(e, 3.0, boundary=boundary),
    "translation 10 px": lambda e, boundary, rng: apply_translation(e, 10, 10, boundary=boundary),
}
SCALE = 1.1
# of a sequence; each so many-th base map is followed by one, so that all figures rest on about as many steps
STEPS = 9


def first_law(*, scale: int, seed: int) -> dict[str, Any]:
    """Relative errors of ΣE: `{operation: {boundary: {pattern: {pre_rescale, post_rescale}}}}`, and of the scaling."""
    rng = np.random.default_rng(seed)
    maps = {name: pattern(name, (scale, scale), rng) for name in get_args(PatternName)}
    errors: dict[str, Any] = {}
    for name, apply in STRENGTHS.items():
        # noise reads no neighbours
        modes = ("none",) if name.startswith("gaussian") else BOUNDARY_MODES
        errors[name] = {
            mode: {kind: _errors(energy, apply(energy, mode, rng)) for kind, energy in maps.items()} for mode in modes
        }
    scaled = {kind: apply_energy_scaling(energy, SCALE).energy for kind, energy in maps.items()}
    source = {kind: (SCALE - 1) * float(maps[kind].sum()) for kind in maps}
    return {
        "operations": errors,
        f"energy_scaling {SCALE}": {
            kind: {
                "without_source": validate_energy_conservation(maps[kind], scaled[kind], TOLERANCE).value,
                "with_source": validate_energy_conservation(
                    maps[kind], scaled[kind], TOLERANCE, source=source[kind]
                ).value,
            }
            for kind in maps
        },
    }


def second_law(*, maps: int, scale: int, seed: int, progress: Progress | None = None) -> dict[str, Any]:
    """Changes of spatial entropy by domain and operation, each over `maps` base maps: `{rate, mean_change, n}`."""
    found: dict[str, Any] = {}
    for done, (domain, (kind, config)) in enumerate(DOMAIN_PARAMETERS.items()):
        changes: dict[str, list[float]] = defaultdict(list)
        for number in range(maps):
            rng = np.random.default_rng((seed, number))
            energy = pattern(kind, (scale, scale), rng)
            drawn = draw(config, rng)
            for name in config.operations:
                after = apply_step(energy, config, drawn, only=name).energy
                changes[name].append(entropy_change(energy, after))
            changes["step"].append(entropy_change(energy, apply_step(energy, config, drawn).energy))
            if number % STEPS == 0:
                changes["sequence"] += _walk(energy, config, rng)
            if progress is not None:
                progress(done * maps + number + 1, len(DOMAIN_PARAMETERS) * maps)
        found[domain] = {name: _summary(values, scale * scale) for name, values in changes.items()}
    return found


def physics_report(
    *, maps: int = 1000, scale: int = 32, map_scale: int = 256, seed: int = 0, progress: Progress | None = None
) -> dict[str, Any]:
    """Both laws; `maps` maps of `scale`² for the second, one per pattern of `map_scale`² for the first."""
    law, entropy = (
        first_law(scale=map_scale, seed=seed),
        second_law(maps=maps, scale=scale, seed=seed, progress=progress),
    )
    return {
        "first_law": {"tolerance": TOLERANCE, "scale": map_scale, **law},
        "second_law": {
            "tolerance_nats": ENTROPY_TOLERANCE * float(np.log(scale * scale)),
            "target_rate": TARGET_RATE,
            "scale": scale,
            "domains": entropy,
        },
        "failed": failed(law),
    }


def failed(law: dict[str, Any]) -> list[str]:
    """Operations that break the first law beyond `TOLERANCE` although they were mended or their source is known."""
    operations = [
        f"{name} ({mode}, {kind}): {errors['post_rescale']:.3g}"
        for name, modes in law["operations"].items()
        for mode, kinds in modes.items()
        for kind, errors in kinds.items()
        if not errors["post_rescale"] <= TOLERANCE
    ]
    scaling = law[f"energy_scaling {SCALE}"]
    return operations + [
        f"energy_scaling with its source ({kind}): {errors['with_source']:.3g}"
        for kind, errors in scaling.items()
        if not errors["with_source"] <= TOLERANCE
    ]


def _walk(energy: Map, config: PerturbationConfig, rng: np.random.Generator) -> list[float]:
    """Changes of entropy along a sequence."""
    changes = []
    for _ in range(STEPS):
        after = apply_step(energy, config, draw(config, rng)).energy
        changes.append(entropy_change(energy, after))
        energy = after
    return changes


def _errors(before: Map, after: Perturbed) -> dict[str, float]:
    return {
        "pre_rescale": after.defect,
        "post_rescale": validate_energy_conservation(before, after.energy, TOLERANCE).value,
    }


def _summary(changes: list[float], cells: int) -> dict[str, Any]:
    values = np.array(changes)
    rate = float((values < -ENTROPY_TOLERANCE * np.log(cells)).mean())
    return {
        "rate": rate,
        "within_target": rate < TARGET_RATE,
        "mean_change": float(values.mean()),
        "smallest_change": float(values.min()),
        "n": len(values),
    }
