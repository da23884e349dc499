"""Shadows: independent members of one recipe, trained and asked together in one program.

Each member has its own seed, initialisation, order of the examples and bootstrap of the training sequences (as many as
there are, drawn with replacement; a record of one site is seen whole by all), and the statistics fitted to it. Nothing
but the recipe and the program is common: the states lie along a new first axis, over which the step is mapped by
`vmap`, so that a member comes out as it would on its own. They are small and trained briefly: what counts is whether
they agree. The running mean of the parameters after the last step is kept; no validation chooses.

References: Efron & Tibshirani, An Introduction to the Bootstrap (1993); Lakshminarayanan et al., Simple and scalable
predictive uncertainty estimation using deep ensembles, NeurIPS (2017).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, UInt32

from nvp.atlas.canonical import parameters_digest
from nvp.atlas.series import Series
from nvp.compiler import brief_options
from nvp.errors import FieldError
from nvp.model.config import NVPConfig, Size, config_for
from nvp.model.inputs import Inputs, inputs_of
from nvp.model.nvp import NVP, Prediction
from nvp.model.statistics import Statistics, fit_statistics
from nvp.prediction.forecaster import Window
from nvp.training import checkpoint
from nvp.training.config import TrainingConfig
from nvp.training.data import Batch, Examples, TrainingData
from nvp.training.linear import solve
from nvp.training.loss import Loss
from nvp.training.recipes import suited
from nvp.training.step import NextState, TrainState, Weights, begun, learning_rate, one_step, plan_of, split

KIND = "shadows"
BRIEF = 80
"""Steps up to which it pays to compile them briefly: 24 s of the processor less, 0.3 s more in each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowConfig:
    """How the members are made; each is the same but for its seed."""

    # one for each member; the same seed twice is the same member twice
    seeds: tuple[int, ...]
    recipe: TrainingConfig
    # steps of each
    steps: int = 30
    # examples per step and member
    batch: int = 4

    def __post_init__(self) -> None:
        if len(self.seeds) < 2 or self.steps < 1 or self.batch < 1:
            raise FieldError(
                "BAD_CONFIG",
                f"expected 2 seeds or more, steps and a batch, got {len(self.seeds)}, {self.steps} and {self.batch}.",
                next_step="Use 3 members.",
            )


def seeds_of(members: int, *, rng_seed: int) -> tuple[int, ...]:
    """A seed for each member."""
    return tuple(int(np.random.default_rng((rng_seed, member)).integers(2**31)) for member in range(members))


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One of them before the first step."""

    training: TrainingConfig
    goal: NextState
    constants: Weights
    state: TrainState
    examples: Examples

    def batches(self) -> Iterator[Batch]:
        """Without end: one pass after the other."""
        config = self.training
        for epoch in count():
            yield from self.examples.epoch(
                epoch, batch=config.batch or 1, rng_seed=config.rng_seed, augment=bool(config.augment)
            )


def members_of(config: ShadowConfig, data: TrainingData) -> list[Member]:
    """The members as they begin."""
    recipe = config.recipe
    model = config_for(data.spec, data.train[0], size=recipe.size, history=recipe.history)
    made = []
    for seed in config.seeds:
        training = suited(replace(recipe, rng_seed=seed, batch=config.batch), model, data.spec)
        network = replace(model, dropout=training.dropout or 0.0)
        series = bootstrap(data.train, seed)
        examples = Examples(network, series, seen=True)
        statistics = solve(network, fit_statistics(network, series), examples)
        graph, params, constants = split(NVP(network, statistics, rng=np.random.default_rng(seed)))
        plan = plan_of(training, network)
        made.append(
            Member(
                training=training,
                goal=NextState(graph, plan),
                constants=constants,
                state=begun(params, plan),
                examples=examples,
            )
        )
    return made


def bootstrap(series: Sequence[Series], seed: int) -> list[Series]:
    """As many of the sequences, drawn with replacement; those of a record as they are."""
    if any(one.valid_time is not None for one in series):
        return list(series)
    return [series[at] for at in np.random.default_rng((seed, 1)).integers(len(series), size=len(series))]


class Trained(NamedTuple):
    """Members after some steps; the axis of the members is the first of each array."""

    step: int
    states: TrainState
    # of each member, before the last step
    loss: Float32[np.ndarray, "m"]


def train(config: ShadowConfig, members: Sequence[Member], *, every: int = 10) -> Iterator[Trained]:
    """The members after each `every` steps, and after the last.

    Raises `FieldError` where a member's loss or gradient was not finite at ten steps in a row.
    """
    goal = members[0].goal
    states, constants = stacked([one.state for one in members]), stacked([one.constants for one in members])
    seeds = np.array(config.seeds, np.uint32)
    streams = [one.batches() for one in members]
    step_together = _trainer(brief=config.steps <= BRIEF)
    for step in range(config.steps):
        rate = np.float32(learning_rate(members[0].training, step / config.steps))
        batches = stacked([next(stream) for stream in streams])
        states, loss = step_together(goal, states, constants, batches, rate, seeds)
        if (step + 1) % every == 0 or step + 1 == config.steps:
            if int(states.row.max()) >= members[0].training.tolerated:
                raise FieldError(
                    "DIVERGED",
                    f"expected finite losses and gradients, got a member without one at step {step + 1}.",
                    next_step="Check the data for extreme values.",
                )
            yield Trained(step + 1, states, np.asarray(loss.total))


def train_together(
    goal: NextState,
    states: TrainState,
    constants: Weights,
    batches: Batch,
    rate: Float[Array, ""],
    seeds: UInt32[Array, "m"],
) -> tuple[TrainState, Loss]:
    """All members after a batch each, and their losses before."""
    stepped: tuple[TrainState, Loss] = jax.vmap(partial(one_step, goal), in_axes=(0, 0, 0, None, 0))(
        states, constants, batches, rate, seeds
    )
    return stepped


def predict_together(graph: nnx.GraphDef[NVP], params: Weights, constants: Weights, inputs: Inputs) -> Any:
    """One step ahead by each member, from the same inputs."""

    def one(params: Weights, constants: Weights) -> Prediction:
        said: Prediction = nnx.merge(graph, params, constants, copy=True)(inputs)
        return said

    return jax.vmap(one)(params, constants)


@cache
def _trainer(*, brief: bool) -> Any:
    """The program of a step: compiled in little time, or so that it takes little."""
    return jax.jit(
        train_together, static_argnames=("goal",), donate_argnames=("states",), compiler_options=_options(brief=brief)
    )


@cache
def _predictor() -> Any:
    return jax.jit(predict_together, static_argnames=("graph",), compiler_options=_options(brief=True))


def _options(*, brief: bool) -> dict[str, int | bool] | None:
    return (brief_options(jax.default_backend()) if brief else None) or None


class Said(NamedTuple):
    """What the members say of the next state, from each of n starts."""

    mean: Float32[np.ndarray, "m n h w c"]
    log_var: Float32[np.ndarray, "m n h w c"]
    outflow: Float32[np.ndarray, "m n"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadows:
    """Members that are trained, ready to be asked."""

    config: NVPConfig
    graph: nnx.GraphDef[NVP]
    # each with the axis of the members first
    params: Weights
    constants: Weights
    seeds: tuple[int, ...]

    @property
    def history(self) -> int:
        """Frames they want."""
        return self.config.history

    @property
    def hashes(self) -> tuple[str, ...]:
        """sha256 of each member's parameters: what tells them apart."""
        return tuple(
            parameters_digest(checkpoint.arrays_of(jax.tree.map(lambda leaf, at=at: leaf[at], self.params), "params/"))
            for at in range(len(self.seeds))
        )

    def say(self, window: Window) -> Said:
        """One step ahead from each start of a window."""
        ahead = _predictor()(self.graph, self.params, self.constants, inputs_of(self.config, window))
        return Said(*(np.asarray(part) for part in (ahead.mean, ahead.log_var, ahead.outflow)))

    def write(self, directory: Path) -> str:
        """Write them as one checkpoint; returns the digest of its arrays."""
        arrays = checkpoint.arrays_of(self.params, "params/") | checkpoint.arrays_of(self.constants, "constants/")
        manifest = {"kind": KIND, "model": self.config.to_json(), "seeds": list(self.seeds), "members": self.hashes}
        return checkpoint.write(directory, manifest, arrays)

    @classmethod
    def read(cls, directory: Path) -> Shadows:
        """Those that were written there; raises `FieldError` where they are missing or damaged."""
        manifest, arrays = checkpoint.read(directory, kind=KIND)
        config = NVPConfig.from_json(manifest["model"])
        members = len(manifest["seeds"])
        fitted = {
            name: arrays.get(f"constants/{name}", np.zeros((members, 0), np.float32)) for name in Statistics.__slots__
        }
        first = Statistics(**{name: np.asarray(values[0]) for name, values in fitted.items()})
        graph, params, constants = split(NVP(config, first, rng=np.random.default_rng(0)))
        like_params, like_constants = stacked([params] * members), stacked([constants] * members)
        return cls(
            config=config,
            graph=graph,
            params=checkpoint.tree_of(arrays, like_params, "params/"),
            constants=checkpoint.tree_of(arrays, like_constants, "constants/"),
            seeds=tuple(manifest["seeds"]),
        )


def shadows_of(config: ShadowConfig, members: Sequence[Member], trained: Trained) -> Shadows:
    """The members as they are to be kept: by the running mean of their parameters."""
    goal = members[0].goal
    return Shadows(
        config=goal.plan.model,
        graph=goal.graph,
        params=jax.tree.map(jnp.copy, trained.states.ema),
        constants=stacked([one.constants for one in members]),
        seeds=config.seeds,
    )


def recipe_of(training: dict[str, Any], *, history: int | None, size: Size = "tiny") -> TrainingConfig:
    """The recipe of a model, as far as members share it: what is minimised and how, not how long."""
    known = TrainingConfig.from_json(
        {name: training[name] for name in ("recipe", "loss", "augment") if name in training}
    )
    return replace(known, size=size, history=history)


def stacked(trees: Sequence[Any]) -> Any:
    """One tree, with a new first axis for the trees."""
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *trees)
