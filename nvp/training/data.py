"""Examples out of series: each is a window at t and the truth at t+1.

The order is drawn per epoch out of (rng seed, epoch), so that where a training stands in its data is a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from nvp.atlas.series import Series
from nvp.dynamics.domain import DomainSpec, domain
from nvp.errors import FieldError
from nvp.model.config import NVPConfig
from nvp.model.inputs import Inputs, clock_of, stack_context


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """The parts of a split that a training may see; each series is one unbroken part."""

    train: Sequence[Series]
    validation: Sequence[Series]

    def __post_init__(self) -> None:
        if not self.train or not self.validation:
            raise FieldError(
                "NO_DATA",
                f"expected parts to train and to validate on, got {len(self.train)} and {len(self.validation)}.",
                next_step="Choose a split with both roles.",
            )

    @property
    def spec(self) -> DomainSpec:
        """Their domain."""
        return domain(self.train[0].domain)


class Examples:
    """All windows of some series, by number."""

    def __init__(self, config: NVPConfig, series: Sequence[Series]) -> None:
        self.config = config
        self.series = series
        grids = {part.energy.shape[1:] for part in series}
        if len(grids) != 1:
            raise FieldError(
                "MIXED_GRIDS",
                f"expected series on one grid, got {sorted(grids)}.",
                next_step="Train on one resolution at a time.",
            )
        found = [(i, t) for i, part in enumerate(series) for t in unbroken(part, config.history)]
        if not found:
            raise FieldError(
                "NO_DATA",
                f"expected series of more than {config.history} consecutive frames, got none.",
                next_step="Use longer parts or a shorter history.",
            )
        self.index = np.array(found, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, numbers: Int[np.ndarray, "b"]) -> tuple[Inputs, Float[np.ndarray, "b h w c"]]:
        """Inputs at t and the truth at t+1 of these windows."""
        config = self.config
        chosen = [(self.series[i], int(t)) for i, t in self.index[numbers]]
        history = np.stack([part.energy[t + 1 - config.history : t + 1] for part, t in chosen]).astype(np.float32)
        context = {name: np.stack([part.context[name][t] for part, t in chosen]) for name, _ in config.context}
        parameters = [[part.parameters[name] for name in config.parameters] for part, _ in chosen]
        times = np.array([part.valid_time[t] for part, t in chosen if part.valid_time is not None])
        inputs = Inputs(
            history=history,
            context=stack_context(config, context, history),
            parameters=np.array(parameters, np.float32).reshape(len(chosen), len(config.parameters)),
            clock=clock_of(times if config.calendar else None, len(chosen)),
            dt=np.array([part.dt for part, _ in chosen], np.float32),
        )
        return inputs, np.stack([part.energy[t + 1] for part, t in chosen]).astype(np.float32)

    def epoch(
        self, epoch: int, *, batch: int, rng_seed: int, augment: bool
    ) -> Iterator[tuple[Inputs, Float[np.ndarray, "b h w c"]]]:
        """The batches of one pass, all of the same size; a rest that does not fill one is left to other epochs."""
        rng = np.random.default_rng((rng_seed, epoch))
        order = rng.permutation(len(self))
        if len(order) < batch:
            order = np.resize(order, batch)
        symmetric = augment and self.config.site is None
        for start in range(0, len(order) - batch + 1, batch):
            inputs, truth = self.batch(order[start : start + batch])
            yield symmetry(self.config, inputs, truth, rng) if symmetric else (inputs, truth)

    def steps(self, batch: int) -> int:
        """Batches in one pass."""
        return max(1, len(self) // batch)


def unbroken(series: Series, history: int) -> list[int]:
    """Positions t whose K frames of history and whose next frame follow each other without a gap in time."""
    starts = range(history - 1, len(series) - 1)
    if series.valid_time is None:
        return list(starts)
    steps = np.diff(series.valid_time.astype("datetime64[s]").astype(np.int64))
    whole = steps == round(series.dt)
    return [t for t in starts if whole[t - history + 1 : t + 1].all()]


def symmetry(
    config: NVPConfig, inputs: Inputs, truth: Float[np.ndarray, "b h w c"], rng: np.random.Generator
) -> tuple[Inputs, Float[np.ndarray, "b h w c"]]:
    """One random symmetry of the domain for the whole batch: flips, a transposition, shifts along periodic axes."""
    square = truth.shape[1] == truth.shape[2] and config.boundary_x == config.boundary_y
    flip_y, flip_x, transpose = (bool(x) for x in rng.integers(0, 2, 3))
    shift_y = int(rng.integers(truth.shape[1])) if config.boundary_y == "periodic" else 0
    shift_x = int(rng.integers(truth.shape[2])) if config.boundary_x == "periodic" else 0

    def moved(field: Float[np.ndarray, "*b h w c"]) -> Float[np.ndarray, "*b h w c"]:
        y, x = field.ndim - 3, field.ndim - 2
        if shift_y or shift_x:
            field = np.roll(field, (shift_y, shift_x), (y, x))
        if flip_y:
            field = np.flip(field, y)
        if flip_x:
            field = np.flip(field, x)
        return np.swapaxes(field, y, x) if transpose and square else field

    context = moved(inputs.context).copy()
    at = 0
    for _, channels in config.context:
        if channels == 2:  # a vector (x, y), as the velocity is
            u = context[..., at : at + 2] * np.array([-1 if flip_x else 1, -1 if flip_y else 1], np.float32)
            context[..., at : at + 2] = u[..., ::-1] if transpose and square else u
        at += channels
    changed = inputs._replace(history=np.ascontiguousarray(moved(inputs.history)), context=context)
    return changed, np.ascontiguousarray(moved(truth))
