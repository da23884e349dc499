"""The next-state predictor: E_t and what is known at t → mean, log-variance and outflow of E_{t+1}.

The field is centred on its mean over the grid and divided by its own standard deviation (conserving head: transport is
linear in E, so the network need not learn scales) or by that of the training data (delta head). Untrained it says
persistence, plus Q·dt where a source is known.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, PRNGKeyArray

from nvp.model import heads
from nvp.model.config import SOURCE, VELOCITY, NVPConfig
from nvp.model.hints import Brought, brought, carried, laplacian, origins, slopes, squeezed
from nvp.model.inputs import Inputs
from nvp.model.linear import Constants, hour_at, linear_change
from nvp.model.motion import motion
from nvp.model.own_motion import faded, own_velocity
from nvp.model.padding import Boundaries
from nvp.model.precision import set_precision
from nvp.model.statistics import Statistics
from nvp.model.unet import UNet

# log-variance untrained, in units of the squared change
_FIRST_LOG_VAR = -1.0
# smallest variance, relative to that untrained, and to the squared unit of the field
_LEAST_VARIANCE = 1e-6
_VARIANCE_FLOOR = 1e-12
_SECONDS_OF_DAY = 86_400.0


class Prediction(NamedTuple):
    """One step ahead."""

    mean: Float[Array, "b h w c"]
    log_var: Float[Array, "b h w c"]
    outflow: Float[Array, "b"]


class Fitted(nnx.Variable[Array]):
    """A constant fitted on the training data."""


def _fitted(values: Float32[np.ndarray, "*shape"]) -> Fitted:
    return Fitted(jnp.asarray(values))


class NVP(nnx.Module):
    """Two-path U-Net with FiLM and gated hints; `config.head` ends it."""

    def __init__(self, config: NVPConfig, statistics: Statistics, *, rng: np.random.Generator) -> None:
        self.config = config
        self.mean = _fitted(statistics.mean)
        self.deviation = _fitted(statistics.deviation)
        self.change = _fitted(statistics.change)
        self.parameter_mean = _fitted(statistics.parameter_mean)
        self.parameter_deviation = _fitted(statistics.parameter_deviation)
        self.dt = _fitted(statistics.dt)
        self.context = _fitted(statistics.context)
        self.normal = _fitted(statistics.normal)
        self.activity = _fitted(statistics.activity)
        self.climate = _fitted(statistics.climate)
        self.linear = _fitted(statistics.linear)
        self.reach = _fitted(statistics.reach)
        self.fading = _fitted(statistics.fading)
        c, k = config.channels, config.history
        # A known flow brings change, slopes, Laplacian, heat and density: gates weigh all but slopes, density.
        # A field that carries itself has gates for slopes too, and a faded change; without a flow there are slopes,
        # Laplacian and, where motion can be seen, the last change and that by the motion
        self.warms = config.moves and config.head == "conserving" and SOURCE in dict(config.context)
        if config.moves:
            shown, weighed = 4 + self.warms + config.compressible, 2 + self.warms
        elif config.advects_itself is not None:
            shown = weighed = 5 + config.compressible
        else:
            shown = weighed = 3 + 3 * (k > 1)
        shown, weighed = shown + config.linear, weighed + config.linear
        self.hints = weighed + (config.site is not None)
        paths = config.context_history if config.moves else int(config.carries)
        self.edges = 2 * (config.head == "conserving" and config.open)
        fluxes = 2 if config.head == "conserving" else 0
        self.unet = UNet(
            energy_channels=c * (k + shown + 3 * (config.site is not None))
            + config.context_channels
            - 2 * paths * config.moves,
            gradient_channels=2 * c * (1 + (not config.carries and k > 1)) + 2 * paths,
            scalars=2 * c + len(config.parameters) + 1 + 6 * config.calendar,
            outputs=c * (self.hints + 2) + fluxes + self.edges + 2 * (config.moves and config.shifts),
            widths=config.widths,
            blocks=config.blocks,
            latent=config.latent,
            dropout=config.dropout,
            boundaries=self.boundaries,
            rng=rng,
            noise=config.noise,
        )
        set_precision(self.unet, compute=config.compute, remat=config.remat)

    @property
    def boundaries(self) -> Boundaries:
        """Along y and x."""
        return self.config.boundary_y, self.config.boundary_x

    def __call__(
        self, inputs: Inputs, key: PRNGKeyArray | None = None, noise: Float[Array, "b n"] | None = None
    ) -> Prediction:
        config, c = self.config, self.config.channels
        state = inputs.history[:, -1]
        heat = self._source(inputs)
        mean, unit, step = self._units(state, heat)
        field = (state - mean) / unit
        changes = self._changes(inputs, step)
        displacements, known = self._context(inputs, step)

        # hints are in units of the change: all of them are shown to the network, its gates weigh those in `hints`
        if displacements:
            path, *faster = _extrapolated(displacements)
            origin = origins(path, self.boundaries)

            def bring(origin: Float[Array, "b h w 2"]) -> Brought:
                return brought(
                    field,
                    origin,
                    heat=heat[..., None] / step if self.warms else None,
                    level=mean / unit if config.compressible else None,
                    ratio=unit / step,
                    boundaries=self.boundaries,
                )

            guess = bring(origin)
            shown, hints = guess.known(), list[Array]()
            gradients = [*slopes(field, self.boundaries), path, *faster]
        elif config.advects_itself is not None:
            hints, gradients = self._own_hints(state, field, inputs.dt, mean / unit, unit / step)
            shown = list(hints)
        else:
            hints, gradients = self._hints(field, changes, unit / step)
            shown = list(hints)
        parts = [field, *changes, *known]
        if config.site is not None:
            climate = self._climate(inputs) / step
            hints.append(climate)
            shown.append(climate)
            normal = jnp.take(self.normal[...], jnp.broadcast_to(inputs.apart, inputs.dt.shape), axis=0)
            parts += [(state - normal) / unit, self._over(self.activity[...][None] / step, state)]
        solved = jnp.zeros_like(state)
        if config.linear:
            solved = linear_change(config, self._constants(), self.linear[...], inputs)
            hints.append(solved / step)
            shown.append(solved / step)
        parts += shown
        out = self.unet(
            jnp.concatenate(parts, axis=-1),
            jnp.concatenate(gradients, axis=-1),
            self._scalars(inputs, mean, unit),
            key,
            noise,
        )

        gates, change, log_var, rest = jnp.split(out, [c * self.hints, c * (self.hints + 1), c * (self.hints + 2)], -1)
        if displacements:
            if config.shifts:
                # what the flow brings from where the network says
                rest, guess = rest[..., :-2], bring(origin + rest[..., -2:])
            hints = [*guess.weighed(), *hints]
        gates = gates.reshape(*gates.shape[:-1], self.hints, c)
        change = solved + step * (change + jnp.einsum("bhwnc,bhwnc->bhwc", gates, jnp.stack(hints, axis=-2)))
        typical = self._over(self.activity[...][None], state) if config.site is not None else step
        # nobody is surer than that: the likelihood of one error would outweigh all others
        log_var = (
            jnp.logaddexp(log_var, np.float32(np.log(_LEAST_VARIANCE)))
            + _FIRST_LOG_VAR
            + jnp.log(typical**2 + _VARIANCE_FLOOR * unit**2)
        )
        if config.head == "delta":
            return Prediction(state + change, log_var, jnp.zeros(state.shape[0], state.dtype))
        base = state[..., 0] + heat
        rest = rest * step
        edges = (rest[:, :, 0, 2], rest[:, 0, :, 3]) if self.edges else None
        state, outflow = heads.conserve(base, rest[..., 0], rest[..., 1], change[..., 0], edges, self.boundaries)
        return Prediction(state[..., None], log_var, outflow)

    def _units(self, state: Float[Array, "b h w c"], heat: Float[Array, "b h w"]) -> tuple[Array, Array, Array]:
        """Mean of the field, unit of the field and unit of the change; (b, 1, 1, c) each."""
        mean = state.mean(axis=(1, 2), keepdims=True)
        if self.config.head == "delta":
            unit, step = (jnp.broadcast_to(x[...][None, None, None], mean.shape) for x in (self.deviation, self.change))
            if self.config.advects_itself is None:
                return mean, unit, step
            # how fast it moves depends on how strong it is: seen in its own unit, it looks the same at all strengths
            own = jnp.sqrt(jnp.mean((state - mean) ** 2, axis=(1, 2), keepdims=True) + (1e-6 * unit) ** 2)
            return mean, own, own * step / unit
        variance = jnp.mean((state - mean) ** 2, axis=(1, 2), keepdims=True)
        if any(name == SOURCE for name, _ in self.config.context):
            # a field that is uniform as yet may be heated unevenly
            variance = variance + jnp.mean(heat**2, axis=(1, 2))[:, None, None, None]
        # a uniform field has no unit of its own: its change is then counted against its mean, an empty one's against 1
        floor = 1e-6 * jnp.abs(mean) + jnp.where(mean == 0, 1.0, 0.0)
        unit = jnp.sqrt(variance + floor**2)
        return mean, unit, unit

    def _changes(self, inputs: Inputs, step: Float[Array, "b 1 1 c"]) -> list[Array]:
        """Changes between the given frames, latest first, less what the hour explains."""
        changes = []
        for k in range(1, self.config.history):
            change = inputs.history[:, -k] - inputs.history[:, -k - 1]
            if self.config.site is not None:
                change = change - self._climate(inputs, ago=k)
            changes.append(change / step)
        return changes

    def _context(self, inputs: Inputs, step: Float[Array, "b 1 1 c"]) -> tuple[list[Array], list[Array]]:
        """Displacements u·dt where the velocity is given, and the other fields: Q·dt in units of the change."""
        displacements, known, at = [], [], 0
        size = jnp.tile(self.context[...], self.config.context_history)
        for name, channels in self.config.context_layout:
            values = inputs.context[..., at : at + channels]
            if name == VELOCITY:
                displacements.append(values * inputs.dt[:, None, None, None])
            elif name == SOURCE and self.config.head == "conserving":
                known.append(values * inputs.dt[:, None, None, None] / step)
            else:
                known.append(values / size[at : at + channels][None, None, None])
            at += channels
        return displacements, known

    def _own_hints(
        self,
        state: Float[Array, "b h w c"],
        field: Float[Array, "b h w c"],
        dt: Float[Array, "b"],
        level: Float[Array, "b 1 1 c"],
        ratio: Float[Array, "b 1 1 c"],
    ) -> tuple[list[Array], list[Array]]:
        """Guesses of the change of a field that carries itself, in its units, and what the gradient path reads."""
        kind = self.config.advects_itself
        assert kind is not None
        path = own_velocity(state, kind, jnp) * dt[:, None, None, None]
        displacement, spread = path * self.reach[0], path * self.reach[1]
        there = carried(field, displacement, self.boundaries)
        guesses = [there - field, *slopes(there, self.boundaries), laplacian(there, self.boundaries)]
        come = there
        if self.config.compressible:
            # of the whole field, its mean included
            guesses.append((there + level) * squeezed(spread, self.boundaries))
            come = there + guesses[-1]
        guesses.append(faded(come, self.fading[...], dt / self.dt[...], jnp) - field)
        return [guess * ratio for guess in guesses], [*slopes(field, self.boundaries), displacement]

    def _hints(
        self,
        field: Float[Array, "b h w c"],
        changes: list[Array],
        ratio: Float[Array, "b 1 1 c"],
    ) -> tuple[list[Array], list[Array]]:
        """Guesses of the change where no flow is known, in its units, and what the gradient path reads."""
        gx, gy = slopes(field, self.boundaries)
        guesses = [gx * ratio, gy * ratio, laplacian(field, self.boundaries) * ratio]
        if not changes:
            return guesses, [gx, gy]
        frames = [field]
        for change in changes:
            frames.append(frames[-1] - change / ratio)
        velocity = motion(frames, [change / ratio for change in changes], self.boundaries)
        seen = -(velocity[..., 0] * gx + velocity[..., 1] * gy) * ratio
        # the last change goes on where it is, or moves along: heating stays, fronts travel
        along = carried(changes[0], velocity.mean(axis=-2), self.boundaries)
        return [*guesses, changes[0], seen, along], [gx, gy, velocity[..., 0], velocity[..., 1]]

    def _climate(self, inputs: Inputs, *, ago: int = 0) -> Float[Array, "b h w c"]:
        """Mean change over the step that begins at this hour, or so many steps ago."""
        hour = hour_at(inputs.clock[:, 0] - ago * inputs.dt / _SECONDS_OF_DAY)
        found: Float[Array, "b h w c"] = self.climate[...][inputs.apart, hour]
        return found

    def _constants(self) -> Constants:
        return Constants(*(x[...] for x in (self.normal, self.climate, self.activity, self.deviation, self.dt)))

    def _scalars(self, inputs: Inputs, mean: Array, unit: Array) -> Float[Array, "b s"]:
        b = mean.shape[0]
        if self.config.head == "conserving":
            level = jnp.log((jnp.abs(mean) + unit * 1e-6) / unit).reshape(b, -1)
        else:
            level = ((mean - self.mean[...][None, None, None]) / unit).reshape(b, -1)
        parts = [
            level,
            self._strength(level, unit) if self.config.head == "delta" else jnp.tanh(level),
            (inputs.parameters - self.parameter_mean[...][None]) / self.parameter_deviation[...][None],
            jnp.log(inputs.dt / self.dt[...])[:, None],
        ]
        if self.config.calendar:
            angles = 2 * jnp.pi * jnp.stack([inputs.clock[:, 0], 2 * inputs.clock[:, 0], inputs.clock[:, 1]], axis=-1)
            parts += [jnp.cos(angles), jnp.sin(angles)]
        return jnp.concatenate(parts, axis=-1)

    def _strength(self, level: Float[Array, "b c"], unit: Array) -> Float[Array, "b c"]:
        """How strong a field that carries itself is, beside the training data; 0 for others."""
        strength: Float[Array, "b c"] = jnp.log(unit / self.deviation[...][None, None, None]).reshape(level.shape)
        return strength if self.config.advects_itself is not None else jnp.zeros_like(level)

    def _source(self, inputs: Inputs) -> Float[Array, "b h w"]:
        """Q·dt."""
        at = 0
        for name, channels in self.config.context:
            if name == SOURCE:
                heat: Array = inputs.context[..., at] * inputs.dt[:, None, None]
                return heat
            at += channels
        return jnp.zeros(inputs.history.shape[:1] + inputs.history.shape[2:4], inputs.history.dtype)

    @staticmethod
    def _over(field: Float[Array, "_ h w c"], state: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        return jnp.broadcast_to(field, state.shape)


def _extrapolated(displacements: list[Array]) -> list[Array]:
    """Displacement over the step as the flow goes on to speed up, its gain over the last step, and those before."""
    now, *before = displacements
    if not before:
        return [now]
    gains = [later - earlier for later, earlier in zip(displacements[:-1], before, strict=True)]
    return [now + 0.5 * gains[0], *gains]


def parameter_count(model: NVP) -> int:
    """Trained numbers."""
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
