"""Prediction: what a checkpoint says will follow a snapshot, written into the graph beside what did follow.

Runs that arrive together and want the same of the same checkpoint are one batch on the accelerator. The arrays of a
prediction are one segment: a frame per lead, with the standard deviation beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from graph.queries import prediction, timeline, training
from graph.queries.prediction import NewPredicted
from graph.queries.runs import RunRow
from graph.queries.timeline import FrameRow
from graph.queries.training import CheckpointRow
from nvp.atlas.series import Series
from nvp.atlas.statistics import frame_statistics
from nvp.atlas.store import ArrayStore
from nvp.dynamics.domain import domain
from nvp.prediction.forecaster import Forecast, Forecaster, Window
from resolvers.services.context import Services
from resolvers.services.forecasters import forecaster_of
from resolvers.services.loading import load, load_stretches
from resolvers.services.scoring import scores_of
from resolvers.task import Task

SPREAD = "spread"  # name of the standard deviation in a prediction's segment


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """One run's wish, with everything read that it takes."""

    run: RunRow
    task: Task
    checkpoint: CheckpointRow
    snapshot: FrameRow
    forecaster: Forecaster
    # the frames up to the start, and (recorded forcing) those after it
    past: Series
    later: Series | None
    # what did follow, by lead
    truth: Mapping[int, Float[np.ndarray, "h w c"]]

    @property
    def batch(self) -> tuple[object, ...]:
        """Starts of the same batch can be predicted by one call."""
        config, past = self.run.config, self.past
        return (
            self.checkpoint.uid,
            config["steps"],
            config["forcing"],
            past.energy.shape,
            past.dt,
            past.domain,
            tuple(sorted(past.parameters.items())),
            past.valid_time is None,
        )


async def execute(services: Services, run: RunRow, task: Task) -> None:
    """Predict for one run."""
    error = (await execute_batch(services, [(run, task)]))[run.uid]
    if error is not None:
        raise error


async def execute_batch(services: Services, together: Sequence[tuple[RunRow, Task]]) -> dict[str, Exception | None]:
    """Predict for all runs; what went wrong with each, None where nothing did."""
    errors: dict[str, Exception | None] = dict.fromkeys((run.uid for run, _ in together), None)
    found = await asyncio.gather(*(_start(services, run, task) for run, task in together), return_exceptions=True)
    batches: dict[tuple[object, ...], list[_Start]] = {}
    for (run, _), start in zip(together, found, strict=True):
        if isinstance(start, _Start):
            batches.setdefault(start.batch, []).append(start)
        elif isinstance(start, Exception):
            errors[run.uid] = start
        else:
            raise start
    for starts in batches.values():
        errors |= await _predict(services, starts)
    return errors


async def _start(services: Services, run: RunRow, task: Task) -> _Start:
    config = run.config
    checkpoint, snapshot = await asyncio.gather(
        training.checkpoint(services.gateway, config["checkpoint"]),
        timeline.snapshot(services.gateway, config["snapshot"]),
    )
    forecaster = await task.compute(forecaster_of, services.store, checkpoint)
    sequence, now, steps = str(snapshot.sequence), snapshot.t_index, config["steps"]
    past, future = await asyncio.gather(
        load(services, sequence, now - forecaster.history + 1, now),
        load_stretches(services, sequence, now + 1, now + steps),
    )
    recorded = config["forcing"] == "recorded" and steps > 1 and past.context
    return _Start(
        run=run,
        task=task,
        checkpoint=checkpoint,
        snapshot=snapshot,
        forecaster=forecaster,
        past=past,
        later=await load(services, sequence, now + 1, now + steps - 1) if recorded else None,
        truth={part.first + k - now: frame for part in future for k, frame in enumerate(part.energy)},
    )


async def _predict(services: Services, starts: Sequence[_Start]) -> dict[str, Exception | None]:
    """One batch: compute together, then write each."""
    first = starts[0]
    steps, forcing = first.run.config["steps"], first.run.config["forcing"]
    try:
        forecast = await first.task.compute(first.forecaster.forecast, _window(starts), steps, forcing)
    except Exception as error:
        return dict.fromkeys((start.run.uid for start in starts), error)
    written = await asyncio.gather(
        *(_write(services, start, forecast, number) for number, start in enumerate(starts)), return_exceptions=True
    )
    errors: dict[str, Exception | None] = {}
    for start, outcome in zip(starts, written, strict=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
            raise outcome
        errors[start.run.uid] = outcome if isinstance(outcome, Exception) else None
    return errors


def _window(starts: Sequence[_Start]) -> Window:
    """All starts as one window."""
    head = starts[0].past
    later = [start.later for start in starts if start.later is not None]
    return Window(
        history=np.stack([start.past.energy for start in starts]),
        context={name: np.stack([start.past.context[name] for start in starts]) for name in head.context},
        forcing={name: np.stack([one.context[name] for one in later]) for name in head.context} if later else {},
        parameters=head.parameters,
        valid_time=None
        if head.valid_time is None
        else np.array([start.past.valid_time[-1] for start in starts if start.past.valid_time is not None]),
        dt=head.dt,
        domain=domain(head.domain),
    )


async def _write(services: Services, start: _Start, forecast: Forecast, number: int) -> None:
    """Files first, then the graph in one transaction."""
    start.task.check()
    mean, log_var = forecast.mean[number], forecast.log_var[number]
    states = await asyncio.to_thread(_states, services.store, start.past, mean, np.exp(0.5 * log_var))
    scores = {
        lead: scores_of(mean[lead - 1], truth, start.past.energy[-1]) for lead, truth in sorted(start.truth.items())
    }
    await prediction.record_prediction(
        services.gateway,
        start.task.lease,
        start=start.snapshot.uid,
        checkpoint=start.checkpoint.uid,
        forcing=start.run.config["forcing"],
        dt=start.past.dt,
        states=states,
        scores=scores,
    )


def _states(
    store: ArrayStore, past: Series, mean: Float[np.ndarray, "s h w c"], spread: Float[np.ndarray, "s h w c"]
) -> list[NewPredicted]:
    """Keep the arrays of a rollout; a forecaster without a variance leaves no spread."""
    known = bool(np.isfinite(spread).all())
    rollout = Series(energy=mean, context={SPREAD: spread} if known else {}, dt=past.dt, first=1, domain=past.domain)
    stored = store.write_segment(rollout)
    statistics = frame_statistics(mean, signed=domain(past.domain).signed)
    return [
        NewPredicted(
            lead=k + 1,
            sha256=frame.sha256,
            uri=frame.uri,
            spread_uri=frame.context_uri,
            spread_sha256=frame.context_sha256,
            total_energy=float(statistics.total_energy[k]),
            mean=float(statistics.mean[k]),
            variance=float(statistics.variance[k]),
            minimum=float(statistics.minimum[k]),
            maximum=float(statistics.maximum[k]),
            entropy=None if statistics.entropy is None else float(statistics.entropy[k]),
            gradient_energy=float(statistics.gradient_energy[k]),
            descriptor=tuple(statistics.descriptor[k].tolist()),
            regime=str(statistics.regime[k]),
        )
        for k, frame in enumerate(stored.frames)
    ]
