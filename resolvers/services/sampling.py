"""Evaluations that count sequences: beside the scores, the value of one measure for each sequence, or day of a record.

What is asked (`config["samples"]`): `metric`, `model` (whose scores are those of the evaluation), `leads` by forecaster
("model" is the checkpoint, others are baselines), and where inputs are disturbed `perturbation {operation, amount}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graph.queries.training import CheckpointRow
from nvp.atlas.series import Series
from nvp.prediction.baselines import rivals_for
from nvp.prediction.forecaster import Forecaster
from nvp.prediction.perturbed import Perturbed
from nvp.prediction.samples import STARTS, sample, units_of
from resolvers.services.context import Services
from resolvers.services.forecasters import forecaster_of
from resolvers.task import Task

CHECKPOINT = "model"
"""What the table calls the checkpoint's own forecasts."""


async def sampled(
    services: Services,
    task: Task,
    *,
    checkpoint: CheckpointRow,
    series: Sequence[Series],
    fit: Sequence[Series],
    validation: Sequence[Series],
    asked: dict[str, Any],
    rng_seed: int,
) -> dict[str, Any]:
    """The scores of an evaluation with its table of samples."""

    def compute() -> dict[str, Any]:
        forecasters: dict[str, Forecaster] = {}
        leads = {who: tuple(wanted) for who, wanted in asked["leads"].items()}
        if set(leads) - {CHECKPOINT}:
            learning = (fit, validation) if "ridge" in leads else ((), ())
            forecasters |= {who: one for who, one in rivals_for(series, *learning).items() if who in leads}
        if CHECKPOINT in leads:
            forecasters[CHECKPOINT] = forecaster_of(services.store, checkpoint)
        if (done := asked.get("perturbation")) is not None:
            forecasters = {
                who: Perturbed(forecaster=one, rng_seed=rng_seed, **done) for who, one in forecasters.items()
            }
        history = max((one.history for one in forecasters.values()), default=1)
        units = units_of(series, history=history, horizon=max(max(wanted) for wanted in leads.values()))
        found = sample(
            forecasters,
            units,
            metric=asked["metric"],
            leads=leads,
            model=asked["model"],
            most=asked.get("starts", STARTS),
            progress=lambda done, of: task.tell(done / of, f"{done}/{of} sequences"),
        )
        return found.to_json() | ({} if done is None else {"perturbation": done})

    return await task.compute(compute)
