"""Examples out of series: each is a window at t and the truth at t+1.

The order is drawn per epoch out of (rng seed, epoch), so that where a training stands in its data is a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Int32

from nvp.atlas.canonical import digests
from nvp.atlas.series import Series
from nvp.dynamics.domain import DomainSpec, domain
from nvp.errors import FieldError
from nvp.model.climate import groups_of
from nvp.model.config import NVPConfig
from nvp.model.inputs import Inputs, clock_of, context_of


class Batch(NamedTuple):
    """Windows and what follows them: of numpy arrays on the host, of JAX arrays in the step; float32."""

    inputs: Inputs
    # (b, k - 1, h, w, x) and (b, k - 1, 2): context and clock at the later steps, as recorded
    context: Any
    clock: Any
    # (b, k, h, w, c)
    truth: Any

    @property
    def horizon(self) -> int:
        """Steps ahead."""
        return int(self.truth.shape[1])


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

    @property
    def digest(self) -> str:
        """sha256 over the hashes of the training part's frames, in order: what a model has learnt from."""
        state = sha256()
        for part in self.train:
            for frame in digests(part.energy):
                state.update(bytes.fromhex(frame))
        return state.hexdigest()


class Examples:
    """All windows of some series, by number."""

    def __init__(self, config: NVPConfig, series: Sequence[Series], *, seen: bool = False) -> None:
        """`seen`: the climate of one site was fitted to these very days; each example is told that of the others."""
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
        self._groups = groups_of(series) if seen and config.site is not None else None
        self._longer: dict[int, Int[np.ndarray, "n"]] = {}

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, numbers: Int[np.ndarray, "b"]) -> tuple[Inputs, Float[np.ndarray, "b h w c"]]:
        """Inputs at t and the truth at t+1 of these windows."""
        config = self.config
        chosen = [(self.series[i], int(t)) for i, t in self.index[numbers]]
        history = np.stack([part.energy[t + 1 - config.history : t + 1] for part, t in chosen]).astype(np.float32)
        parameters = [[part.parameters[name] for name in config.parameters] for part, _ in chosen]
        times = np.array([part.valid_time[t] for part, t in chosen if part.valid_time is not None])
        inputs = Inputs(
            history=history,
            context=context_of(config, chosen, 0, history),
            parameters=np.array(parameters, np.float32).reshape(len(chosen), len(config.parameters)),
            clock=clock_of(times if config.calendar else None, len(chosen)),
            dt=np.array([part.dt for part, _ in chosen], np.float32),
            apart=self._apart(numbers),
        )
        return inputs, np.stack([part.energy[t + 1] for part, t in chosen]).astype(np.float32)

    def _apart(self, numbers: Int[np.ndarray, "b"]) -> Int32[np.ndarray, "b"]:
        if self._groups is None:
            return np.zeros(len(numbers), np.int32)
        return np.array([self._groups[i][t] for i, t in self.index[numbers]], np.int32)

    def rollouts(self, numbers: Int[np.ndarray, "b"], horizon: int) -> Batch:
        """The same windows with `horizon` frames that follow; numbers out of `numbers_for(horizon)`."""
        config = self.config
        inputs, _ = self.batch(numbers)
        chosen = [(self.series[i], int(t)) for i, t in self.index[numbers]]
        b, (_, height, width, _) = len(chosen), inputs.history.shape[1:]
        context = np.zeros((b, horizon - 1, height, width, config.context_channels), np.float32)
        clock = np.zeros((b, horizon - 1, 2), np.float32)
        for k in range(1, horizon):
            context[:, k - 1] = context_of(config, chosen, k, inputs.history)
            times = np.array([part.valid_time[t + k] for part, t in chosen if part.valid_time is not None])
            clock[:, k - 1] = clock_of(times if config.calendar else None, b)
        truth = np.stack([part.energy[t + 1 : t + 1 + horizon] for part, t in chosen]).astype(np.float32)
        return Batch(inputs, context, clock, truth)

    def numbers_for(self, horizon: int) -> Int[np.ndarray, "n"]:
        """Windows that `horizon` unbroken frames follow."""
        if horizon not in self._longer:
            starts = [set(unbroken(part, self.config.history, horizon)) for part in self.series]
            found = [number for number, (i, t) in enumerate(self.index) if t in starts[i]]
            if not found:
                raise FieldError(
                    "NO_DATA",
                    f"expected series of at least {self.config.history + horizon} consecutive frames, got none.",
                    next_step="Unroll fewer steps.",
                )
            self._longer[horizon] = np.array(found, np.int64)
        return self._longer[horizon]

    def epoch(self, epoch: int, *, batch: int, rng_seed: int, augment: bool, horizon: int = 1) -> Iterator[Batch]:
        """The batches of one pass: as many whatever the horizon, all of the same size.

        A rest that does not fill one is left to other epochs; where fewer windows than usual have so long a future,
        some of them come twice.
        """
        rng = np.random.default_rng((rng_seed, epoch))
        order = rng.permutation(self.numbers_for(horizon))
        order = np.resize(order, max(batch, len(self) // batch * batch))
        symmetric = augment and self.config.site is None
        for start in range(0, len(order), batch):
            chosen = self.rollouts(order[start : start + batch], horizon)
            yield moved(self.config, chosen, rng) if symmetric else chosen

    def steps(self, batch: int) -> int:
        """Batches in one pass."""
        return max(1, len(self) // batch)


def unbroken(series: Series, history: int, horizon: int = 1) -> list[int]:
    """Positions t whose K frames of history and whose next frames follow each other without a gap in time."""
    starts = range(history - 1, len(series) - horizon)
    if series.valid_time is None:
        return list(starts)
    steps = np.diff(series.valid_time.astype("datetime64[s]").astype(np.int64))
    whole = steps == round(series.dt)
    return [t for t in starts if whole[t - history + 1 : t + horizon].all()]


def symmetry(
    config: NVPConfig, inputs: Inputs, truth: Float[np.ndarray, "b h w c"], rng: np.random.Generator
) -> tuple[Inputs, Float[np.ndarray, "b h w c"]]:
    """`moved`, for windows with the one frame that follows."""
    none = np.zeros((len(truth), 0, *inputs.context.shape[1:]), np.float32)
    found = moved(config, Batch(inputs, none, np.zeros((len(truth), 0, 2), np.float32), truth[:, None]), rng)
    return found.inputs, found.truth[:, 0]


def moved(config: NVPConfig, batch: Batch, rng: np.random.Generator) -> Batch:
    """One random symmetry of the domain for the whole batch: flips, a transposition, shifts along periodic axes.

    Components of a vector turn with the axes, and a vorticity changes its sign with each of them. What a field of
    several channels is, nobody knows, unless it carries itself: it is shifted only.
    """
    height, width = batch.truth.shape[2:4]
    square = height == width and config.boundary_x == config.boundary_y
    flip_y, flip_x, transpose = (bool(x) for x in rng.integers(0, 2, 3))
    if config.channels > 1 and config.advects_itself is None:
        flip_y = flip_x = transpose = False
    shift_y = int(rng.integers(height)) if config.boundary_y == "periodic" else 0
    shift_x = int(rng.integers(width)) if config.boundary_x == "periodic" else 0

    def scalar(field: Float[np.ndarray, "*b h w c"]) -> Float[np.ndarray, "*b h w c"]:
        y, x = field.ndim - 3, field.ndim - 2
        if shift_y or shift_x:
            field = np.roll(field, (shift_y, shift_x), (y, x))
        if flip_y:
            field = np.flip(field, y)
        if flip_x:
            field = np.flip(field, x)
        return np.ascontiguousarray(np.swapaxes(field, y, x) if transpose and square else field)

    def turned(vector: Float[np.ndarray, "*b h w 2"]) -> Float[np.ndarray, "*b h w 2"]:
        u = vector * np.array([-1 if flip_x else 1, -1 if flip_y else 1], np.float32)
        return u[..., ::-1] if transpose and square else u

    def state(field: Float[np.ndarray, "*b h w c"]) -> Float[np.ndarray, "*b h w c"]:
        field = scalar(field)
        if config.advects_itself == "velocity":
            return np.ascontiguousarray(turned(field))
        turns = flip_x + flip_y + (transpose and square)
        return -field if config.advects_itself == "vorticity" and turns % 2 else field

    def stacked(field: Float[np.ndarray, "*b h w x"]) -> Float[np.ndarray, "*b h w x"]:
        context, at = scalar(field).copy(), 0
        for _, channels in config.context_layout:
            if channels == 2:  # a vector (x, y), as the velocity is
                context[..., at : at + 2] = turned(context[..., at : at + 2])
            at += channels
        return context

    inputs = batch.inputs._replace(history=state(batch.inputs.history), context=stacked(batch.inputs.context))
    return batch._replace(inputs=inputs, context=stacked(batch.context), truth=state(batch.truth))
