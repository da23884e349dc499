"""Configuration of the network: what it is told, how wide it is, which head ends it. No JAX here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from nvp.atlas.series import IRREDUCIBLE, Series
from nvp.dynamics.domain import Boundary, DomainSpec
from nvp.errors import FieldError
from nvp.model.own_motion import OwnMotion, detect

Size = Literal["tiny", "small", "base", "literal"]
Compute = Literal["float32", "bfloat16"]

# context fields with a meaning of their own: velocity (x, y) in cells per unit time, and source Q per unit time
VELOCITY = "velocity"
SOURCE = "source"

# rms divergence over rms gradient from which a flow is compressible; one without divergence has about 0.01
_SQUEEZED = 0.1

# size → widths of the energy path at 1/2, 1/4 and 1/8 of the resolution, residual blocks per level, length of z_t
_SIZES: Mapping[Size, tuple[tuple[int, int, int], int, int]] = {
    "tiny": ((16, 32, 32), 1, 128),
    "small": ((32, 64, 96), 1, 512),
    "base": ((96, 160, 224), 2, 512),
}


def relative_work(size: Size) -> float:
    """How much a step of this size takes, of a tiny one: Σ blocks · width² / 4^level, what its convolutions multiply.

    1, 4.6 and 65; the literal layout has other layers and is not among them.
    """

    def of(size: Size) -> float:
        widths, blocks, _ = _SIZES[size]
        return blocks * sum(width * width / 4.0**level for level, width in enumerate(widths, start=1))

    return of(size) / of("tiny")


@dataclass(frozen=True, slots=True, kw_only=True)
class NVPConfig:
    """One network; everything that decides the shapes of its parameters."""

    # what ends it: `conserving` keeps ΣE and E >= 0 (closed or forced energies), `delta` predicts a signed change
    head: Literal["conserving", "delta"] = "conserving"
    # channels of the field; 1 for the conserving head
    channels: int = 1
    # frames it is given, 1 … 4
    history: int = 1
    # edges of the grid
    boundary_x: Boundary = "periodic"
    boundary_y: Boundary = "periodic"
    # context fields it is given at time t, with their channels, in order of name
    context: tuple[tuple[str, int], ...] = ()
    # how many frames of them, the latest first, 1 … history: two show how a flow speeds up
    context_history: int = 1
    # the velocity squeezes and spreads what it carries: ∇·u is not 0
    compressible: bool = False
    # it may shift the places from which a given velocity brings energy; else it trusts the velocity of its inputs
    shifts: bool = True
    # the field carries itself: it is a velocity, or the vorticity of one
    advects_itself: OwnMotion | None = None
    # numbers it is given for the whole series, in order of name
    parameters: tuple[str, ...] = ()
    # the hour of the day and the season are known and matter
    calendar: bool = False
    # (height, width) of the one place it is for: it then knows each cell's mean and mean change by hour of the training
    site: tuple[int, int] | None = None
    # a regression on the last frames, solved before the training, says most of the change (networks of one site)
    linear: bool = False
    # width of each level of the energy path, from 1/2 to 1/8 of the resolution; the gradient path is half as wide
    widths: tuple[int, int, int] = (16, 32, 32)
    # residual blocks per level and path
    blocks: int = 1
    # length of the fused state z_t that conditions the decoder
    latent: int = 128
    # share of z_t and of the deepest features dropped in training, 0 … 1
    dropout: float = 0.0
    # length of the noise vector by which members differ; 0 for a network that says one thing only
    noise: int = 0
    # type in which the convolutions but the last multiply; parameters, sums, activations and the head are float32
    compute: Compute = "float32"
    # residual blocks are computed again in the backward pass instead of kept: less memory, a third more time
    remat: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.history <= 4:
            raise FieldError(
                "BAD_CONFIG",
                f"expected 1 … 4 frames of history, got {self.history}.",
                next_step="Use 1 where the velocity is known, 3 where it is not.",
            )
        if not 1 <= self.context_history <= self.history:
            raise FieldError(
                "BAD_CONFIG",
                f"expected context of 1 … {self.history} frames, got {self.context_history}.",
                next_step="Give it as much history as context.",
            )
        if self.head == "conserving" and self.channels != 1:
            raise FieldError(
                "BAD_CONFIG",
                f"expected one channel for the conserving head, got {self.channels}.",
                next_step="Use the delta head for fields of several channels.",
            )
        if self.advects_itself is not None:
            channels = 2 if self.advects_itself == "velocity" else 1
            if self.head != "delta" or self.channels != channels or self.moves or self.walled:
                raise FieldError(
                    "BAD_CONFIG",
                    f"expected the delta head, {channels} channels, a periodic grid and no given velocity for a "
                    f"{self.advects_itself} that carries itself, got something else.",
                    next_step="Leave `advects_itself` out.",
                )
        if self.compressible and not self.carries:
            raise FieldError(
                "BAD_CONFIG",
                "expected a velocity for a network of compressible flow, got none.",
                next_step="Leave `compressible` out, or give the velocity as context.",
            )
        if not 0 <= self.dropout < 1:
            raise FieldError(
                "BAD_CONFIG", f"expected a dropout in 0 … 1, got {self.dropout}.", next_step="Use 0 for none."
            )
        if self.compute not in get_args(Compute):
            raise FieldError(
                "BAD_CONFIG",
                f"expected compute out of {', '.join(get_args(Compute))}, got {self.compute!r}.",
                next_step="Use bfloat16 on a GPU, float32 elsewhere.",
            )
        if self.noise < 0:
            raise FieldError("BAD_CONFIG", f"expected noise >= 0, got {self.noise}.", next_step="Use 0 for none.")
        if self.site is not None and not self.calendar:
            raise FieldError(
                "BAD_CONFIG",
                "expected calendar time for a network of one site, got none.",
                next_step="Leave `site` out, or give the series its valid_time.",
            )
        if self.linear and (self.site is None or self.head != "delta"):
            raise FieldError(
                "BAD_CONFIG",
                "expected a network of one site with the delta head for a linear path, got another.",
                next_step="Leave `linear` out.",
            )

    @property
    def context_layout(self) -> tuple[tuple[str, int], ...]:
        """Name and channels of all that is stacked as context: every field at t, then every field one frame before."""
        return self.context * self.context_history

    @property
    def context_channels(self) -> int:
        """Channels of all of it together."""
        return sum(channels for _, channels in self.context_layout)

    @property
    def moves(self) -> bool:
        """The velocity is given."""
        return any(name == VELOCITY for name, _ in self.context)

    @property
    def carries(self) -> bool:
        """A velocity is known: given, or the field's own."""
        return self.moves or self.advects_itself is not None

    @property
    def walled(self) -> bool:
        """The grid has an edge."""
        return (self.boundary_x, self.boundary_y) != ("periodic", "periodic")

    @property
    def open(self) -> bool:
        """Energy can leave."""
        return "open" in (self.boundary_x, self.boundary_y)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> NVPConfig:
        """The inverse of `to_json`; raises `FieldError` on names that this version does not know."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise FieldError(
                "BAD_CONFIG",
                f"expected settings out of {', '.join(sorted(known))}, got {', '.join(unknown)}.",
                next_step="Correct the name, or use the version of fieldgraph that wrote it.",
            )
        return cls(**{name: _frozen(value) for name, value in values.items()})


def config_for(spec: DomainSpec, series: Series, *, size: Size = "tiny", history: int | None = None) -> NVPConfig:
    """The network that suits a kind of field: as `series` shows it, in the domain `spec`.

    An energy gets the conserving head, a signed or several-channelled field the delta head. Where no velocity is
    known, and the field does not carry itself, the network sees three frames, out of which motion can be read; calendar
    time makes it a network of one site.
    """
    if size not in _SIZES:
        raise FieldError(
            "BAD_CONFIG", f"expected a size out of {', '.join(_SIZES)}, got {size!r}.", next_step="Use tiny."
        )
    widths, blocks, latent = _SIZES[size]
    _, height, width, channels = series.energy.shape
    calendar = series.valid_time is not None
    delta = spec.signed or channels > 1
    given = VELOCITY in series.context
    periodic = spec.boundary_x == spec.boundary_y == "periodic"
    itself = detect([series]) if delta and periodic and not given else None
    velocity = series.context[VELOCITY] if given else series.energy if itself == "velocity" else None
    return NVPConfig(
        head="delta" if delta else "conserving",
        channels=channels,
        history=history if history is not None else (1 if given or itself else 3),
        boundary_x=spec.boundary_x,
        boundary_y=spec.boundary_y,
        compressible=velocity is not None and _squeezes(velocity),
        advects_itself=itself,
        context=tuple((name, series.context[name].shape[-1]) for name in sorted(series.context)),
        # of a flow that is known, its speeding up is known where its past is
        context_history=(history or 1) if given else 1,
        parameters=tuple(sorted(set(series.parameters) - {IRREDUCIBLE})),
        calendar=calendar,
        site=(height, width) if calendar and delta else None,
        linear=calendar and delta,
        widths=widths,
        blocks=blocks,
        latent=latent,
    )


def _squeezes(velocity: Float[np.ndarray, "t h w 2"]) -> bool:
    """Whether ∇·u is more than what differences make of a flow without: a share of its gradients, inside the grid."""
    u, v = velocity[..., 0].astype(np.float64), velocity[..., 1].astype(np.float64)
    inside = (slice(None), slice(1, -1), slice(1, -1))
    ux, uy, vx, vy = (np.gradient(part, axis=axis)[inside] for part in (u, v) for axis in (2, 1))
    divergence, slopes = np.mean((ux + vy) ** 2), np.mean(ux**2 + uy**2 + vx**2 + vy**2)
    return bool(divergence > _SQUEEZED**2 * slopes)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value
