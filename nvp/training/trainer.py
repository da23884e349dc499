"""Training as a generator of events: whoever drives it decides where they go, and stops it by closing it.

    for event in train(TrainingConfig(seconds=90), data, directory=run_directory): …

A training that is stopped, killed or whose machine fails goes on from its last `resume-…` directory as if nothing had
happened: parameters, optimizer, running mean and position in the data are one checkpoint, and everything random is
drawn from (rng seed, epoch) or (rng seed, step).
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from nvp.errors import FieldError
from nvp.model.config import NVPConfig, config_for
from nvp.model.nvp import NVP, parameter_count
from nvp.model.statistics import fit_statistics
from nvp.training import checkpoint
from nvp.training.clock import Clock
from nvp.training.config import TrainingConfig, suited
from nvp.training.data import Examples, TrainingData
from nvp.training.events import Begun, CheckpointSaved, EpochDone, Finished, Progress, TrainingEvent
from nvp.training.loss import Loss
from nvp.training.step import first_state, learning_rate, train_step
from nvp.training.validation import Score, validate

_PROGRESS_SECONDS = 0.5


def train(
    config: TrainingConfig, data: TrainingData, *, directory: Path, resume: bool = True
) -> Iterator[TrainingEvent]:
    """Train a network suited to the data; the best parameters by validation end up in `directory/best-<step>`.

    Raises `FieldError` where the data do not suit (`NO_DATA`, `MIXED_GRIDS`) or the loss is not finite (`DIVERGED`).
    """
    model = config_for(data.spec, data.train[0], size=config.size, history=config.history)
    config = suited(config, model)
    model = replace(model, dropout=config.dropout or 0.0)
    training = Training(config, model, data, directory)
    if resume:
        training.restore()
    yield from training.run()


class Training:
    """One training in progress."""

    def __init__(self, config: TrainingConfig, model: NVPConfig, data: TrainingData, directory: Path) -> None:
        self.clock = Clock()
        self.config, self.model, self.directory = config, model, Path(directory)
        self.examples, self.held_out = Examples(model, data.train), Examples(model, data.validation)
        self.batch, self.epochs = config.batch or 1, config.epochs or 1
        network = NVP(model, fit_statistics(model, data.train), rng=np.random.default_rng(config.rng_seed))
        self.parameters = parameter_count(network)
        self.graph, self.state, self.constants = first_state(network, config)
        self.steps_per_epoch = self.examples.steps(self.batch)
        # epochs that are over; best validation so far with its parameters
        self.epoch = 0
        self.best: dict[str, Any] = {"fidelity": -math.inf, "epoch": 0, "step": 0}
        self.best_params = jax.tree.map(np.asarray, self.state.ema)
        self.written: CheckpointSaved | None = None
        self.fidelity: float | None = None
        self.validated = False
        self.reported = time.perf_counter()

    # -- where it stands ------------------------------------------------------------------------------------------

    def fraction(self, step: int) -> float:
        """Share done, by epochs or by time, whichever is further."""
        return min(1.0, max(step / (self.epochs * self.steps_per_epoch), self.clock.share(self.config)))

    # -- the loop ---------------------------------------------------------------------------------------------------

    def run(self) -> Iterator[TrainingEvent]:
        """Epochs until there are enough, time is over or validation stands still."""
        yield Begun(config=self._identity(), parameters=self.parameters)
        reason, last_saved = "epochs", time.perf_counter()
        while self.epoch < self.epochs:
            yield from self._epoch()
            if over := self.clock.over(self.config):
                reason = over
                break
            if self.epoch - self.best["epoch"] >= (self.config.patience or math.inf):
                reason = "patience"
                break
            if time.perf_counter() - last_saved >= self.config.checkpoint_seconds and self.epoch < self.epochs:
                yield from self._save()
                last_saved = time.perf_counter()
        yield from self._save()
        saved = self.written
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
        training = self.config.to_json()
        del training["checkpoint_seconds"]  # how often it is written
        return {"kind": "nvp", "network": self.model.to_json(), "training": training}

    def _epoch(self) -> Iterator[TrainingEvent]:
        config, epoch = self.config, self.epoch
        began = since = time.perf_counter()
        first, terms, compiled = (
            0,
            [],
            self.clock.compiled > 0,
        )  # speed is that of the examples after `first`, since `since`
        step = epoch * self.steps_per_epoch
        batches = self.examples.epoch(epoch, batch=self.batch, rng_seed=config.rng_seed, augment=config.augment)
        rate = 0.0
        for number, (inputs, truth) in enumerate(batches, start=1):
            rate = learning_rate(config, self.fraction(step))
            self.state, loss = train_step(
                self.graph, config, self.state, self.constants, inputs, truth, np.float32(rate)
            )
            terms.append(loss)
            step += 1
            if not compiled:
                loss.error.block_until_ready()
                self.clock.first_step_done()
                compiled = True
                began = since = self.reported = time.perf_counter()
                first = number
            # epochs may be shorter than the pause between two reports
            if time.perf_counter() - self.reported >= _PROGRESS_SECONDS and number > first:
                value = self._finite(terms[-1], step)
                self.reported = time.perf_counter()
                yield self._progress(step, value, (number - first) * self.batch / (self.reported - since))
                since, first = self.reported, number
            if self.clock.over(config):
                break
        self._finite(terms[-1], step)
        if not self.validated:
            with self.clock.apart():  # compiles
                self._validate(windows=1)
        score = self._validate(windows=config.validation_windows)
        self.validated = True
        self.epoch, self.fidelity = epoch + 1, score.fidelity
        if score.fidelity > self.best["fidelity"]:
            self.best = {"fidelity": score.fidelity, "epoch": self.epoch, "step": step}
            self.best_params = jax.tree.map(np.asarray, self.state.ema)
        error = float(np.mean([np.asarray(loss.error) for loss in terms]))
        likelihood = float(np.mean([np.asarray(loss.likelihood) for loss in terms]))
        yield EpochDone(
            epoch=self.epoch,
            step=step,
            train_loss=error + config.variance_weight * likelihood,
            train_error=error,
            train_likelihood=likelihood,
            val_fidelity=score.fidelity,
            val_vrmse=score.vrmse,
            learning_rate=rate,
            seconds=time.perf_counter() - began,
        )

    def _validate(self, *, windows: int) -> Score:
        return validate(self.graph, self.state.ema, self.constants, self.held_out, batch=self.batch, windows=windows)

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

    def _finite(self, loss: Loss, step: int) -> float:
        value = float(loss.error) + self.config.variance_weight * float(loss.likelihood)
        if not math.isfinite(value):
            raise FieldError(
                "DIVERGED",
                f"expected a finite loss, got {value} at step {step}.",
                next_step="Lower the learning rate, and check the data for extreme values.",
            )
        return value

    # -- on disk ----------------------------------------------------------------------------------------------------

    def _save(self) -> Iterator[CheckpointSaved]:
        """Write the best parameters, where they are new, and the state to resume from."""
        path = self.directory / f"best-{self.best['step']:08d}"
        if self.written is None or self.written.step != self.best["step"]:
            facts = {
                "training": self.config.to_json(),
                "step": self.best["step"],
                "epoch": self.best["epoch"],
                "val_fidelity": self.best["fidelity"],
            }
            sha256 = checkpoint.write_model(path, self.model, self.best_params, self.constants, facts)
            self.written = CheckpointSaved(
                path=path,
                step=self.best["step"],
                epoch=self.best["epoch"],
                val_fidelity=self.best["fidelity"],
                sha256=sha256,
            )
            yield self.written
        place = self.directory / f"resume-{self.epoch:06d}"
        arrays = checkpoint.arrays_of(self.state, "state/") | checkpoint.arrays_of(self.best_params, "best/")
        manifest = {
            "kind": "nvp-training",
            "model": self.model.to_json(),
            "training": self.config.to_json(),
            "epoch": self.epoch,
            "best": self.best,
            "seconds": self.clock.seconds,
            "cpu_seconds": self.clock.cpu_seconds,
            "fidelity": self.fidelity,
            "written": None if self.written is None else {**asdict(self.written), "path": self.written.path.name},
        }
        checkpoint.write(place, manifest, arrays)
        for old in sorted(self.directory.glob("resume-*")):
            if old != place:
                shutil.rmtree(old, ignore_errors=True)

    def restore(self) -> None:
        """Go on from the last complete state in the directory, if there is one of the same configuration."""
        places = sorted(self.directory.glob("resume-*"))
        if not places:
            return
        manifest, arrays = checkpoint.read(places[-1])
        same = NVPConfig.from_json(manifest["model"]) == self.model
        # what may change between attempts: how long it goes on and how often it is written
        free: dict[str, Any] = {"epochs": None, "patience": None, "checkpoint_seconds": 1.0}
        before = replace(TrainingConfig.from_json(manifest["training"]), **free)
        if not same or before != replace(self.config, **free):
            raise FieldError(
                "OTHER_TRAINING",
                f"expected a training of this configuration in {self.directory}, got another.",
                next_step="Use a new directory, or resume with the configuration it was begun with.",
            )
        self.state = checkpoint.tree_of(arrays, self.state, "state/")
        self.best_params = checkpoint.tree_of(arrays, self.best_params, "best/")
        self.epoch, self.best, self.fidelity = manifest["epoch"], manifest["best"], manifest["fidelity"]
        self.clock.before = (manifest["seconds"], manifest.get("cpu_seconds", 0.0))
        if manifest["written"] is not None:
            self.written = CheckpointSaved(
                **{**manifest["written"], "path": self.directory / manifest["written"]["path"]}
            )
