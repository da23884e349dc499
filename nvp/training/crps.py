"""Fine-tuning with members: a trained network learns to say several futures, scored by the fair CRPS.

A few members per example get noise vectors of their own and are scored cell by cell: their distance to the truth less
half their distance to each other. The score is proper, so that it is least where truth and members are draws of one
distribution; each member passes the same head, hence conserves and is not negative. The log-variance is taught besides
that the truth differs from the members' mean by (1 + 1/m) of it, since the mean of m draws has a variance itself.

References: Ferro, QJRMS 140 (2014); Lang et al., AIFS-CRPS (2024), for the almost fair score, which keeps two members
from ignoring each other; Alet et al., Skillful joint probabilistic weather forecasting from marginals (2025).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
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
from nvp.training.data import Examples, TrainingData
from nvp.training.events import CheckpointSaved, Progress
from nvp.training.stage import Trained, descend, facts_of, saved
from nvp.training.stage_config import StageConfig
from nvp.training.step import Weights, predict_step, split

# share of the fair score; the rest is that of the m members as they are
_FAIR = 0.95
# weight of the likelihood of the log-variance
_VARIANCE = 0.02
_TINY = 1e-37
# windows of the validation part that are looked at in the end, and members whose mean is judged
_WINDOWS, _JUDGED = 64, 8


def crps_loss(
    members: Prediction, state: Float[Array, "b h w c"], truth: Float[Array, "b h w c"], *, m: int
) -> Float[Array, ""]:
    """Almost fair CRPS in units of the change, and the likelihood; rows of `members` are example by example."""
    fields = jnp.moveaxis(members.mean.reshape(-1, m, *truth.shape[1:]), 1, 0)
    scale = jnp.mean((truth - state) ** 2) + _TINY
    fair, plain = (jnp.mean(crps_ensemble(fields, truth, fair=kind)) for kind in (True, False))
    crps = (_FAIR * fair + (1 - _FAIR) * plain) / jnp.sqrt(scale)
    squared = jax.lax.stop_gradient((fields.mean(axis=0) - truth) ** 2) * (m / (m + 1))
    # a doubt far below any that can be learnt would make the exponential overflow
    log_var = jnp.maximum(members.log_var.reshape(-1, m, *truth.shape[1:]), jnp.log(scale) - 20)
    terms = log_var - jnp.log(scale) + squared[:, None] * jnp.exp(-log_var)
    return crps + _VARIANCE * 0.5 * jnp.mean(terms)


def objective(graph: nnx.GraphDef[NVP], config: StageConfig) -> Any:
    """The loss of a batch as a function of the parameters."""
    m = config.members

    def loss(
        params: Weights, constants: Weights, inputs: Inputs, truth: Float[Array, "b h w c"], key: PRNGKeyArray
    ) -> Array:
        model = nnx.merge(graph, params, constants, copy=True)
        rows = Inputs(*(jnp.repeat(values, m, axis=0) for values in inputs))
        noise = jax.random.normal(key, (len(truth) * m, config.noise))
        return crps_loss(model(rows, noise=noise), inputs.history[:, -1], truth, m=m)

    return loss


def fidelity(
    graph: nnx.GraphDef[NVP], params: Weights, constants: Weights, examples: Examples, config: StageConfig
) -> float:
    """Pooled fidelity of the mean of `_JUDGED` members on the validation part; 0 where nothing changes."""
    rng = np.random.default_rng(config.rng_seed)
    numbers = np.unique(np.linspace(0, len(examples) - 1, min(_WINDOWS, len(examples))).round().astype(int))
    errors = []
    for start in range(0, len(numbers), config.batch):
        chosen = numbers[start : start + config.batch]
        inputs, truth = examples.batch(np.resize(chosen, config.batch))
        rows = Inputs(*(np.repeat(values, _JUDGED, axis=0) for values in inputs))
        noise = rng.standard_normal((config.batch * _JUDGED, config.noise), np.float32)
        members = np.asarray(predict_step(graph, params, constants, rows, noise).mean, np.float64)
        mean = members.reshape(config.batch, _JUDGED, *truth.shape[1:]).mean(axis=1)
        errors.append(pair_errors(*(values[: len(chosen)] for values in (mean, truth, inputs.history[:, -1]))))
    pairs = concatenate(errors)
    change = float(pairs.change.sum())
    return pooled_fidelity(float(pairs.error.sum()), change) if change > 0 else 0.0


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


def finetune(
    config: StageConfig, base: Path, data: TrainingData, *, directory: Path
) -> Iterator[Progress | CheckpointSaved]:
    """Train the network of checkpoint `base` on to say members; the last event says where it was written."""
    _, params, constants, model, manifest = checkpoint.load_model(base)
    model, graph, params, constants = with_noise(model, params, constants, config.noise)
    examples = Examples(model, data.train, seen=True)
    for event in descend(objective(graph, config), params, constants, examples, config):
        if not isinstance(event, Trained):
            yield event
            continue
        facts: dict[str, Any] = {
            **{name: manifest[name] for name in ("training",) if name in manifest},
            "val_fidelity": fidelity(graph, event.params, constants, Examples(model, data.validation), config),
            **facts_of(manifest, config, event),
        }
        path = directory / f"members-{facts['step']:08d}"
        sha256 = checkpoint.write_model(path, model, event.params, constants, facts)
        yield saved(path, facts, sha256)
