"""Training as a generator of events: whoever drives it decides where they go, and stops it by closing it.

    for event in train(TrainingConfig(seconds=90), data, directory=run_directory): …

A training that is stopped, killed or whose machine fails goes on from its last `resume-…` directory as if nothing had
happened: parameters, optimizer, running mean and position in the data are one checkpoint, and everything random is
drawn from (rng seed, epoch) or (rng seed, step).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import numpy as np

from nvp.errors import FieldError
from nvp.model.config import NVPConfig, config_for
from nvp.model.nvp import NVP, parameter_count
from nvp.model.statistics import fit_statistics
from nvp.training.accumulation import train_in_parts
from nvp.training.clock import Clock
from nvp.training.config import TrainingConfig
from nvp.training.data import Batch, Examples, TrainingData
from nvp.training.devices import Devices
from nvp.training.events import Begun, CheckpointSaved, EpochDone, Finished, Progress, TrainingEvent
from nvp.training.keeping import Keeper
from nvp.training.linear import solve
from nvp.training.logs import Log
from nvp.training.loss import Loss
from nvp.training.recipes import suited
from nvp.training.stages import in_two_stages
from nvp.training.step import first_state, learning_rate, plan_of, train_step, train_steps
from nvp.training.unroll import horizon_at
from nvp.training.validation import Score, validate

_PROGRESS_SECONDS = 0.5
# steps per dispatch on a GPU
_SCANNED = 8
# settings that make no other model: how it is run and written, not what is learnt
_OPERATION = ("checkpoint_seconds", "keep", "tolerated", "tensorboard", "devices", "dispatch")


def train(
    config: TrainingConfig, data: TrainingData, *, directory: Path, resume: bool = True
) -> Iterator[TrainingEvent]:
    """Train a network suited to the data; the best parameters by validation end up in `directory/best-<step>`.

    Raises `FieldError` where the data do not suit (`NO_DATA`, `MIXED_GRIDS`) or the loss is not finite (`DIVERGED`).
    """
    training = Training(config, data, directory)
    if resume:
        training.restore()
    yield from training.run() if config.stage is None else in_two_stages(training.run(), config.stage, data, directory)


class Training:
    """One training in progress: of `model`, or of the network that suits the data."""

    def __init__(
        self, config: TrainingConfig, data: TrainingData, directory: Path, *, model: NVPConfig | None = None
    ) -> None:
        self.clock = Clock()
        model = model or config_for(data.spec, data.train[0], size=config.size, history=config.history)
        config = suited(config, model, data.spec)
        model = replace(model, dropout=config.dropout or 0.0, compute=config.compute, remat=config.remat)
        self.config, self.model, self.data, self.directory = config, model, data, Path(directory)
        self.plan = plan_of(config, model)
        self.examples, self.held_out = Examples(model, data.train, seen=True), Examples(model, data.validation)
        self.batch, self.epochs = config.batch or 1, config.epochs or 1
        self.devices = Devices(config.devices, batch=self.batch // config.accumulate)
        statistics = solve(model, fit_statistics(model, data.train), self.examples)
        network = NVP(model, statistics, rng=np.random.default_rng(config.rng_seed))
        self.parameters = parameter_count(network)
        self.graph, state, constants = first_state(network, self.plan)
        self.state, self.constants = self.devices.everywhere((state, constants))
        self.seed = np.uint32(config.rng_seed % 2**32)
        self.steps_per_epoch = self.examples.steps(self.batch)
        self.keeper = Keeper(self.directory, config, model, self.state.ema)
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
        yield Begun(config=self._identity(), parameters=self.parameters, data_digest=self.data.digest)
        reason, last_saved = "epochs", time.perf_counter()
        while self.epoch < self.epochs:
            try:
                yield from self._epoch()
            except FieldError:
                # what validated best before is not to be lost with the rest
                if self.keeper.best.epoch and (saved := self.keeper.write_best(self.constants)):
                    yield saved
                raise
            if over := self.clock.over(self.config):
                reason = over
                break
            if self.epoch - self.keeper.best.epoch >= (self.config.patience or math.inf):
                reason = "patience"
                break
            if time.perf_counter() - last_saved >= self.config.checkpoint_seconds and self.epoch < self.epochs:
                yield from self._save()
                last_saved = time.perf_counter()
        yield from self._save()
        saved = self.keeper.written
        assert saved is not None
        yield Finished(
            path=saved.path,
            step=saved.step,
            epoch=saved.epoch,
            val_fidelity=saved.val_fidelity,
            sha256=saved.sha256,
            seconds=self.clock.seconds,
            reason=reason,
        )

    def _identity(self) -> dict[str, Any]:
        """What makes this model another one than those trained on the same data."""
        training = {name: value for name, value in self.config.to_json().items() if name not in _OPERATION}
        return {"kind": "nvp", "network": self.model.to_json(), "training": training}

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
        score = self._validated(step, all_skipped=skipped == number)
        self.epoch, self.fidelity = epoch + 1, score.fidelity
        self.keeper.offer(
            self.state.ema, fidelity=score.fidelity, epoch=self.epoch, step=step, log_scale=score.log_scale
        )
        means = _means(losses)
        yield EpochDone(
            epoch=self.epoch,
            step=step,
            train_loss=means.pop(""),
            terms=means,
            val_fidelity=score.fidelity,
            val_vrmse=score.vrmse,
            learning_rate=rate,
            seconds=time.perf_counter() - began,
            samples_per_second=number * self.batch / max(trained, 1e-9),
            horizon=horizon,
            skipped=skipped,
            metrics=score.metrics.to_json(),
        )

    def _dispatch(self) -> int:
        """Steps of the next dispatch."""
        if self.config.accumulate > 1:
            return 1
        return self.config.dispatch or (_SCANNED if jax.default_backend() == "gpu" else 1)

    def _advance(self, batches: list[Batch], rate: float) -> Loss:
        """One dispatch: one batch, one batch in parts, or several batches."""
        whole = (self.graph, self.plan, self.state, self.constants)
        speed = np.float32(rate)
        if self.config.accumulate > 1:
            size = self.batch // self.config.accumulate
            cuts = [slice(start, start + size) for start in range(0, self.batch, size)]
            parts = [self.devices.shared(jax.tree.map(lambda leaf, cut=cut: leaf[cut], batches[0])) for cut in cuts]
            self.state, loss = train_in_parts(*whole, parts, speed, self.seed)
        elif len(batches) > 1:
            stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *batches)
            rates = np.full(len(batches), speed)
            self.state, loss = train_steps(*whole, self.devices.shared(stacked, axis=1), rates, self.seed)
        else:
            self.state, loss = train_step(*whole, self.devices.shared(batches[0]), speed, self.seed)
        return loss

    def _validated(self, step: int, *, all_skipped: bool) -> Score:
        if "validation" not in self.warm:
            with self.clock.apart():  # compiles
                self._validate(windows=1)
            self.warm.add("validation")
        score = self._validate(windows=self.config.validation_windows)
        if all_skipped or not math.isfinite(score.fidelity):
            raise _diverged(step, "no step of the epoch with one" if all_skipped else "a validation without one")
        return score

    def _validate(self, *, windows: int) -> Score:
        weights, spec = (self.state.ema, self.constants), self.data.spec
        return validate(self.graph, *weights, self.held_out, spec, batch=self.batch, windows=windows)

    def _progress(self, step: int, loss: float, speed: float) -> Progress:
        fraction = self.fraction(step)
        by_steps = (self.epochs * self.steps_per_epoch - step) * self.batch / max(speed, 1e-9)
        return Progress(
            epoch=self.epoch + 1,
            epochs=self.epochs,
            step=step,
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
        saved = self.keeper.write_best(self.constants)
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
