"""Evaluation: how good checkpoints are on stretches of sequences, beside the baselines.

One Evaluation per checkpoint goes into the graph. Several checkpoints are rng seeds of one configuration: each of their
evaluations then also holds the mean over seeds, under `over_seeds`. Ridge regression learns from the split's training
part and chooses its penalty on the validation part. An experiment that counts sequences asks for `samples`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graph.queries import evaluation, splits, training
from graph.queries.evaluation import Stretch
from graph.queries.runs import RunRow
from nvp.atlas.series import Series
from nvp.prediction.baselines import rivals_for
from nvp.prediction.evaluation import Plan, Totals, plan
from nvp.prediction.pieces import score_stored
from nvp.prediction.seeds import combine
from nvp.prediction.stored import StoredForecaster
from resolvers.parallel.pool import asked, each, pool
from resolvers.services.context import Services
from resolvers.services.forecasters import stored_forecaster
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
    stored = [stored_forecaster(services.store, checkpoint) for checkpoint in checkpoints]
    plans = []
    for number, one in enumerate(stored):
        await task.report(0.0, f"checkpoint {number + 1}/{len(stored)} · reading")
        history = (await task.compute(one.load)).history
        plans.append(await task.compute(plan, history, series, fit=fit, rivals=rivals, **options(config)))
    results = [totals.result() for totals in await _scored(services, run, task, plans, stored, series)]
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
    """What `plan` is told of a run's configuration."""
    return {
        "stride": config["stride"],
        "horizon": config["horizon"],
        "spans": [(first, last) for first, last in config["windows"]],
        "forcing": config["forcing"],
        "rollouts": config["rollouts"],
        "drift": config["drift"],
    }


async def _scored(
    services: Services,
    run: RunRow,
    task: Task,
    plans: Sequence[Plan],
    stored: Sequence[StoredForecaster],
    series: Sequence[Series],
) -> list[Totals]:
    """What the pieces of each plan come to: they are scored in order, here or side by side on Dask."""
    pieces = [(number, piece) for number, one in enumerate(plans) for piece in one.pieces]
    totals = [Totals(one) for one in plans]
    await task.report(0.0, "compiling")
    async with pool(services.settings, task, asked(run.config)) as workers:
        tasks = (
            {
                "judge": workers.share(plans[number].judge),
                "checkpoint": workers.share(stored[number]),
                "series": workers.share(series[piece.series]),
                "piece": piece,
            }
            for number, piece in pieces
        )
        done = 0
        async for found in workers.map(score_stored, each(tasks)):
            number, _ = pieces[done]
            totals[number].add(found)
            done += 1
            await task.report(done / len(pieces), f"checkpoint {number + 1}/{len(plans)} · {done}/{len(pieces)} pieces")
    return totals
