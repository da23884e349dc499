"""What a training keeps on disk: the checkpoints that validated best, and the last states to resume from."""

from __future__ import annotations

import math
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from nvp.errors import FieldError
from nvp.training import checkpoint
from nvp.training.config import TrainingConfig
from nvp.training.events import CheckpointSaved
from nvp.training.objective import Counted, Objective
from nvp.training.step import TrainState


class Resumed(NamedTuple):
    """Where a training goes on."""

    state: TrainState
    epoch: int
    # of the last validation
    fidelity: float | None
    # wall and CPU seconds of earlier attempts
    spent: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best validation so far."""

    fidelity: float = -math.inf
    epoch: int = 0
    step: int = 0
    # recalibration of its variance one step ahead
    log_scale: float | None = None


class Keeper:
    """The directory of one training."""

    def __init__(
        self, directory: Path, config: TrainingConfig, objective: Objective, params: Any, *, after: Counted
    ) -> None:
        self.directory, self.config, self.objective, self.after = directory, config, objective, after
        self.best = Best()
        self._params = jax.tree.map(np.asarray, params)
        # the best checkpoint that is on disk
        self.written: CheckpointSaved | None = None

    def offer(self, params: Any, *, fidelity: float, epoch: int, step: int, log_scale: float | None = None) -> None:
        """Parameters as they validated; they are kept where they are the best so far."""
        if fidelity > self.best.fidelity:
            self.best = Best(fidelity=fidelity, epoch=epoch, step=step, log_scale=log_scale)
            self._params = jax.tree.map(np.asarray, params)

    def write_best(self) -> CheckpointSaved | None:
        """Write the best parameters; None where they are on disk already, or nothing has been validated yet."""
        best, (epochs, steps) = self.best, self.after
        step, epoch = steps + best.step, epochs + best.epoch
        if best.epoch == 0 or (self.written is not None and self.written.step == step):
            return None
        path = self.directory / f"best-{step:08d}"
        facts: dict[str, Any] = {"step": step, "epoch": epoch, "val_fidelity": best.fidelity}
        if best.log_scale is not None:
            facts["log_scale"] = [best.log_scale]
        sha256 = self.objective.write(path, self._params, facts)
        self.written = CheckpointSaved(path=path, step=step, epoch=epoch, val_fidelity=best.fidelity, sha256=sha256)
        return self.written

    def write_state(self, state: TrainState, *, epoch: int, fidelity: float | None, spent: tuple[float, float]) -> None:
        """Write what it takes to go on, and remove the oldest of such states but for the last `keep`."""
        written = None if self.written is None else {**asdict(self.written), "path": self.written.path.name}
        manifest = {
            "kind": "nvp-training",
            "model": self.objective.model.to_json(),
            "training": self.config.to_json(),
            "facts": dict(self.objective.facts),
            "epoch": epoch,
            "best": {**asdict(self.best), "fidelity": self.best.fidelity if self.best.epoch else None},
            "seconds": spent[0],
            "cpu_seconds": spent[1],
            "fidelity": fidelity,
            "written": written,
        }
        arrays = checkpoint.arrays_of(state, "state/") | checkpoint.arrays_of(self._params, "best/")
        checkpoint.write(self.directory / f"resume-{epoch:06d}", manifest, arrays)
        for old in self._states()[: -self.config.keep]:
            shutil.rmtree(old, ignore_errors=True)

    def restore(self, like: TrainState) -> Resumed | None:
        """The last state on disk; None where there is none.

        Raises `FieldError` where it is damaged or belongs to another configuration.
        """
        states = self._states()
        if not states:
            return None
        manifest, arrays = self._read(states)
        # what may change between attempts: how long it goes on, how it is run and how often it is written
        free: dict[str, Any] = dict.fromkeys(("epochs", "patience", "devices", "dispatch", "tensorboard"))
        free |= {"checkpoint_seconds": 1.0, "keep": 1, "tolerated": 1}
        before = replace(TrainingConfig.from_json(manifest["training"]), **free)
        same = before == replace(self.config, **free) and manifest.get("facts", {}) == self.objective.facts
        model = self.objective.model
        if not same or type(model).from_json(manifest["model"]) != model:
            raise FieldError(
                "OTHER_TRAINING",
                f"expected a training of this configuration in {self.directory}, got another.",
                next_step="Use a new directory, or resume with the configuration it was begun with.",
            )
        self.best = Best(**manifest["best"]) if manifest["best"]["epoch"] else Best()
        self._params = checkpoint.tree_of(arrays, self._params, "best/")
        if manifest["written"] is not None:
            self.written = CheckpointSaved(
                **{**manifest["written"], "path": self.directory / manifest["written"]["path"]}
            )
        return Resumed(
            checkpoint.tree_of(arrays, like, "state/"),
            manifest["epoch"],
            manifest["fidelity"],
            (manifest["seconds"], manifest.get("cpu_seconds", 0.0)),
        )

    def _read(self, states: list[Path]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        rest = f"go on from {states[-2].name}" if len(states) > 1 else "begin anew"
        return checkpoint.read(states[-1], next_step=f"Remove {states[-1].name} to {rest}.")

    def _states(self) -> list[Path]:
        return sorted(self.directory.glob("resume-*"))
