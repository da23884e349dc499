"""`fluid_dynamics`: heat that decaying two-dimensional turbulence stirs and diffusion smooths.

∂ω/∂t + u·∇ω = ν∇²ω and ∂E/∂t + ∇·(uE) = κ∇²E on a periodic rectangle: the first pseudo-spectrally (`vorticity.py`), the
second by finite volumes (`transport.py`). ΣE is constant, E stays positive, spatial entropy rises.

Measured with the default configuration, 8 sequences of 30 frames at 64²: persistence VRMSE 0.46, fidelity of linear
extrapolation −0.29; told the velocity of time t alone, this very transport step reaches a pooled fidelity of 0.85 (the
flow changes within a time step) and a first-order upwind step 0.73. ΣE drifts by 3e-8. One core makes a sequence in
0.4 s.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from nvp.dynamics.configs.fluid import FluidConfig
from nvp.dynamics.frames import frames
from nvp.dynamics.random_fields import gaussian_field
from nvp.dynamics.simulation import Trajectory, log_uniform, sub_steps
from nvp.dynamics.transport import Advanced, advance
from nvp.dynamics.vorticity import face_velocity, stepper, stream_function, velocity

# vorticity, E
State = tuple[Float[Array, "h w"], Float[Array, "h w"]]


def trajectory(config: FluidConfig, key: PRNGKeyArray) -> Trajectory:
    """One sequence: draws its viscosity, diffusivity, first vorticity and first energy from the key."""
    shape = config.shape
    flow_key, energy_key, viscosity_key, diffusivity_key = jax.random.split(key, 4)
    viscosity = log_uniform(viscosity_key, *config.viscosity)
    diffusivity = log_uniform(diffusivity_key, *config.diffusivity)

    # flow: random phases → unit rms velocity → vortices → unit rms velocity
    vorticity = _unit_velocity(gaussian_field(flow_key, shape, config.eddy))
    warm = max(1, round(config.warm_up / config.flow_step))
    flow = stepper(shape=shape, step=config.flow_step, viscosity=viscosity)
    vorticity = jax.lax.fori_loop(0, warm, lambda _, w: flow(w), vorticity)
    vorticity = _unit_velocity(vorticity)

    # energy: positive, mean 1
    energy = config.floor + jnp.exp(config.contrast * gaussian_field(energy_key, shape, config.pattern))
    energy = energy / energy.mean()

    # one frame: `count` steps of the flow, each followed by the transport in the velocity at its middle
    count, step = sub_steps(config)
    flow = stepper(shape=shape, step=step, viscosity=viscosity)

    def one_step(_: Int[Array, ""], state: State) -> tuple[State, Advanced]:
        before, carried = state
        after = flow(before)
        psi = stream_function(0.5 * (before + after))
        done = advance(carried, face_velocity(psi, shape), duration=step, diffusivity=diffusivity)
        return (after, done.energy), done

    def look(state: State) -> tuple[Array, Array]:
        vorticity, energy = state
        return energy, velocity(stream_function(vorticity), shape)

    # the flow alone was warmed up above
    made = frames(one_step, look, (vorticity, energy), warm=0, count=count, length=config.steps)
    energies, velocities = made.seen
    return Trajectory(
        energy=energies,
        context={"velocity": velocities},
        source_total=made.source,
        outflow_total=made.outflow,
        parameters={"viscosity": viscosity, "diffusivity": diffusivity},
    )


def _unit_velocity(vorticity: Float[Array, "h w"]) -> Float[Array, "h w"]:
    """Scale a flow so that the rms velocity per component is 1 grid unit per unit time."""
    u = velocity(stream_function(vorticity), (vorticity.shape[0], vorticity.shape[1]))
    return vorticity / jnp.sqrt(jnp.mean(u**2))
