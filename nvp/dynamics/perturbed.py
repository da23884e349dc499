"""The perturbation generator: sequences that perturb a base map from step to step, with all that was drawn.

Step 0 is the base map. What is drawn for the step from t to t+1 (angle, shift, factor) is recorded with frame t, so
that it is known when the step begins: without it the step could not be learnt. Three places keep it:

- metadata, a `Step` per frame: everything, the seed of the noise and each operation's defect included
- context fields of the `Series`, constant planes: `rotation` (degrees), `shift` (x, y; cells), and the source
  Q_t = (scale − 1)·E_t/dt of the energy scaling, by which the first law holds
- parameters of the `Series`, what is the same at every step: sigmas; and Nz (below), which no predictor is told

Noise cannot be predicted. The best predictor there is, the mean of E_{t+1} given E_t and the context, keeps the error
Nz = ∑ Var(E_{t+1}), hence reaches a fidelity of 1 − sqrt(∑Nz/∑‖E_{t+1} − E_t‖²) and no more: the noise ceiling. Nz is
estimated by Monte Carlo, an unbiased variance over `REPLICAS` independent repetitions of each step, since cutting at 0
leaves no closed form.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, overload

import numpy as np
from jaxtyping import Float

from nvp.atlas.entropy import spatial_entropy
from nvp.atlas.series import IRREDUCIBLE, Series
from nvp.dynamics.patterns import pattern
from nvp.dynamics.perturbations import (
    Perturbed,
    apply_energy_scaling,
    apply_gaussian_noise,
    apply_rotation,
    apply_thermal_blur,
    apply_translation,
)
from nvp.dynamics.perturbed_config import PerturbationConfig, PerturbedConfig

Map = Float[np.ndarray, "h w"]
Drawn = Mapping[str, int | float]
REPLICAS = 8
# entropy may fall by this share of ln(H·W) before it is said
TOLERANCE = 1e-6

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What led to a frame, and what will lead to the next."""

    step: int
    # what was done to the frame before: {"name": "rotation", "angle_deg": 12.5, "boundary": "wrap", "defect": 1e-3}
    perturbations: tuple[Mapping[str, Any], ...] = ()
    # ∑Q·dt over the step that led here
    source_total: float = 0.0
    # Nz of the step that led here
    irreducible: float = 0.0
    # drawn for the step from here: angle_deg, shift_x, shift_y, scale, noise_seed, as far as they are switched on
    drawn: Drawn


@overload
def generate_sequence(
    base_map: Map,
    n_steps: int = 10,
    config: PerturbationConfig = ...,
    return_metadata: Literal[True] = True,
    *,
    rng: np.random.Generator | None = None,
) -> tuple[Float[np.ndarray, "t h w"], list[Step]]: ...


@overload
def generate_sequence(
    base_map: Map,
    n_steps: int = 10,
    config: PerturbationConfig = ...,
    *,
    return_metadata: Literal[False],
    rng: np.random.Generator | None = None,
) -> Float[np.ndarray, "t h w"]: ...


def generate_sequence(
    base_map: Map,
    n_steps: int = 10,
    config: PerturbationConfig | None = None,
    return_metadata: bool = True,
    *,
    rng: np.random.Generator | None = None,
) -> tuple[Float[np.ndarray, "t h w"], list[Step]] | Float[np.ndarray, "t h w"]:
    """`n_steps` frames from the base map on, in float64, and a `Step` for each; draws from `rng`, else config.seed.

    With every operation off, all frames are the base map.
    """
    config = config or PerturbationConfig()
    rng = rng or np.random.default_rng(config.seed)
    drawn = [draw(config, rng) for _ in range(n_steps)]
    energy, steps = np.array(base_map, float), [Step(step=0, drawn=drawn[0])]
    frames = [energy]
    for step in range(1, n_steps):
        given = drawn[step - 1]
        irreducible = _irreducible(energy, config, given)
        energy, done, source = apply_step(energy, config, given)
        frames.append(energy)
        steps.append(
            Step(step=step, perturbations=done, source_total=source, irreducible=irreducible, drawn=drawn[step])
        )
    sequence = np.stack(frames)
    _warn_of_entropy(sequence)
    return (sequence, steps) if return_metadata else sequence


def draw(config: PerturbationConfig, rng: np.random.Generator) -> dict[str, int | float]:
    """What one step needs, of the operations that are switched on; independent of their order."""
    drawn: dict[str, int | float] = {}
    if config.rotation:
        drawn["angle_deg"] = float(rng.uniform(0, config.rotation_max_deg))
    if config.translation:
        x, y = rng.integers(-config.max_shift_px, config.max_shift_px, 2, endpoint=True)
        drawn |= {"shift_x": int(x), "shift_y": int(y)}
    if config.energy_scaling:
        drawn["scale"] = float(rng.uniform(*config.scale_range))
    if config.gaussian_noise:
        drawn["noise_seed"] = int(rng.integers(2**53))
    return drawn


class Stepped(NamedTuple):
    """A map after a step."""

    energy: Map
    # operation by operation, with its numbers and its defect
    done: tuple[Mapping[str, Any], ...]
    # ∑Q·dt
    source_total: float


def apply_step(
    energy: Map, config: PerturbationConfig, drawn: Drawn, *, only: str | None = None, replica: int = 0
) -> Stepped:
    """The operations that are switched on, in order, or `only` one; `replica` > 0: the same with other noise."""
    noise = np.random.default_rng((int(drawn.get("noise_seed", 0)), replica))
    done: list[Mapping[str, Any]] = []
    source = 0.0
    for name in config.operations if only is None else (only,):
        after, said = _apply(name, energy, config, drawn, noise)
        if name == "energy_scaling":
            source += float(after.energy.sum() - energy.sum())
        done.append({"name": name, **said, "defect": after.defect})
        energy = after.energy
    return Stepped(energy, tuple(done), source)


def noise_ceiling(frames: Float[np.ndarray, "t h w"], steps: Sequence[Step]) -> float | None:
    """The fidelity that no predictor can exceed on average, told all but the noise; None where nothing changes."""
    change = float((np.diff(frames.astype(float), axis=0) ** 2).sum())
    return 1 - float(np.sqrt(sum(one.irreducible for one in steps) / change)) if change > 0 else None


def simulate(
    config: PerturbedConfig,
    seed: int,
    *,
    sequences: int,
    first: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Series]:
    """Sequences `first` … `first + sequences − 1` of (config, seed); `progress(done, sequences)` may raise to stop.

    Sequence i draws from (seed, i) and does not depend on how many are asked for.
    """
    made = []
    for number in range(first, first + sequences):
        made.append(as_series(config, *generate(config, seed, number)))
        if progress is not None:
            progress(len(made), sequences)
    return made


def generate(config: PerturbedConfig, seed: int, number: int) -> tuple[Float[np.ndarray, "t h w"], list[Step]]:
    """Frames and steps of one sequence of (config, seed)."""
    rng = np.random.default_rng((seed, number))
    base = pattern(config.pattern, config.shape, rng)
    return generate_sequence(base, config.steps, config.perturbation, rng=rng)


def as_series(config: PerturbedConfig, frames: Float[np.ndarray, "t h w"], steps: Sequence[Step]) -> Series:
    """The sequence as everything else reads it; energies rounded to float32, totals not."""
    of, planes = config.perturbation, np.ones((1, *config.shape, 1))
    context: dict[str, np.ndarray] = {}
    if of.rotation:
        context["rotation"] = _planes(steps, "angle_deg") * planes
    if of.translation:
        context["shift"] = np.concatenate([_planes(steps, name) * planes for name in ("shift_x", "shift_y")], axis=-1)
    if of.energy_scaling:
        context["source"] = (_planes(steps, "scale") - 1) * frames[..., None] / config.dt
    parameters = {IRREDUCIBLE: float(np.mean([one.irreducible for one in steps[1:]]))}
    if of.gaussian_noise:
        parameters["noise_sigma"] = of.noise_sigma
    if of.thermal_blur:
        parameters["blur_sigma_px"] = of.blur_sigma_px
    return Series(
        energy=frames.astype(np.float32)[..., None],
        context={name: values.astype(np.float32) for name, values in context.items()},
        parameters=parameters,
        dt=config.dt,
        domain=config.domain,
        source_total=np.array([one.source_total for one in steps]),
        outflow_total=np.zeros(len(steps)),
    )


def _apply(
    name: str, energy: Map, config: PerturbationConfig, drawn: Drawn, noise: np.random.Generator
) -> tuple[Perturbed, dict[str, Any]]:
    """One operation, and its numbers by name."""
    edge = {"boundary": config.boundary}
    match name:
        case "rotation":
            angle = drawn["angle_deg"]
            return apply_rotation(energy, angle, boundary=config.boundary), {"angle_deg": angle, **edge}
        case "translation":
            x, y = int(drawn["shift_x"]), int(drawn["shift_y"])
            return apply_translation(energy, x, y, boundary=config.boundary), {"shift_x": x, "shift_y": y, **edge}
        case "energy_scaling":
            return apply_energy_scaling(energy, drawn["scale"]), {"scale": drawn["scale"]}
        case "gaussian_noise":
            said = {"sigma": config.noise_sigma, "noise_seed": drawn["noise_seed"]}
            return apply_gaussian_noise(energy, config.noise_sigma, rng=noise), said
    sigma = config.blur_sigma_px
    return apply_thermal_blur(energy, sigma, boundary=config.boundary), {"sigma_px": sigma, **edge}


def _irreducible(energy: Map, config: PerturbationConfig, drawn: Drawn) -> float:
    """Nz of the step from `energy`: the sum over the cells of the variance that the noise causes."""
    if not (config.gaussian_noise and config.noise_sigma > 0):
        return 0.0
    replicas = [apply_step(energy, config, drawn, replica=1 + k).energy for k in range(REPLICAS)]
    return float(np.var(replicas, axis=0, ddof=1).sum())


def _planes(steps: Sequence[Step], name: str) -> Float[np.ndarray, "t 1 1 1"]:
    return np.array([one.drawn[name] for one in steps], float)[:, None, None, None]


def _warn_of_entropy(sequence: Float[np.ndarray, "t h w"]) -> None:
    """Pictures know no second law: say so where entropy falls, and go on."""
    change = np.diff(spatial_entropy(sequence[..., None]))
    if fallen := int((change < -TOLERANCE * np.log(sequence[0].size)).sum()):
        _log.warning("entropy falls in %d of %d steps, by %.2g nats at most", fallen, len(change), -change.min())
