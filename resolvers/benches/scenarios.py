"""Two scenarios of APEBench, made by exponax in this process or read from a file that APEBench itself wrote.

`diff_burgers` is conservative Burgers in two dimensions (two channels, which are its velocity), `phy_decay_turb`
decaying turbulence (one channel, its vorticity); both on 64² periodic cells from five random Fourier modes. The rng
seed of the training data is N, that of the test data 773 + N, as APEBench counts them for its seed 0.

Reference: Koehler, Niedermayr, Westermann & Thuerey, APEBench: a benchmark for autoregressive neural emulators of
PDEs, NeurIPS (2024).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from nvp.atlas.series import Series
from nvp.dynamics.domain import DomainSpec, register
from nvp.errors import FieldError

FIRST_TEST_SEED = 773
_MODES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioSize:
    """How much data of a scenario."""

    points: int = 64
    train: int = 20
    test: int = 10
    # steps of each sequence, which has one frame more
    steps: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectories:
    """Data of one scenario, axis order y, x; where the channels are a vector, they come in order x, y."""

    train: Float32[np.ndarray, "n t h w c"]
    test: Float32[np.ndarray, "m t h w c"]
    # who made them
    origin: str


def _burgers(points: int) -> Any:
    import exponax

    # difficulties of APEBench's defaults: diffusion 1.5, convection −1.5 (on the left-hand side)
    return exponax.stepper.generic.DifficultyConvectionStepper(
        2, points, linear_difficulties=(0.0, 0.0, 1.5), convection_difficulty=1.5, conservative=True
    )


def _turbulence(points: int) -> Any:
    import exponax

    return exponax.stepper.NavierStokesVorticity(2, 1.0, points, 0.1, diffusivity=1e-4)


def _spec(name: str, title: str) -> DomainSpec:
    return DomainSpec(
        name=name,
        title=title,
        closed=False,
        second_law=False,
        boundary_x="periodic",
        boundary_y="periodic",
        units="1",
        dx=1.0,
        dy=1.0,
        dt=1.0,
        signed=True,
        reference="Koehler et al., APEBench (2024)",
    )


register(_spec("diff_burgers", "A velocity that carries and squeezes itself"))
register(_spec("phy_decay_turb", "The vorticity of decaying turbulence"))

_STEPPERS: Mapping[str, tuple[int, Callable[[int], Any]]] = {
    "diff_burgers": (2, _burgers),
    "phy_decay_turb": (1, _turbulence),
}
SCENARIOS = tuple(_STEPPERS)


@contextmanager
def lenient() -> Iterator[None]:
    """exponax, pdequinox and optax leave promotions of dtype and rank to JAX's defaults."""
    import jax

    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def simulate(name: str, size: ScenarioSize, *, seed: int) -> Trajectories:
    """The scenario's data by exponax in this process."""
    import exponax
    import jax

    channels, stepper = _STEPPERS[name]
    modes = exponax.ic.RandomTruncatedFourierSeries(2, cutoff=_MODES, max_one=True)
    generator = exponax.ic.RandomMultiChannelICGenerator([modes] * channels)
    with lenient():
        rollout = jax.jit(jax.vmap(exponax.rollout(stepper(size.points), size.steps, include_init=True)))

        def made(n: int, key: int) -> np.ndarray:
            first = exponax.build_ic_set(generator, num_points=size.points, num_samples=n, key=jax.random.PRNGKey(key))
            return np.asarray(rollout(first))

        return Trajectories(
            train=_channels_last(made(size.train, seed)),
            test=_channels_last(made(size.test, FIRST_TEST_SEED + seed)),
            origin=f"exponax {exponax.__version__}",
        )


def read(path: Path, name: str) -> Trajectories:
    """The scenario's data in a file that `bench/apebench/make_data.py` wrote; raises `FieldError` where it has none."""
    try:
        with np.load(path) as arrays:
            return Trajectories(
                train=_channels_last(arrays[f"{name}/train"]),
                test=_channels_last(arrays[f"{name}/test"]),
                origin=str(arrays["origin"]),
            )
    except (OSError, ValueError, KeyError) as error:
        raise FieldError(
            "BAD_DATA",
            f"expected a file of bench/apebench/make_data.py with {name}, got {type(error).__name__} from {path}.",
            next_step="Write it by that script, or leave --data out.",
        ) from error


def series_of(frames: Float32[np.ndarray, "n t h w c"], name: str) -> list[Series]:
    """Each trajectory as a series of the scenario's domain, whose unit of time is one step."""
    return [Series(energy=part, dt=1.0, domain=name) for part in frames]


def _channels_last(values: np.ndarray) -> Float32[np.ndarray, "n t h w c"]:
    """(n, t, c, x, y), as exponax has it, to (n, t, y, x, c)."""
    return np.ascontiguousarray(values.transpose(0, 1, 4, 3, 2), dtype=np.float32)
