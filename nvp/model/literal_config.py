"""Configuration of the layout that flattens its features into one dense layer. No JAX here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nvp.errors import FieldError

# the encoders halve the resolution three times
_FACTOR = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class LiteralConfig:
    """Everything that decides the shapes of its parameters; the grid is one of them."""

    latent_dim: int = 512
    encoder_features: tuple[int, int, int] = (64, 128, 256)
    decoder_features: tuple[int, int, int] = (256, 128, 64)
    use_residual: bool = True
    # share of z_t dropped in training, 0 … 1
    dropout_rate: float = 0.1
    # height and width of the one grid it is for
    input_shape: tuple[int, int] = (256, 256)

    def __post_init__(self) -> None:
        if any(side <= 0 or side % _FACTOR for side in self.input_shape):
            raise FieldError(
                "BAD_CONFIG",
                f"expected sides divisible by {_FACTOR}, got {self.input_shape[0]} × {self.input_shape[1]}.",
                next_step="Crop or regrid the fields.",
            )
        if not 0 <= self.dropout_rate < 1:
            raise FieldError(
                "BAD_CONFIG", f"expected a dropout in 0 … 1, got {self.dropout_rate}.", next_step="Use 0.1."
            )

    @property
    def coarse_shape(self) -> tuple[int, int]:
        """Height and width of the deepest features."""
        return self.input_shape[0] // _FACTOR, self.input_shape[1] // _FACTOR

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> LiteralConfig:
        """The inverse of `to_json`."""
        plain: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in values.items()}
        return cls(**plain)
