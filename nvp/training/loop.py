"""The one loop of all trainings, as a generator of events: epochs of an objective until a budget is used up.

A training that is stopped, killed or whose machine fails goes on from its last `resume-…` directory as if nothing had
happened: parameters, optimizer, running mean and position in the data are one checkpoint, and everything random is
drawn from (rng seed, epoch) or (rng seed, step).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import numpy as np

from nvp.errors import FieldError
from nvp.training.accumulation import train_in_parts
from nvp.training.clock import Clock
from nvp.training.config import TrainingConfig
from nvp.training.data import Batch
from nvp.training.devices import Devices
from nvp.training.events import Begun, CheckpointSaved, EpochDone, Finished, Progress, TrainingEvent
from nvp.training.keeping import Keeper
from nvp.training.logs import Log
from nvp.training.loss import Loss
from nvp.training.objective import Counted, Objective
from nvp.training.step import NextState, learning_rate, train_step, train_steps
from nvp.training.unroll import horizon_at
from nvp.training.validation import Score

_PROGRESS_SECONDS = 0.5
# a batch of up to so many may hold the same example several times
_REPEATED = 256
# steps per dispatch on a GPU
_SCANNED = 8


class Loop:
    """One training in progress, in a directory of its own."""

    def __init__(
        self,
        objective: Objective,
        config: TrainingConfig,
        directory: Path,
        *,
        clock: Clock | None = None,
        after: Counted | None = None,
    ) -> None:
        """`config` without open choices; epochs and steps are counted on from `after`."""
        self.clock = clock or Clock()
        self.objective, self.config, self.directory = objective, config, Path(directory)
        self.after = after or Counted()
        self.examples, self.parameters = objective.examples, objective.parameters
        self.batch, self.epochs = config.batch or 1, config.epochs or 1
        most = max(_REPEATED, len(self.examples))
        if self.batch > most:
            raise FieldError(
                "BAD_CONFIG",
                f"expected a batch of at most {most} out of {len(self.examples)} examples, got {self.batch}.",
                next_step="Use a smaller batch, or more data.",
            )
        self.devices = Devices(config.devices, batch=self.batch // config.accumulate)
        self.state, self.constants = self.devices.everywhere((objective.first(), objective.constants))
        self.seed = np.uint32(config.rng_seed % 2**32)
        self.steps_per_epoch = self.examples.steps(self.batch)
        self.keeper = Keeper(self.directory, config, objective, objective.kept(self.state), after=self.after)
        # epochs that are over, and fidelity of the last validation
        self.epoch = 0
        self.fidelity: float | None = None
        # programs that are compiled
        self.warm: set[Any] = set()
        self.reported = time.perf_counter()

    def restore(self) -> None:
        """Go on from the last complete state in the directory, if there is one of the same configuration."""
        found = self.keeper.restore(self.state)
        if found is not None:
            self.state = self.devices.everywhere(found.state)
            self.epoch, self.fidelity, self.clock.before = found.epoch, found.fidelity, found.spent

    def fraction(self, step: int) -> float:
        """Share done, by epochs or by time, whichever is further."""
        return min(1.0, max(step / (self.epochs * self.steps_per_epoch), self.clock.share(self.config)))

    def run(self) -> Iterator[TrainingEvent]:
        """All events of the training, each of them logged before it is told."""
        log = Log(self.directory, tensorboard=self.config.tensorboard)
        try:
            for event in self._events():
                log.add(event)
                yield event
        finally:
            log.close()

    # -- the loop ---------------------------------------------------------------------------------------------------

    def _events(self) -> Iterator[TrainingEvent]:
        """Epochs until there are enough, time is over or validation stands still."""
        one = self.objective
        yield Begun(config=one.identity, parameters=one.parameters, data_digest=one.data.digest)
        written, last_saved = self.epoch, time.perf_counter()
        while (reason := self._over()) is None:
            try:
                yield from self._epoch()
            except FieldError:
                # what validated best before is not to be lost with the rest
                if saved := self.keeper.write_best():
                    yield saved
                raise
            if time.perf_counter() - last_saved >= self.config.checkpoint_seconds and self._over() is None:
                yield from self._save()
                written, last_saved = self.epoch, time.perf_counter()
        if not one.selects and self.keeper.best.epoch != self.epoch:
            self._offer(self._validated(), step=int(self.state.step))
        if written != self.epoch or self.keeper.written is None:
            yield from self._save()
        ended = self.keeper.written
        assert ended is not None
        yield Finished(
            path=ended.path,
            step=ended.step,
            epoch=ended.epoch,
            val_fidelity=ended.val_fidelity,
            sha256=ended.sha256,
            seconds=self.clock.seconds,
            reason=reason,
        )

    def _over(self) -> str | None:
        """What ends it here; None before the first epoch is over."""
        if not self.epoch:
            return None
        if over := self.clock.over(self.config):
            return over
        if self.objective.selects and self.epoch - self.keeper.best.epoch >= (self.config.patience or math.inf):
            return "patience"
        return "epochs" if self.epoch >= self.epochs else None

    def _epoch(self) -> Iterator[TrainingEvent]:
        config, epoch = self.config, self.epoch
        began = since = time.perf_counter()
        first = number = 0  # speed is that of the steps after `first`, since `since`
        step = epoch * self.steps_per_epoch
        skipped_before = int(self.state.skipped)
        horizon = horizon_at(config, self.fraction(step))
        batches = self.examples.epoch(
            epoch, batch=self.batch, rng_seed=config.rng_seed, augment=bool(config.augment), horizon=horizon
        )
        losses: list[Loss] = []
        rate = 0.0
        while chosen := list(islice(batches, self._dispatch())):
            rate = learning_rate(config, self.fraction(step))
            compiles = (horizon, len(chosen)) not in self.warm
            with self.clock.apart() if compiles else nullcontext():
                losses.append(self._advance(chosen, rate))
                if compiles:
                    losses[-1].total.block_until_ready()
            number += len(chosen)
            step += len(chosen)
            if compiles:
                if not self.warm:
                    self.clock.first_step_done()
                    began = time.perf_counter()
                self.warm.add((horizon, len(chosen)))
                since = self.reported = time.perf_counter()
                first = number
            # epochs may be shorter than the pause between two reports
            if time.perf_counter() - self.reported >= _PROGRESS_SECONDS and number > first:
                self._check(step)
                value = float(np.asarray(losses[-1].total).ravel()[-1])
                self.reported = time.perf_counter()
                yield self._progress(step, value, (number - first) * self.batch / (self.reported - since))
                since, first = self.reported, number
            if self.clock.over(config):
                break
        self._check(step)
        skipped = int(self.state.skipped) - skipped_before
        trained = time.perf_counter() - began
        if skipped == number:
            raise _diverged(step, "no step of the epoch with one")
        score = self._validated() if self.objective.selects else None
        self.epoch = epoch + 1
        if score is not None:
            self._offer(score, step=step)
        means = _means(losses)
        yield EpochDone(
            epoch=self.after.epochs + self.epoch,
            step=self.after.steps + step,
            train_loss=means.pop(""),
            terms=means,
            val_fidelity=math.nan if score is None else score.fidelity,
            val_vrmse=math.nan if score is None else score.vrmse,
            learning_rate=rate,
            seconds=time.perf_counter() - began,
            samples_per_second=number * self.batch / max(trained, 1e-9),
            horizon=horizon,
            skipped=skipped,
            metrics={} if score is None or score.metrics is None else score.metrics.to_json(),
        )

    def _dispatch(self) -> int:
        """Steps of the next dispatch."""
        if self.config.accumulate > 1:
            return 1
        return self.config.dispatch or (_SCANNED if jax.default_backend() == "gpu" else 1)

    def _advance(self, batches: list[Batch], rate: float) -> Loss:
        """One dispatch: one batch, one batch in parts, or several batches."""
        goal, speed = self.objective.goal, np.float32(rate)
        if self.config.accumulate > 1:
            assert isinstance(goal, NextState)  # no other goal is a function of what was said of each example
            size = self.batch // self.config.accumulate
            cuts = [slice(start, start + size) for start in range(0, self.batch, size)]
            parts = [self.devices.shared(jax.tree.map(lambda leaf, cut=cut: leaf[cut], batches[0])) for cut in cuts]
            self.state, loss = train_in_parts(goal, self.state, self.constants, parts, speed, self.seed)
        elif len(batches) > 1:
            stacked = self.devices.shared(jax.tree.map(lambda *leaves: np.stack(leaves), *batches), axis=1)
            rates = np.full(len(batches), speed)
            self.state, loss = train_steps(goal, self.state, self.constants, stacked, rates, self.seed)
        else:
            batch = self.devices.shared(batches[0])
            self.state, loss = train_step(goal, self.state, self.constants, batch, speed, self.seed)
        return loss

    def _validated(self) -> Score:
        if "validation" not in self.warm:
            with self.clock.apart():  # compiles
                self._score(windows=1)
            self.warm.add("validation")
        score = self._score(windows=self.config.validation_windows)
        if not math.isfinite(score.fidelity):
            raise _diverged(int(self.state.step), "a validation without one")
        return score

    def _score(self, *, windows: int) -> Score:
        kept = self.objective.kept(self.state)
        return self.objective.score(kept, self.constants, batch=self.batch, windows=windows)

    def _offer(self, score: Score, *, step: int) -> None:
        """Say how the running mean has validated; it is kept where it is the best."""
        self.fidelity = score.fidelity
        kept = self.objective.kept(self.state)
        self.keeper.offer(kept, fidelity=score.fidelity, epoch=self.epoch, step=step, log_scale=score.log_scale)

    def _progress(self, step: int, loss: float, speed: float) -> Progress:
        fraction = self.fraction(step)
        by_steps = (self.epochs * self.steps_per_epoch - step) * self.batch / max(speed, 1e-9)
        return Progress(
            epoch=self.after.epochs + self.epoch + 1,
            epochs=self.after.epochs + self.epochs,
            step=self.after.steps + step,
            loss=loss,
            samples_per_second=speed,
            fidelity=self.fidelity,
            eta=min(by_steps, self.clock.left(self.config)),
            fraction=fraction,
        )

    def _check(self, step: int) -> None:
        """Give up where the last steps were all skipped; what is on disk stays."""
        if (row := int(self.state.row)) >= self.config.tolerated:
            raise _diverged(step, f"{row} steps in a row without one")

    def _save(self) -> Iterator[CheckpointSaved]:
        """Write the best parameters, where they are new, and the state to resume from."""
        saved = self.keeper.write_best()
        if saved is not None:
            yield saved
        self.keeper.write_state(
            self.state, epoch=self.epoch, fidelity=self.fidelity, spent=(self.clock.seconds, self.clock.cpu_seconds)
        )


def _diverged(step: int, got: str) -> FieldError:
    return FieldError(
        "DIVERGED",
        f"expected a finite loss and gradient, got {got} at step {step}.",
        next_step="Lower the learning rate, and check the data for extreme values.",
    )


def _means(losses: list[Loss]) -> dict[str, float]:
    """Means over the steps with a finite loss: of each term by name, and of the whole as ""."""
    whole = np.concatenate([np.atleast_1d(loss.total) for loss in losses])
    fine = np.isfinite(whole)
    means = {"": float(whole[fine].mean())} if fine.any() else {"": math.nan}
    for name in losses[0].terms:
        values = np.concatenate([np.atleast_1d(loss.terms[name]) for loss in losses])
        means[name] = float(values[fine].mean()) if fine.any() else math.nan
    return means
