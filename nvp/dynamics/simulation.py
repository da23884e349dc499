"""What all simulators share: sequences drawn one by one from a key, simulated side by side, handed over as `Series`.

A domain writes one function, `trajectory(config, key)`, for one sequence; batching, compiling and naming are here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from nvp.atlas.series import Series
from nvp.dynamics.configs.common import BATCH_CELLS, SimulationConfig
from nvp.errors import FieldError

C = TypeVar("C", bound=SimulationConfig)

# sequences side by side at most: the compiled program has one shape, hence sequence i is the same in every run
BATCH = 4


class Trajectory(NamedTuple):
    """What one sequence, or a batch of them, went through."""

    energy: Float[Array, "*n t h w"]
    # fields known at the time of each frame, by name: velocity (C = 2, order x, y), source (C = 1), …
    context: Mapping[str, Float[Array, "*n t h w _"]]
    # ∑∫Q dt and net outflow over the step that leads to each frame, 0 for the first
    source_total: Float[Array, "*n t"]
    outflow_total: Float[Array, "*n t"]
    # what was drawn for the sequence, by name
    parameters: Mapping[str, Float[Array, "*n"]]


Draw = Callable[[C, PRNGKeyArray], Trajectory]
"""One sequence of a configuration, all of it drawn from the key."""


def simulate(
    domain: str,
    draw: Draw[C],
    config: C,
    key: PRNGKeyArray,
    *,
    sequences: int,
    first: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Series]:
    """Sequences `first` … `first + sequences − 1` of the recipe (config, key).

    Sequence i draws from `fold_in(key, i)` and does not depend on how many are asked for. `progress(done, sequences)`
    is called after each batch and may raise to stop.
    """
    made: list[Series] = []
    batch = _batch(config)
    for start in range(first, first + sequences, batch):
        together = _series(domain, config, _simulate_batch(draw, config, key, jnp.arange(start, start + batch)))
        made += together[: sequences - len(made)]
        if progress is not None:
            progress(len(made), sequences)
    return made


def _series(domain: str, config: SimulationConfig, batch: Trajectory) -> list[Series]:
    energy, source, outflow = np.asarray(batch.energy), np.asarray(batch.source_total), np.asarray(batch.outflow_total)
    if not np.isfinite(energy).all():
        raise FieldError(
            "UNSTABLE",
            f"expected a flow that flow_step {config.flow_step} resolves, got one of {domain} that grew without bound.",
            next_step="Use a smaller flow_step, a higher viscosity or a weaker force.",
        )
    context = {name: np.asarray(values) for name, values in batch.context.items()}
    parameters = {name: np.asarray(values) for name, values in batch.parameters.items()}
    return [
        Series(
            energy=energy[i, ..., None],
            context={name: values[i] for name, values in context.items()},
            dt=config.dt,
            domain=domain,
            parameters={name: float(values[i]) for name, values in parameters.items()},
            source_total=source[i],
            outflow_total=outflow[i],
        )
        for i in range(len(energy))
    ]


def log_uniform(key: PRNGKeyArray, low: float, high: float) -> Float[Array, ""]:
    """A number whose logarithm is equally likely between those of `low` and `high`."""
    return jnp.exp(jax.random.uniform(key, (), minval=np.log(low), maxval=np.log(high)))


def sub_steps(config: SimulationConfig) -> tuple[int, float]:
    """How many steps of the flow solver make one frame, and how long each is."""
    count = int(np.ceil(config.dt / config.flow_step))
    return count, config.dt / count


def _batch(config: SimulationConfig) -> int:
    """Sequences side by side: as many as memory allows, up to BATCH."""
    cells = config.height * config.width * config.steps
    return max(1, min(BATCH, BATCH_CELLS // cells))


@partial(jax.jit, static_argnums=(0, 1))
def _simulate_batch(draw: Draw[Any], config: Any, key: PRNGKeyArray, indices: Int[Array, "n"]) -> Trajectory:
    return jax.vmap(lambda i: draw(config, jax.random.fold_in(key, i)))(indices)
