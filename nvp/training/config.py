"""Configuration of a training. No JAX here, so that the API can check one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from nvp.errors import FieldError
from nvp.model.config import NVPConfig, Size


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """How a network is trained; None means what suits the data (`suited`)."""

    # size of the network: tiny (0.15 M), small (1 M) or base (8.5 M parameters)
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
    # examples per step
    batch: int | None = None
    # largest learning rate; it rises over the first 5 % and falls to 0 by a cosine
    learning_rate: float | None = None
    # decay of the kernels per unit learning rate (AdamW)
    weight_decay: float | None = None
    # share of z_t and of whole channels that is dropped, 0 … 1
    dropout: float | None = None
    # largest global norm of a gradient
    clip: float = 1.0
    # decay of the running mean of the parameters, which is what is validated and kept
    ema: float = 0.995
    # weight of the likelihood of the log-variance beside the fidelity
    variance_weight: float = 0.02
    # flips, transpositions and shifts, where the domain has these symmetries
    augment: bool = True
    # epochs without a better validation after which training stops; None for never
    patience: int | None = None
    # windows of the validation part that are looked at after each epoch, evenly spread
    validation_windows: int = 256
    # seconds between checkpoints; the last one is always written
    checkpoint_seconds: float = 20.0

    def __post_init__(self) -> None:
        for name in ("epochs", "seconds", "cpu_seconds", "batch", "learning_rate", "patience"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise FieldError(
                    "BAD_CONFIG", f"expected {name} > 0, got {value}.", next_step="Leave it out for the default."
                )
        if not 0 <= self.ema < 1:
            raise FieldError("BAD_CONFIG", f"expected 0 <= ema < 1, got {self.ema}.", next_step="Use 0.995.")

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """The inverse of `to_json`; raises `FieldError` on unknown names."""
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise FieldError(
                "BAD_CONFIG",
                f"expected settings out of {', '.join(known)}, got {', '.join(unknown)}.",
                next_step="Correct the name.",
            )
        return cls(**values)


def suited(config: TrainingConfig, model: NVPConfig) -> TrainingConfig:
    """The same configuration with every open choice made for this kind of network.

    A network of one site has few and similar examples: it is held back by dropout, weight decay and an early
    stop. Simulated fields come in any number, and there only the steps count.
    """
    site = model.site is not None
    defaults: dict[str, Any] = {
        "history": model.history,
        "epochs": 12 if site else 30,
        "batch": 4 if site else 8,
        "learning_rate": 5e-4 if site else 2e-3,
        "weight_decay": 1.0 if site else 1e-4,
        "dropout": 0.3 if site else 0.0,
        "patience": 8 if site else 1000,
    }
    return replace(config, **{name: value for name, value in defaults.items() if getattr(config, name) is None})
