"""Evaluation: how good checkpoints are on stretches of sequences, beside the baselines.

One Evaluation per checkpoint goes into the graph. Several checkpoints are rng seeds of one configuration: each of their
evaluations then also holds the mean over seeds, under `over_seeds`. Ridge regression learns from the split's training
part and chooses its penalty on the validation part. An experiment that counts sequences asks for `samples`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graph.queries import evaluation, splits, training
from graph.queries.evaluation import Stretch
from graph.queries.runs import RunRow
from nvp.prediction.baselines import rivals_for
from nvp.prediction.evaluation import evaluate
from nvp.prediction.seeds import combine
from resolvers.services.context import Services
from resolvers.services.forecasters import forecaster_of
from resolvers.services.loading import load_parts
from resolvers.services.sampling import sampled
from resolvers.task import Task


async def execute(services: Services, run: RunRow, task: Task) -> None:
    """Score the checkpoints of `run.config` on its parts."""
    config = run.config
    checkpoints = [await training.checkpoint(services.gateway, uid) for uid in config["checkpoints"]]
    split = await splits.split(services.gateway, checkpoints[0].model.split)
    scored = [Stretch(**part) for part in config["parts"]]
    await task.report(0.0, "reading the fields")
    series = await load_parts(services, scored)
    fit, validation = [
        await load_parts(services, split.of(role))
        # where a domain was left out, the other parts are of other domains: no baseline learns from them
        for role in (() if "left_out" in config else ("train", "val"))
    ] or ([], [])
    if "samples" in config:
        scores = await sampled(
            services,
            task,
            checkpoint=checkpoints[0],
            series=series,
            fit=fit,
            validation=validation,
            asked=config["samples"],
            rng_seed=run.rng_seed,
        )
        await evaluation.record_evaluation(
            services.gateway, task.lease, checkpoint=checkpoints[0].uid, stretches=scored, scores=scores
        )
        return
    await task.report(0.0, "fitting the baselines")
    rivals = await task.compute(rivals_for, series, fit, validation)
    results = []
    for number, checkpoint in enumerate(checkpoints):
        await task.report(number / len(checkpoints), f"checkpoint {number + 1}/{len(checkpoints)} · compiling")
        forecaster = await task.compute(forecaster_of, services.store, checkpoint)
        results.append(
            await task.compute(
                evaluate,
                forecaster,
                series,
                fit=fit,
                rivals=rivals,
                **options(config),
                progress=_progress(task, number, len(checkpoints)),
            )
        )
    left_out = {"left_out": config["left_out"]} if "left_out" in config else {}
    mean = {"over_seeds": combine(results).to_json()} if len(results) > 1 else {}
    for checkpoint, result in zip(checkpoints, results, strict=True):
        await evaluation.record_evaluation(
            services.gateway,
            task.lease,
            checkpoint=checkpoint.uid,
            stretches=scored,
            scores=result.to_json() | mean | left_out,
        )


def options(config: dict[str, Any]) -> dict[str, Any]:
    """What `evaluate` is told of a run's configuration."""
    return {
        "stride": config["stride"],
        "horizon": config["horizon"],
        "spans": [(first, last) for first, last in config["windows"]],
        "forcing": config["forcing"],
        "rollouts": config["rollouts"],
        "drift": config["drift"],
    }


def _progress(task: Task, number: int, checkpoints: int) -> Callable[[int, int], None]:
    """Tells the task of the starts from which this checkpoint has been scored; raises where the run is to stop."""

    def progress(done: int, starts: int) -> None:
        fraction = (number + done / starts) / checkpoints
        task.tell(fraction, f"checkpoint {number + 1}/{checkpoints} · {done}/{starts} starts")

    return progress
