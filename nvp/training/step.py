"""One step of training towards a goal, compiled once per goal and shape; its state is donated.

Weights are those of one pytree each, so that the step runs the same in flax's graph and tree modes. A step whose loss
or gradient is not finite changes nothing but its counters. Of the batch, every sum runs over all examples: shared
between devices by the sharding of its first axis, worked off in parts by `nvp.training.accumulation`.

References: Loshchilov & Hutter, Decoupled weight decay regularization, ICLR (2019); Wortsman et al., Stable and
low-precision training for large-scale vision-language models, NeurIPS (2023), for the limit of an update.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt32

from nvp.model.config import NVPConfig
from nvp.model.inputs import Inputs
from nvp.model.nvp import NVP, Prediction
from nvp.training.config import LossConfig, TrainingConfig
from nvp.training.data import Batch
from nvp.training.loss import Loss, loss_of
from nvp.training.unroll import Rollout, disturbed, roll_out

# share of a training in which the learning rate rises
WARM_UP = 0.05


# parameters or fitted constants of a network
Weights = nnx.State[Any, Any]


class TrainState(NamedTuple):
    """All that changes in training; where it stands in the data follows from `step`."""

    params: Weights
    opt_state: optax.OptState
    # running mean of the parameters
    ema: Weights
    # steps so far; how many of them were skipped, and how many of the last ones in a row
    step: Int[Array, ""]
    skipped: Int[Array, ""]
    row: Int[Array, ""]
    # running statistics of a normalisation over the batch, where a network has one
    statistics: Any = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent:
    """How a step follows its gradient."""

    clip: float
    ema: float
    beta2: float
    weight_decay: float
    # 0 for no limit
    largest_update: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Descent):
    """What of a configuration decides the program of a step; trainings with the same plan share it."""

    model: NVPConfig
    loss: LossConfig
    through: bool
    input_noise: float

    @property
    def draws(self) -> bool:
        """Something random happens in a step."""
        return bool(self.model.dropout or self.input_noise)


@runtime_checkable
class Goal(Protocol):
    """What is minimised, as a function of the parameters; hashable, and equal goals share a program."""

    @property
    def plan(self) -> Descent:
        """How a step follows its gradient."""
        ...

    def __call__(
        self, params: Weights, statistics: Any, constants: Any, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Loss, Any]:
        """The loss of a batch, and the running statistics after it; `key` draws what is random in it."""
        ...


@dataclass(frozen=True, slots=True)
class NextState:
    """The loss of what a network says of the next states."""

    graph: nnx.GraphDef[NVP]
    plan: Plan

    def __call__(
        self, params: Weights, statistics: Any, constants: Weights, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Loss, Any]:
        return judge(self.plan, forward(self.graph, self.plan, params, constants, batch, key), batch), statistics


def descent_of(config: TrainingConfig) -> Descent:
    """That of a configuration without open choices."""
    return Descent(
        clip=config.clip,
        ema=config.ema or 0.0,
        beta2=config.beta2 or 0.99,
        weight_decay=config.weight_decay or 0.0,
        largest_update=config.largest_update or 0.0,
    )


def plan_of(config: TrainingConfig, model: NVPConfig) -> Plan:
    """The plan of a configuration without open choices."""
    return Plan(
        **asdict(descent_of(config)),
        model=model,
        loss=config.loss or LossConfig(),
        through=config.unroll_gradient == "all",
        input_noise=config.input_noise,
    )


def split(model: NVP) -> tuple[nnx.GraphDef[NVP], Weights, Weights]:
    """Structure, parameters and constants."""
    parts: tuple[nnx.GraphDef[NVP], Weights, Weights] = nnx.split(model, nnx.Param, ...)  # type: ignore[assignment]
    return parts


def optimizer(plan: Descent) -> optax.GradientTransformation:
    """AdamW without its learning rate, which the host gives per step; kernels alone decay.

    Where gradients grow, Adam's mean square lags behind, and one step may undo a thousand: hence the limit.
    """
    return optax.chain(
        optax.clip_by_global_norm(plan.clip),
        optax.scale_by_adam(b2=plan.beta2),
        optax.clip_by_block_rms(plan.largest_update) if plan.largest_update else optax.identity(),
        optax.add_decayed_weights(
            plan.weight_decay, mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params)
        ),
    )


def first_state(model: NVP, plan: Plan) -> tuple[nnx.GraphDef[NVP], TrainState, Weights]:
    """Structure of the model, state before the first step, and the constants fitted on the data."""
    graph, params, constants = split(model)
    return graph, begun(params, plan), constants


def begun(params: Weights, plan: Descent, statistics: Any = ()) -> TrainState:
    """The state before the first step from these parameters."""
    ema = jax.tree.map(jnp.copy, params)
    step, skipped, row = (jnp.zeros((), jnp.int32) for _ in range(3))
    return TrainState(params, optimizer(plan).init(params), ema, step, skipped, row, statistics)


def learning_rate(config: TrainingConfig, fraction: float) -> float:
    """At this share of the training: constant, or a linear rise and then a cosine to 0."""
    peak = config.learning_rate or 0.0
    if config.schedule == "constant":
        return peak
    if fraction < WARM_UP:
        return peak * max(fraction / WARM_UP, 0.02)
    return peak * 0.5 * (1 + float(np.cos(np.pi * min(1.0, (fraction - WARM_UP) / (1 - WARM_UP)))))


def step_key(seed: UInt32[Array, ""], step: Int[Array, ""]) -> PRNGKeyArray:
    """What is random in a step follows from the seed of the training and its number."""
    return jax.random.fold_in(jax.random.key(seed), step)


def forward(
    graph: nnx.GraphDef[NVP], plan: Plan, params: Weights, constants: Weights, batch: Batch, key: PRNGKeyArray
) -> Rollout:
    """What the network says of a batch in training."""
    model = nnx.merge(graph, params, constants, copy=True)
    inputs = batch.inputs
    if plan.input_noise:
        noise = jax.random.fold_in(key, 1)
        conserving = plan.model.head == "conserving"
        inputs = disturbed(inputs, batch.truth[:, 0], plan.input_noise, noise, conserving=conserving)
    return roll_out(model, batch._replace(inputs=inputs), key if plan.model.dropout else None, through=plan.through)


def judge(plan: Plan, said: Rollout, batch: Batch) -> Loss:
    """The loss of what it said."""
    boundaries = (plan.model.boundary_y, plan.model.boundary_x)
    return loss_of(plan.loss, boundaries, said.mean, said.log_var, batch.inputs.history[:, -1], batch.truth)


def updated(
    plan: Descent, state: TrainState, gradients: Weights, loss: Loss, rate: Float[Array, ""], statistics: Any = ()
) -> TrainState:
    """The state after a step along these gradients; only its counters change where something is not finite."""
    fine = jnp.isfinite(loss.total) & jnp.isfinite(optax.tree.norm(gradients))
    with jax.numpy_dtype_promotion("standard"):  # optax raises floats to integer powers
        direction, opt_state = optimizer(plan).update(gradients, state.opt_state, state.params)
    params = jax.tree.map(lambda p, d: p - rate * d, state.params, direction)
    # a decay that grows with the number of steps replaces the correction of the mean's bias
    n = (state.step - state.skipped).astype(jnp.float32)
    decay = jnp.minimum(plan.ema, (1 + n) / (10 + n))
    ema = jax.tree.map(lambda e, p: decay * e + (1 - decay) * p, state.ema, params)
    bad = jnp.where(fine, 0, 1)
    return TrainState(
        params=_chosen(fine, params, state.params),
        opt_state=_chosen(fine, opt_state, state.opt_state),
        ema=_chosen(fine, ema, state.ema),
        step=state.step + 1,
        skipped=state.skipped + bad,
        row=(state.row + 1) * bad,
        statistics=_chosen(fine, statistics, state.statistics),
    )


def one_step(
    goal: Goal, state: TrainState, constants: Any, batch: Batch, rate: Float[Array, ""], seed: UInt32[Array, ""]
) -> tuple[TrainState, Loss]:
    """The state after one batch, and its loss before; not compiled yet."""
    key = step_key(seed, state.step)

    def objective(params: Weights) -> tuple[Array, tuple[Loss, Any]]:
        loss, statistics = goal(params, state.statistics, constants, batch, key)
        return loss.total, (loss, statistics)

    gradients, (loss, statistics) = jax.grad(objective, has_aux=True)(state.params)
    return updated(goal.plan, state, gradients, loss, rate, statistics), loss


@partial(jax.jit, static_argnames=("goal",), donate_argnames=("state",))
def train_step(
    goal: Goal, state: TrainState, constants: Any, batch: Batch, rate: Float[Array, ""], seed: UInt32[Array, ""]
) -> tuple[TrainState, Loss]:
    """The state after one batch, and its loss before."""
    return one_step(goal, state, constants, batch, rate, seed)


@partial(jax.jit, static_argnames=("goal",), donate_argnames=("state",))
def train_steps(
    goal: Goal, state: TrainState, constants: Any, batches: Batch, rates: Float[Array, "s"], seed: UInt32[Array, ""]
) -> tuple[TrainState, Loss]:
    """The state after s batches, stacked along a new first axis, in one dispatch; the loss of each."""

    def one(state: TrainState, given: tuple[Batch, Array]) -> tuple[TrainState, Loss]:
        return one_step(goal, state, constants, *given, seed)

    final: tuple[TrainState, Loss] = jax.lax.scan(one, state, (batches, rates))
    return final


@partial(jax.jit, static_argnames=("graph",))
def predict_step(
    graph: nnx.GraphDef[NVP],
    params: Weights,
    constants: Weights,
    inputs: Inputs,
    noise: Float[Array, "b n"] | None = None,
) -> Any:
    """One step ahead, as a `Prediction`; `noise` makes it one member's."""
    prediction: Prediction = nnx.merge(graph, params, constants, copy=True)(inputs, noise=noise)
    return prediction


def _chosen(fine: Bool[Array, ""], new: Any, old: Any) -> Any:
    return jax.tree.map(lambda one, other: jnp.where(fine, one, other), new, old)
