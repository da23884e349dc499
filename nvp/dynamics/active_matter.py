"""`active_matter`: heat of a dense suspension of swimmers, which stir it themselves.

    ∂v/∂t + λ₀ v·∇v = −∇p − (α + β|v|²) v + Γ₀∇²v − Γ₂∇⁴v,   ∇·v = 0      Toner–Tu–Swift–Hohenberg, α, Γ₀ < 0
    ∂E/∂t + ∇·(vE) = κ∇²E + Q,   Q = −α|v|² − γE                           the swimmers' power, and loss

on a periodic rectangle; λ₁∇|v|² is part of the pressure. A uniform flow grows at rate −α, the wavelength `eddy` by
`growth` = Γ₀²/4Γ₂ faster, the shortest ones fade:

    σ(k) = −α + growth · (1 − (1 − k²/k_c²)²),   k_c = 2π/eddy,   Γ₀ = −2 growth/k_c²,   Γ₂ = growth/k_c⁴,

until β|v|² balances them: vortices of half that wavelength that never settle. The domain is open in the thermodynamic
sense: ΣE changes by Q alone, about a mean where power and loss balance. Flows stronger in λ₀ than the default freeze
into lattices of vortices where only few of them fit.

Measured with the default configuration, 5 sequences of 50 frames at 64²: persistence VRMSE 0.38, fidelity of linear
extrapolation 0.15; told velocity and Q of time t alone, this transport step reaches 0.81 and a first-order upwind step
0.64. ΣE misses its sources by 1e-8 of itself. One core makes a sequence in 0.9 s.

References: Wensink et al., PNAS 109, 14308 (2012); Dunkel et al., New J. Phys. 15, 045016 (2013), stability of the
uniform states; Toner & Tu, Phys. Rev. E 58, 4828 (1998).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from nvp.dynamics.configs.active_matter import ActiveMatterConfig
from nvp.dynamics.exponential import Coefficients, integrator, resolved
from nvp.dynamics.frames import frames
from nvp.dynamics.random_fields import gaussian_field
from nvp.dynamics.simulation import Trajectory, log_uniform, sub_steps
from nvp.dynamics.spectral import directions, spectral, wavenumbers
from nvp.dynamics.transport import Advanced, Faces, advance
from nvp.dynamics.vorticity import face_velocity, inverse_laplacian

# mean |v|² of the turbulent state, as measured, in units of (growth − α)/β, which the fastest mode has while it grows
TURBULENT = 0.47

Flow = Float[Array, "2 h w"]
# flow, E
State = tuple[Flow, Float[Array, "h w"]]


def trajectory(config: ActiveMatterConfig, key: PRNGKeyArray) -> Trajectory:
    """One sequence: draws λ₀, −α, κ, γ and the swimmers' first directions from the key."""
    shape = config.shape
    flow_key, *keys = jax.random.split(key, 5)
    names = ("advection", "activity", "diffusivity", "loss")
    drawn = {name: log_uniform(k, *getattr(config, name)) for name, k in zip(names, keys, strict=True)}
    activity, loss = drawn["activity"], drawn["loss"]

    count, step = sub_steps(config)
    warm = max(1, round(config.warm_up / step))
    flow = stepper(
        shape=shape,
        step=step,
        advection=drawn["advection"],
        activity=activity,
        saturation=config.saturation,
        eddy=config.eddy,
        growth=config.growth,
    )
    sink = jnp.full(shape, loss)

    def one_step(_: Int[Array, ""], state: State) -> tuple[State, Advanced]:
        before, carried = state
        after = flow(before)
        middle = 0.5 * (before + after)
        done = advance(
            carried,
            faces(middle),
            duration=step,
            diffusivity=drawn["diffusivity"],
            source=activity * (middle**2).sum(axis=0),
            sink=sink,
        )
        return (after, done.energy), done

    def look(state: State) -> tuple[Array, Array, Array]:
        swimmers, energy = state
        source = activity * (swimmers**2).sum(axis=0) - loss * energy
        return energy, jnp.moveaxis(swimmers, 0, -1), source[..., None]

    # the flow grows from small disorder, E from where its power and loss will be in balance
    swimmers = 0.3 * jax.vmap(lambda k: gaussian_field(k, shape, config.eddy))(jax.random.split(flow_key))
    power = TURBULENT * activity * (activity + config.growth) / config.saturation
    begun = (incompressible(swimmers), jnp.full(shape, power / loss))
    made = frames(one_step, look, begun, warm=warm, count=count, length=config.steps)
    energies, velocities, sources = made.seen
    return Trajectory(
        energy=energies,
        context={"velocity": velocities, "source": sources},
        source_total=made.source,
        outflow_total=made.outflow,
        parameters=drawn,
    )


@spectral
def stepper(
    *,
    shape: tuple[int, int],
    step: float,
    advection: float | Float[Array, ""],
    activity: float | Float[Array, ""],
    saturation: float,
    eddy: float,
    growth: float,
) -> Callable[[Flow], Flow]:
    """What advances the swimmers' flow (channels x, y) by `step`."""
    ky, kx = wavenumbers(*shape)
    keep = resolved(*shape)
    linear = activity + growth * (1 - (1 - (kx**2 + ky**2) * (eddy / (2 * jnp.pi)) ** 2) ** 2)

    def forced(coefficients: Coefficients) -> Coefficients:
        known = jnp.where(keep, coefficients, 0)
        u, v, rotation = jnp.fft.irfft2(jnp.stack([*known, 1j * kx * known[1] - 1j * ky * known[0]]), s=shape)
        # v·∇v = (∇×v) × v up to a gradient, which the pressure takes
        slowed = saturation * (u**2 + v**2)
        push = jnp.stack([advection * rotation * v - slowed * u, -advection * rotation * u - slowed * v])
        return jnp.where(keep, _project(jnp.fft.rfft2(push)), 0)

    flow = integrator(jnp.stack([linear, linear]), forced, step=step, order=2)

    @spectral
    def advanced(velocity: Flow) -> Flow:
        # round-off along k would grow as the flow does: there is no pressure in `linear`
        return jnp.fft.irfft2(_project(flow(jnp.fft.rfft2(velocity))), s=shape)

    return advanced


@spectral
def incompressible(velocity: Flow) -> Flow:
    """What is left of a flow without its divergence."""
    return jnp.fft.irfft2(_project(jnp.fft.rfft2(velocity)), s=velocity.shape[1:])


def _project(coefficients: Coefficients) -> Coefficients:
    """Take away what points along k; a uniform flow has no divergence and stays."""
    h, w = coefficients.shape[1], 2 * (coefficients.shape[2] - 1)
    along = directions(h, w).at[:, 0, 0].set(0)
    return coefficients - along * (along * coefficients).sum(axis=0)


@spectral
def faces(velocity: Flow) -> Faces:
    """Velocity through the cells' faces, without divergence, from one without at the centres."""
    _, h, w = velocity.shape
    ky, kx = wavenumbers(h, w)
    coefficients = jnp.fft.rfft2(velocity)
    rotation = 1j * kx * coefficients[1] - 1j * ky * coefficients[0]
    turning = face_velocity(inverse_laplacian(rotation), (h, w))
    return Faces(x=turning.x + velocity[0].mean(), y=turning.y + velocity[1].mean())
