"""Configuration of a training. No JAX here, so that the API can check one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeVar

from nvp.errors import FieldError
from nvp.model.config import Compute, Size
from nvp.training.stage_config import StageConfig

Recipe = Literal["default", "seeds"]
Schedule = Literal["cosine", "constant"]
C = TypeVar("C")


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """Weights of the terms of the loss (`nvp.training.loss`); a term of weight 0 is neither computed nor logged."""

    # the metric itself: sqrt(Σ‖P − T‖²/Σ‖T − O‖²)
    fidelity: float = 1.0
    # the same of each pair, averaged
    pairs: float = 0.0
    # likelihood of the log-variance
    variance: float = 0.02
    # None: the likelihood teaches the variance only. 0 … 1: it teaches the mean too, each cell weighted by σ^(2·beta)
    beta: float | None = None
    # mean squared error of fields of unit mean
    mse: float = 0.0
    # |ΣP − ΣT|/ΣT
    conservation: float = 0.0
    # max(0, fall of the spatial entropy − threshold): from the state before (the second law), or from the truth's
    entropy: float = 0.0
    entropy_from: Literal["state", "truth"] = "state"
    # in nats
    entropy_threshold: float = 0.0
    # the fidelity term of the slopes (H1)
    gradient: float = 0.0
    # mean over wave numbers of (1 − power of P / power of T)²
    spectral: float = 0.0

    def __post_init__(self) -> None:
        # NaN is no weight either
        negative = [name for name in TERMS if not getattr(self, name) >= 0]
        if negative or not any(getattr(self, name) for name in TERMS):
            raise FieldError(
                "BAD_CONFIG",
                f"expected weights >= 0 and one above 0, got {self.weights or 'none'}.",
                next_step="Leave the loss out for the default.",
            )
        if self.beta is not None and not 0 <= self.beta <= 1:
            raise FieldError("BAD_CONFIG", f"expected beta in 0 … 1, got {self.beta}.", next_step="Use 0.5.")

    @property
    def weights(self) -> dict[str, float]:
        """The terms that count, by name."""
        return {name: getattr(self, name) for name in TERMS if getattr(self, name)}


TERMS = ("fidelity", "pairs", "variance", "mse", "conservation", "entropy", "gradient", "spectral")
"""Names of the terms, which are also the names of their weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """How a network is trained; None means what suits recipe and data (`nvp.training.recipes.suited`)."""

    # what decides where the rest is left open: `default`, or `seeds` (Adam 1e-4, MSE and penalties)
    recipe: Recipe = "default"
    # size of the network: tiny (0.15 M), small (1 M) or base (8.5 M parameters); or the literal layout on its one grid
    size: Size = "tiny"
    # frames it is given, 1 … 4
    history: int | None = None
    # draws weights, order of the examples and augmentation
    rng_seed: int = 0

    # passes over the training part, unless `seconds` or `cpu_seconds` run out first
    epochs: int | None = None
    # wall seconds, compilation included; None for no limit. The learning rate then falls with time
    seconds: float | None = None
    # CPU seconds of this process, all its threads, compilation apart; None for no limit. The same skill on a busy
    # machine; like `seconds` it drives the learning rate, and only `epochs` repeat bit for bit
    cpu_seconds: float | None = None
    # epochs without a better validation after which training stops; None for never
    patience: int | None = None

    # examples per step
    batch: int | None = None
    # parts in which a batch is worked off, for less memory; the step is that of the whole batch
    accumulate: int = 1
    # largest learning rate
    learning_rate: float | None = None
    # `cosine` rises over the first 5 % and falls to 0; `constant` does neither
    schedule: Schedule | None = None
    # decay of the kernels per unit learning rate (AdamW)
    weight_decay: float | None = None
    # decay of Adam's mean square
    beta2: float | None = None
    # share of z_t and of whole channels that is dropped, 0 … 1
    dropout: float | None = None
    # largest global norm of a gradient
    clip: float = 1.0
    # largest rms of an update of each block of parameters, per unit learning rate; 0 for no limit
    largest_update: float | None = None
    # decay of the running mean of the parameters, which is what is validated and kept; 0 for none
    ema: float | None = None
    # what is minimised
    loss: LossConfig | None = None
    # flips, transpositions and shifts, where the domain has these symmetries
    augment: bool | None = None

    # steps ahead that the loss looks at, each from the network's own step before, with the forcing as recorded
    unroll: int = 1
    # `last`: the gradient passes through the last of the steps only (pushforward); `all`: through all of them
    unroll_gradient: Literal["last", "all"] = "last"
    # share of the training in which the horizon grows from 1 to `unroll`
    curriculum: float = 0.5
    # noise on the newest frame, its deviation relative to that of the change: what a rollout's own errors are like
    input_noise: float = 0.0

    # what the network is trained on to afterwards, with a budget of its own; None for nothing
    stage: StageConfig | None = None

    # type in which the convolutions multiply
    compute: Compute = "float32"
    # blocks are computed again for the gradient: less memory, a third more time
    remat: bool = False
    # devices that share a batch; None for all that divide it
    devices: int | None = None
    # steps per dispatch, as one scan; None for 8 on a GPU and 1 elsewhere, where convolutions in a scan are slow
    dispatch: int | None = None

    # windows of the validation part that are looked at after each epoch, evenly spread
    validation_windows: int = 256
    # seconds between checkpoints; the last one is always written
    checkpoint_seconds: float = 20.0
    # states to resume from that are kept, and checkpoints that were the best before the one that is
    keep: int = 2
    # steps in a row whose loss or gradient is not finite, each of them skipped, after which training gives up
    tolerated: int = 10
    # write TensorBoard's files; None where tensorboardX is installed
    tensorboard: bool | None = None

    def __post_init__(self) -> None:
        for name, (wanted, fits) in _WANTED.items():
            value = getattr(self, name)
            if value is not None and not fits(value):
                raise FieldError(
                    "BAD_CONFIG", f"expected {name} {wanted}, got {value}.", next_step="Leave it out for the default."
                )
        if self.batch is not None and self.batch % self.accumulate:
            raise FieldError(
                "BAD_CONFIG",
                f"expected a batch that {self.accumulate} parts divide, got {self.batch}.",
                next_step=f"Use {self.batch // self.accumulate * self.accumulate or self.accumulate}.",
            )

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    def learnt(self) -> dict[str, Any]:
        """What makes another model of the same data: all but how it is run and written."""
        return {name: value for name, value in asdict(self).items() if name not in _OPERATION}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """The inverse of `to_json`; raises `FieldError` on unknown names."""
        for name, kind in (("loss", LossConfig), ("stage", StageConfig)):
            part = values.get(name)
            if isinstance(part, Mapping):
                values = {**values, name: _made(kind, part)}
        return _made(cls, values)


_OPERATION = ("checkpoint_seconds", "keep", "tolerated", "tensorboard", "devices", "dispatch")
# comparisons that no NaN passes
_ABOVE_0: tuple[str, Callable[[Any], bool]] = ("> 0", lambda value: value > 0)
_AT_LEAST_0: tuple[str, Callable[[Any], bool]] = (">= 0", lambda value: 0 <= value < math.inf)
_BELOW_1: tuple[str, Callable[[Any], bool]] = (">= 0 and < 1", lambda value: 0 <= value < 1)
_WANTED: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("epochs", "seconds", "cpu_seconds", "patience", "batch", "accumulate", "unroll"), _ABOVE_0),
    **dict.fromkeys(("devices", "dispatch", "validation_windows", "keep", "tolerated", "clip"), _ABOVE_0),
    **dict.fromkeys(("rng_seed", "weight_decay", "largest_update", "input_noise", "checkpoint_seconds"), _AT_LEAST_0),
    **dict.fromkeys(("ema", "dropout"), _BELOW_1),
    "learning_rate": ("> 0 and finite", lambda value: 0 < value < math.inf),
    "beta2": ("> 0 and < 1", lambda value: 0 < value < 1),
    "curriculum": ("in 0 … 1", lambda value: 0 <= value <= 1),
}


def _made(kind: type[C], values: Mapping[str, Any]) -> C:
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    if unknown := sorted(set(values) - set(known)):
        raise FieldError(
            "BAD_CONFIG",
            f"expected settings out of {', '.join(known)}, got {', '.join(unknown)}.",
            next_step="Correct the name.",
        )
    return kind(**values)
