"""`fluid_dynamics`: heat that decaying two-dimensional turbulence stirs and diffusion smooths.

∂ω/∂t + u·∇ω = ν∇²ω and ∂E/∂t + ∇·(uE) = κ∇²E on a periodic square: the first by exponax (`vorticity.py`), the second by
finite volumes (`transport.py`). ΣE is constant, E stays positive, spatial entropy rises.

Measured with the default configuration, 8 sequences of 30 frames at 64²: persistence VRMSE 0.46, fidelity of linear
extrapolation −0.29; told the velocity of time t alone, this very transport step reaches a pooled fidelity of 0.85 (the
flow changes within a time step) and a first-order upwind step 0.73. ΣE drifts by
3e-8. One core makes a sequence in 0.4 s.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from nvp.atlas.series import Series
from nvp.dynamics.config import FluidConfig
from nvp.dynamics.random_fields import gaussian_field
from nvp.dynamics.transport import advance
from nvp.dynamics.vorticity import face_velocity, stepper, stream_function, velocity

# sequences simulated side by side: the compiled program has one shape, hence sequence i is the same in every run
BATCH = 4


class Trajectory(NamedTuple):
    """What one sequence, or a batch of them, went through."""

    energy: Float[Array, "*n t h w"]
    velocity: Float[Array, "*n t h w 2"]
    viscosity: Float[Array, "*n"]
    diffusivity: Float[Array, "*n"]


def simulate(
    config: FluidConfig,
    key: PRNGKeyArray,
    *,
    sequences: int,
    first: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Series]:
    """Sequences `first` … `first + sequences − 1` of the recipe (config, key).

    Sequence i draws from `fold_in(key, i)` and does not depend on how many are asked for. `progress(done, sequences)`
    is called after each batch and may raise to stop. Context: velocity at the time of each frame.
    """
    made: list[Series] = []
    for start in range(first, first + sequences, BATCH):
        batch = _simulate_batch(config, key, jnp.arange(start, start + BATCH))
        energy, velocities, viscosity, diffusivity = (np.asarray(values) for values in batch)
        for i in range(min(BATCH, first + sequences - start)):
            none = np.zeros(config.steps, np.float32)
            made.append(
                Series(
                    energy=energy[i, ..., None],
                    context={"velocity": velocities[i]},
                    dt=config.dt,
                    domain="fluid_dynamics",
                    parameters={"viscosity": float(viscosity[i]), "diffusivity": float(diffusivity[i])},
                    source_total=none,
                    outflow_total=none,
                )
            )
        if progress is not None:
            progress(len(made), sequences)
    return made


@partial(jax.jit, static_argnums=0)
def _simulate_batch(config: FluidConfig, key: PRNGKeyArray, indices: Int[Array, "n"]) -> Trajectory:
    return jax.vmap(lambda i: _simulate_one(config, jax.random.fold_in(key, i)))(indices)


def _simulate_one(config: FluidConfig, key: PRNGKeyArray) -> Trajectory:
    shape = (config.scale, config.scale)
    flow_key, energy_key, viscosity_key, diffusivity_key = jax.random.split(key, 4)
    viscosity = _log_uniform(viscosity_key, *config.viscosity)
    diffusivity = _log_uniform(diffusivity_key, *config.diffusivity)

    # flow: random phases → unit rms velocity → vortices → unit rms velocity
    vorticity = _unit_velocity(gaussian_field(flow_key, shape, config.eddy))
    warm = max(1, round(config.warm_up / config.flow_step))
    flow = stepper(scale=config.scale, step=config.flow_step, viscosity=viscosity)
    vorticity = jax.lax.fori_loop(0, warm, lambda _, w: flow(w), vorticity)
    vorticity = _unit_velocity(vorticity)

    # energy: positive, mean 1
    energy = config.floor + jnp.exp(config.contrast * gaussian_field(energy_key, shape, config.pattern))
    energy = energy / energy.mean()

    # one frame: `count` steps of the flow, each followed by the transport in the velocity at its middle
    count = int(np.ceil(config.dt / config.flow_step))
    step = config.dt / count
    flow = stepper(scale=config.scale, step=step, viscosity=viscosity)

    def one_step(_: Int[Array, ""], state: tuple[Float[Array, "h w"], Float[Array, "h w"]]) -> tuple[Array, Array]:
        before, carried = state
        after = flow(before)
        psi = stream_function(0.5 * (before + after))
        return after, advance(carried, face_velocity(psi, shape), duration=step, diffusivity=diffusivity).energy

    def one_frame(state: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        frame = (state[1], velocity(stream_function(state[0]), shape))
        return jax.lax.fori_loop(0, count, one_step, state), frame

    _, (energies, velocities) = jax.lax.scan(one_frame, (vorticity, energy), None, length=config.steps)
    return Trajectory(energies, velocities, viscosity, diffusivity)


def _unit_velocity(vorticity: Float[Array, "h w"]) -> Float[Array, "h w"]:
    """Scale a flow so that the rms velocity per component is 1 grid unit per unit time."""
    u = velocity(stream_function(vorticity), (vorticity.shape[0], vorticity.shape[1]))
    return vorticity / jnp.sqrt(jnp.mean(u**2))


def _log_uniform(key: PRNGKeyArray, low: float, high: float) -> Float[Array, ""]:
    return jnp.exp(jax.random.uniform(key, (), minval=np.log(low), maxval=np.log(high)))
