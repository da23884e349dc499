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

from graph.queries import prediction, timeline, training, vector_logs
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
from resolvers.services.forecasters import forecaster_of_all
from resolvers.services.loading import load, load_stretches
from resolvers.services.outcomes import log_outcomes, violations_of
from resolvers.services.scoring import scores_of
from resolvers.task import Task

SPREAD = "spread"  # name of the standard deviation in a prediction's segment
TOGETHER = 16  # starts of one call at most: a stop is heard between two calls


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """One start of a run's wish, with everything read that it takes."""

    run: RunRow
    task: Task
    # several are an ensemble
    checkpoints: tuple[CheckpointRow, ...]
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
            tuple(checkpoint.uid for checkpoint in self.checkpoints),
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
    """Predict for all runs; what went wrong with each, None where nothing did.

    A run whose start cannot be read, or that was stopped, fails alone: the others are computed together all the same.
    """
    errors: dict[str, Exception | None] = dict.fromkeys((run.uid for run, _ in together), None)
    found = await asyncio.gather(*(_starts(services, run, task) for run, task in together), return_exceptions=True)
    batches: dict[tuple[object, ...], list[_Start]] = {}
    for (run, _), starts in zip(together, found, strict=True):
        if isinstance(starts, Exception):
            errors[run.uid] = starts
        elif isinstance(starts, BaseException):
            raise starts
        else:
            for start in starts:
                batches.setdefault(start.batch, []).append(start)
    for starts in batches.values():
        for first in range(0, len(starts), TOGETHER):
            # a run that has failed or was stopped has nothing more to say
            group = [start for start in starts[first : first + TOGETHER] if errors[start.run.uid] is None]
            for uid, error in (await _predict(services, group)).items():
                errors[uid] = errors[uid] or error
    return errors


async def _starts(services: Services, run: RunRow, task: Task) -> list[_Start]:
    """Everything that a run wants predicted from; raises where any of it is missing, before anything is computed."""
    checkpoints = await asyncio.gather(
        *(training.checkpoint(services.gateway, uid) for uid in run.config["checkpoints"])
    )
    forecaster = await task.compute(forecaster_of_all, services.store, checkpoints)
    uids: list[str] = run.config["starts"]
    found: list[_Start] = []
    for first in range(0, len(uids), TOGETHER):
        task.check()
        found += await asyncio.gather(
            *(
                _start(services, run, task, tuple(checkpoints), forecaster, uid)
                for uid in uids[first : first + TOGETHER]
            )
        )
    return found


async def _start(
    services: Services,
    run: RunRow,
    task: Task,
    checkpoints: tuple[CheckpointRow, ...],
    forecaster: Forecaster,
    uid: str,
) -> _Start:
    config = run.config
    snapshot = await timeline.snapshot(services.gateway, uid)
    sequence, now, steps = str(snapshot.sequence), snapshot.t_index, config["steps"]
    past, future = await asyncio.gather(
        load(services, sequence, now - forecaster.history + 1, now),
        load_stretches(services, sequence, now + 1, now + steps),
    )
    recorded = config["forcing"] == "recorded" and steps > 1 and past.context
    return _Start(
        run=run,
        task=task,
        checkpoints=checkpoints,
        snapshot=snapshot,
        forecaster=forecaster,
        past=past,
        later=await load(services, sequence, now + 1, now + steps - 1) if recorded else None,
        truth={part.first + k - now: frame for part in future for k, frame in enumerate(part.energy)},
    )


async def _predict(services: Services, starts: Sequence[_Start]) -> dict[str, Exception | None]:
    """One batch: compute together, then write each; by uid of the run, what went wrong with the first of its starts."""
    errors: dict[str, Exception | None] = {}
    for start in starts:
        try:
            start.task.check()
        except Exception as stopped:
            errors[start.run.uid] = stopped
    going = [start for start in starts if start.run.uid not in errors]
    if not going:
        return errors
    head = going[0]
    steps, forcing = head.run.config["steps"], head.run.config["forcing"]
    try:
        forecast = await head.task.compute(head.forecaster.forecast, _window(going), steps, forcing)
    except Exception as error:
        if len(going) == 1:
            return errors | {head.run.uid: error}
        # one of them spoils it for all: each by itself
        for start in going:
            for uid, alone in (await _predict(services, [start])).items():
                errors[uid] = errors.get(uid) or alone
        return errors
    written = await asyncio.gather(
        *(_write(services, start, forecast, number) for number, start in enumerate(going)), return_exceptions=True
    )
    for start, outcome in zip(going, written, strict=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
            raise outcome
        errors[start.run.uid] = errors.get(start.run.uid) or (outcome if isinstance(outcome, Exception) else None)
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
    members = () if forecast.members is None else forecast.members[number]
    if start.run.config["members"]:
        for member, path in enumerate(members):
            states += await asyncio.to_thread(_states, services.store, start.past, path, None, member)
    scores = {
        lead: scores_of(mean[lead - 1], truth, start.past.energy[-1]) for lead, truth in sorted(start.truth.items())
    }
    violations = await asyncio.to_thread(
        violations_of,
        start.forecaster,
        forecast,
        number,
        past=start.past,
        later=start.later,
        forcing=start.run.config["forcing"],
    )
    head, *others = [checkpoint.uid for checkpoint in start.checkpoints]
    uid = await prediction.record_prediction(
        services.gateway,
        start.task.lease,
        start=start.snapshot.uid,
        checkpoint=head,
        others=others,
        members=len(members) or None,
        forcing=start.run.config["forcing"],
        dt=start.past.dt,
        states=states,
        scores=scores,
        violations=violations,
    )
    if scores:
        await log_outcomes(services, await vector_logs.unlogged_of_prediction(services.gateway, uid))


def _states(
    store: ArrayStore,
    past: Series,
    mean: Float[np.ndarray, "s h w c"],
    spread: Float[np.ndarray, "s h w c"] | None,
    member: int | None = None,
) -> list[NewPredicted]:
    """Keep the arrays of a rollout; a forecaster without a variance leaves no spread, and neither does a member."""
    context = {} if spread is None or not np.isfinite(spread).all() else {SPREAD: spread}
    rollout = Series(energy=mean, context=context, dt=past.dt, first=1, domain=past.domain)
    stored = store.write_segment(rollout)
    statistics = frame_statistics(mean, signed=domain(past.domain).signed)
    return [
        NewPredicted(
            lead=k + 1,
            member=member,
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
