"""Configuration of a second stage: what a trained network is trained on to. No JAX here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from nvp.errors import FieldError

Kind = Literal["members", "diffusion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """One stage; its budget is the first of `epochs`, `seconds` and `cpu_seconds` to be used up."""

    # `members`: fair CRPS of a few members that noise tells apart; `diffusion`: a denoiser of the residual
    kind: Kind
    # members per example, 2 … 4, and length of the noise vector (kind `members`)
    members: int = 2
    noise: int = 16
    # passes over the training part
    epochs: int = 10
    # wall seconds, compilation included, and CPU seconds of this process, compilation apart; None for no limit
    seconds: float | None = None
    cpu_seconds: float | None = None
    # examples per step
    batch: int = 8
    # largest learning rate; None for 5e-4 (members), whose network is trained already, and 2e-3 (diffusion)
    learning_rate: float | None = None
    # largest global norm of a gradient, and decay of the running mean of the parameters, which is what is kept
    clip: float = 1.0
    ema: float = 0.99
    rng_seed: int = 0
    # flips, transpositions and shifts, where the domain has these symmetries
    augment: bool = True

    def __post_init__(self) -> None:
        if self.kind == "members" and not 2 <= self.members <= 4:
            raise FieldError("BAD_CONFIG", f"expected 2 … 4 members, got {self.members}.", next_step="Use 2.")
        for name in ("noise", "epochs", "seconds", "cpu_seconds", "batch", "learning_rate", "clip"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise FieldError(
                    "BAD_CONFIG", f"expected {name} > 0, got {value}.", next_step="Leave it out for the default."
                )
        if not 0 <= self.ema < 1:
            raise FieldError("BAD_CONFIG", f"expected 0 <= ema < 1, got {self.ema}.", next_step="Use 0.99.")

    @property
    def rate(self) -> float:
        """Largest learning rate."""
        return self.learning_rate or (5e-4 if self.kind == "members" else 2e-3)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StageConfig:
        """The inverse of `to_json`; raises `FieldError` on unknown names."""
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise FieldError(
                "BAD_CONFIG",
                f"expected settings out of {', '.join(known)}, got {', '.join(unknown)}.",
                next_step="Correct the name.",
            )
        return cls(**values)
