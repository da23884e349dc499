"""`turbulent_radiative_layer`: hot gas streams over cold gas, mixes with it, and what is mixed cools.

    ∂ω/∂t + (u + V)·∇ω = ν∇²ω + (Ω(y) − ω)/τ + ∇×f       shear of ± speed between two streams (`channel.py`), stirred
    ∂E/∂t + ∇·((u + V)E) = κ∇²E − λ(E) E                   E: thermal energy, from `cold` below to `hot` above
    λ(E) = λ₀ (4x (1 − x))²,   x = ln(E/cold)/ln(hot/cold)  only mixed gas cools, most at the geometric mean

Periodic along the stream x, open across it: hot gas enters above at the speed V, cold gas leaves below, without a
gradient at either edge, so that what enters is what the edge holds. Kelvin–Helmholtz billows and a random force of the
layer's own size (`stirring.py`) fold the front; the flow returns to its mean shear within τ, which keeps it alive. The
density contrast of the phases is left out of the momentum. ∑∫Q dt and net outflow are recorded per step.

Measured with the default configuration, 5 sequences of 50 frames at 64², 128², 256² and 128×384: persistence VRMSE
0.30, 0.28, 0.28 and 0.29, fidelity of linear extrapolation −0.21 to −0.25; told velocity and Q of time t alone, this
transport step reaches a pooled fidelity of 0.73, 0.78, 0.82 and 0.78, a first-order upwind step 0.64, 0.69, 0.72 and
0.68. Cooling takes 0.9 to 1.8 % of ΣE per frame, the edges bring in 0.5 to 1.4 %: ΣE falls by a fifth within 50 frames,
and misses the two by 1e-7 of itself. One core makes a sequence at 64² in 1.4 s.

References: Fielding et al., ApJL 894, L24 (2020); Tan, Oh & Gronke, MNRAS 502, 3179 (2021), cooling fronts in
turbulence; Ohana et al., The Well (2024), the data set of this name.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from nvp.dynamics import channel
from nvp.dynamics.configs.radiative_layer import RadiativeLayerConfig
from nvp.dynamics.frames import frames
from nvp.dynamics.random_fields import gaussian_field
from nvp.dynamics.simulation import Trajectory, log_uniform, sub_steps
from nvp.dynamics.spectral import spectral
from nvp.dynamics.stirring import curl, stirring
from nvp.dynamics.transport import Advanced, Faces, advance

Field = Float[Array, "h w"]
# vorticity, force, E
State = tuple[Field, Float[Array, "2 h w"], Field]
# how far the front is displaced at first, as a share of the height
CORRUGATION = 0.12
# its half-thickness (grid units)
FRONT = 2.0


@spectral
def trajectory(config: RadiativeLayerConfig, key: PRNGKeyArray) -> Trajectory:
    """One sequence: draws its parameters, the shape of its first front and all of its stirring from the key."""
    shape, h = config.shape, config.height
    front_key, start_key, stir_key, *keys = jax.random.split(key, 7)
    ranges = (config.viscosity, config.diffusivity, config.cooling, config.inflow)
    viscosity, diffusivity, highest, inflow = (log_uniform(k, *r) for k, r in zip(keys, ranges, strict=True))

    count, step = sub_steps(config)
    warm = max(1, round(config.warm_up / step))
    # height above the middle, in units of the shear's half-thickness
    thickness = config.thickness * h
    y = (jnp.arange(h) + 0.5 - h / 2) / thickness
    shear = -config.speed / thickness / jnp.cosh(y) ** 2
    flow = channel.stepper(
        shape=shape, step=step, viscosity=viscosity, cross=-inflow, shear=shear, relaxation=config.relaxation
    )
    start, stir = stirring(shape=shape, step=step, wavelength=config.eddy * h, memory=config.memory, solenoidal=1.0)
    # the force acts in the middle and vanishes at both edges
    strength = config.force * jnp.sin(jnp.pi * (jnp.arange(h) + 0.5) / h)[:, None] ** 2

    # a front, as thin as cells resolve, that is displaced at random
    away = (y * thickness)[:, None] + CORRUGATION * h * gaussian_field(front_key, shape, config.eddy * h)
    energy = config.cold + (config.hot - config.cold) * 0.5 * (1 + jnp.tanh(away / FRONT))
    vorticity = jnp.broadcast_to(shear[:, None], shape)

    def one_step(index: Int[Array, ""], state: State) -> tuple[State, Advanced]:
        before, force, carried = state
        force = stir(force, jax.random.fold_in(stir_key, index))
        after = flow(before, curl(strength * force))
        faces = channel.face_velocity(0.5 * (before + after), -inflow)
        done = cooled(carried, faces, config, duration=step, diffusivity=diffusivity, highest=highest)
        return (after, force, done.energy), done

    def look(state: State) -> tuple[Array, Array, Array]:
        vorticity, _, energy = state
        source = -cooling(energy, config, highest) * energy
        return energy, channel.velocity(vorticity, -inflow), source[..., None]

    begun = (vorticity, start(start_key), energy)
    made = frames(one_step, look, begun, warm=warm, count=count, length=config.steps)
    energies, velocities, sources = made.seen
    return Trajectory(
        energy=energies,
        context={"velocity": velocities, "source": sources},
        source_total=made.source,
        outflow_total=made.outflow,
        parameters={"viscosity": viscosity, "diffusivity": diffusivity, "cooling": highest, "inflow": inflow},
    )


@spectral
def cooled(
    energy: Field,
    faces: Faces,
    config: RadiativeLayerConfig,
    *,
    duration: float | Float[Array, ""],
    diffusivity: float | Float[Array, ""],
    highest: float | Float[Array, ""],
) -> Advanced:
    """Carry E for `duration` while it cools at the rate that it has half-way, which makes cooling of second order."""
    half = energy * jnp.exp(-0.5 * duration * cooling(energy, config, highest))
    return advance(
        energy,
        faces,
        duration=duration,
        diffusivity=diffusivity,
        sink=cooling(half, config, highest),
        boundary_x="periodic",
        boundary_y="open",
    )


@spectral
def cooling(energy: Field, config: RadiativeLayerConfig, highest: float | Float[Array, ""]) -> Field:
    """λ(E): the share of its energy that gas loses per unit time; 0 in both phases, `highest` half-way in ln E."""
    # energies below the cold phase do not come up; their logarithm is not asked for
    x = jnp.log(jnp.maximum(energy, config.cold) / config.cold) / jnp.log(config.hot / config.cold)
    mixed = jnp.clip(x, 0, 1)
    return highest * (4 * mixed * (1 - mixed)) ** 2
