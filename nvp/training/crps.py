"""Fine-tuning with members: a trained network learns to say several futures, scored by the fair CRPS.

A few members per example get noise vectors of their own and are scored cell by cell: their distance to the truth less
half their distance to each other. The score is proper, so that it is least where truth and members are draws of one
distribution; each member passes the same head, hence conserves and is not negative. The log-variance is taught besides
that the truth differs from the members' mean by (1 + 1/m) of it, since the mean of m draws has a variance itself.

References: Ferro, QJRMS 140 (2014); Lang et al., AIFS-CRPS (2024), for the almost fair score, which keeps two members
from ignoring each other; Alet et al., Skillful joint probabilistic weather forecasting from marginals (2025).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray

from nvp.model.config import NVPConfig
from nvp.model.inputs import Inputs
from nvp.model.nvp import NVP, Prediction
from nvp.model.statistics import Statistics
from nvp.thermo.probabilistic import crps_ensemble
from nvp.thermo.scores import concatenate, pair_errors, pooled_fidelity
from nvp.training import checkpoint
from nvp.training.config import TrainingConfig
from nvp.training.data import Batch, Examples, TrainingData
from nvp.training.loss import Loss
from nvp.training.stage_config import StageConfig
from nvp.training.step import Goal, Plan, TrainState, Weights, begun, plan_of, predict_step, split
from nvp.training.validation import Score

# share of the fair score; the rest is that of the m members as they are
_FAIR = 0.95
# weight of the likelihood of the log-variance
_VARIANCE = 0.02
_TINY = 1e-37
# windows of the validation part that are looked at in the end, and members whose mean is judged
_WINDOWS, _JUDGED = 64, 8


def crps_loss(members: Prediction, state: Float[Array, "b h w c"], truth: Float[Array, "b h w c"], *, m: int) -> Loss:
    """Almost fair CRPS in units of the change, and the likelihood; rows of `members` are example by example."""
    fields = jnp.moveaxis(members.mean.reshape(-1, m, *truth.shape[1:]), 1, 0)
    scale = jnp.mean((truth - state) ** 2) + _TINY
    fair, plain = (jnp.mean(crps_ensemble(fields, truth, fair=kind)) for kind in (True, False))
    crps = (_FAIR * fair + (1 - _FAIR) * plain) / jnp.sqrt(scale)
    squared = jax.lax.stop_gradient((fields.mean(axis=0) - truth) ** 2) * (m / (m + 1))
    # a doubt far below any that can be learnt would make the exponential overflow
    log_var = jnp.maximum(members.log_var.reshape(-1, m, *truth.shape[1:]), jnp.log(scale) - 20)
    terms = log_var - jnp.log(scale) + squared[:, None] * jnp.exp(-log_var)
    likelihood = 0.5 * jnp.mean(terms)
    return Loss(crps + _VARIANCE * likelihood, {"crps": crps, "variance": likelihood})


@dataclass(frozen=True, slots=True)
class MembersGoal:
    """The loss of a few members of each example, told apart by noise."""

    graph: nnx.GraphDef[NVP]
    plan: Plan
    members: int

    def __call__(
        self, params: Weights, statistics: Any, constants: Weights, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Loss, Any]:
        m, inputs = self.members, batch.inputs
        model = nnx.merge(self.graph, params, constants, copy=True)
        rows = Inputs(*(jnp.repeat(values, m, axis=0) for values in inputs))
        noise = jax.random.normal(key, (len(batch.truth) * m, self.plan.model.noise))
        return crps_loss(model(rows, noise=noise), inputs.history[:, -1], batch.truth[:, 0], m=m), statistics


class Members:
    """The objective that trains the network of checkpoint `base` on to say members."""

    selects = False

    def __init__(self, stage: StageConfig, settings: TrainingConfig, base: Path, data: TrainingData) -> None:
        _, params, constants, model, manifest = checkpoint.load_model(base)
        self.model, self._graph, self._params, self.constants = with_noise(model, params, constants, stage.noise)
        self.data, self.stage = data, stage
        self.examples = Examples(self.model, data.train, seen=True)
        self.held_out = Examples(self.model, data.validation)
        self.parameters = sum(leaf.size for leaf in jax.tree.leaves(self._params))
        self.goal: Goal = MembersGoal(self._graph, plan_of(settings, self.model), stage.members)
        self.facts: Mapping[str, Any] = {"stage": stage.to_json(), "base": manifest["sha256"]}
        self.identity: Mapping[str, Any] = {"kind": "members", "network": self.model.to_json(), **self.facts}
        self._of_base: dict[str, Any] = {name: manifest[name] for name in ("training",) if name in manifest}

    def first(self) -> TrainState:
        """From the parameters of the base."""
        return begun(self._params, self.goal.plan)

    def kept(self, state: TrainState) -> Weights:
        """The running mean of the parameters."""
        return state.ema

    def score(self, kept: Weights, constants: Weights, *, batch: int, windows: int) -> Score:
        """Pooled fidelity of the mean of `_JUDGED` members; 0 where nothing changes."""
        rng = np.random.default_rng(self.stage.rng_seed)
        examples = self.held_out
        numbers = np.unique(
            np.linspace(0, len(examples) - 1, min(windows, _WINDOWS, len(examples))).round().astype(int)
        )
        errors = []
        for start in range(0, len(numbers), batch):
            chosen = numbers[start : start + batch]
            inputs, truth = examples.batch(np.resize(chosen, batch))
            rows = Inputs(*(np.repeat(values, _JUDGED, axis=0) for values in inputs))
            noise = rng.standard_normal((batch * _JUDGED, self.model.noise), np.float32)
            members = np.asarray(predict_step(self._graph, kept, constants, rows, noise).mean, np.float64)
            mean = members.reshape(batch, _JUDGED, *truth.shape[1:]).mean(axis=1)
            errors.append(pair_errors(*(values[: len(chosen)] for values in (mean, truth, inputs.history[:, -1]))))
        pairs = concatenate(errors)
        change = float(pairs.change.sum())
        return Score(fidelity=pooled_fidelity(float(pairs.error.sum()), change) if change > 0 else 0.0)

    def write(self, directory: Path, kept: Weights, facts: Mapping[str, Any]) -> str:
        """As `load_model` reads it."""
        said = {**self._of_base, **facts, **self.facts}
        return checkpoint.write_model(directory, self.model, kept, self.constants, said)


def with_noise(
    config: NVPConfig, params: Weights, constants: Weights, noise: int
) -> tuple[NVPConfig, nnx.GraphDef[NVP], Weights, Weights]:
    """The same network with room for noise, to which it pays no attention yet; as it is where it has that already."""
    if config.noise not in (0, noise):
        raise ValueError(f"expected a network without noise or with {noise}, got {config.noise}")
    wider = replace(config, noise=noise)
    known = checkpoint.arrays_of(params, "") | checkpoint.arrays_of(constants, "")
    statistics = Statistics(**{name: known.get(name, np.zeros(0, np.float32)) for name in Statistics.__slots__})
    graph, fresh, fitted = split(NVP(wider, statistics, rng=np.random.default_rng(0)))
    return wider, graph, checkpoint.tree_of(checkpoint.arrays_of(fresh, "") | known, fresh, ""), fitted
