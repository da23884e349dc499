"""Training without a graph: the same training as a worker's, driven in this process, whose account is a bundle.

    plan     what is asked and what the data are, before anything is computed (training/plan.json)
    train    epochs into metrics.jsonl, checkpoints into training/work
    finish   the best parameters and the whole account, then the manifest: from then on it is a bundle

Killed anywhere, the same command goes on: with the plan that is there, from the last checkpoint, and past what is
already finished. A folder belongs to one training; another one is refused.
"""

from __future__ import annotations

import json
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from filelock import FileLock, Timeout

from graph.identity import digest, event_uid, model_uid, split_uid
from graph.queries.numbers import finite
from graph.queries.splits import Role
from nvp.atlas.series import Series
from nvp.dynamics.domain import domain as registered_domain
from nvp.errors import FieldError
from nvp.training.data import TrainingData
from nvp.training.events import Begun, CheckpointSaved, EpochDone, Finished, TrainingEvent
from nvp.training.retention import prune
from resolvers.services.bundle import (
    CHECKPOINT,
    CONFIG,
    MANIFEST,
    METRICS,
    TRAINING,
    Manifest,
    read_manifest,
    write_json,
    write_manifest,
)
from resolvers.services.offline_data import OfflineSequence, data_digest, same_kind
from resolvers.services.splitting import split
from resolvers.services.submission import (
    DAY_SECONDS,
    TrainingRequest,
    check_training,
    split_name,
    training_config,
)
from resolvers.services.training import begin, kept, model_name
from resolvers.services.version import code_version

PACKAGES = ("fieldgraph", "jax", "flax", "optax", "orbax-checkpoint", "numpy")
CHECKPOINT_SECONDS = 20.0

Told = Callable[[TrainingEvent], None]


class OfflineTraining:
    """One training in one folder: what is asked of it, and the data in memory."""

    def __init__(self, request: TrainingRequest, sequences: Sequence[OfflineSequence], folder: Path) -> None:
        """Raises GraphError or FieldError for a request or data that no training can have; touches no file."""
        settings = check_training(request)
        same_kind(sequences)
        self.folder = Path(folder)
        self.sequences = {one.uid: one for one in sequences}
        head = sequences[0]
        gap = _default_gap(head) if request.gap is None else request.gap
        kind, self.parts = split(sequences, kind=request.split, gap=gap)
        facts = [one.facts() for one in sorted(sequences, key=lambda one: one.uid)]
        self.data: dict[str, Any] = {"sha256": data_digest(facts), "sequences": facts}
        parts = sorted((part.role, part.sequence, part.first, part.last) for part in self.parts)
        domain = head.sequence.domain
        self.split: dict[str, Any] = {
            "uid": split_uid(kind, gap, parts),
            "name": split_name(domain, kind, len(sequences)),
            "kind": kind,
            "gap": gap,
            "parts": [dict(zip(("role", "sequence", "first", "last"), part, strict=True)) for part in parts],
        }
        self.config = training_config(request, settings, domain=domain, split=self.split["uid"])
        self.seed = request.seed

    @property
    def identity(self) -> str:
        """What a folder that is gone on with must have been begun with."""
        return digest(
            {"config": self.config, "seed": self.seed, "data": self.data["sha256"], "code": code_version()},
        )

    def series(self, role: Role) -> list[Series]:
        """The stretches of one role."""
        return [
            series
            for part in self.parts
            if part.role == role
            for series in self.sequences[part.sequence].cut(part.first, part.last)
        ]

    def run(self, told: Told) -> Manifest:
        """Train to the end, or go on to it; `told` hears every event and may raise to stop. Raises FieldError."""
        done = finished(self.folder)
        if done is not None:
            self._refuse_other(done.request, done.data["sha256"], done.model["rng_seed"], done.code_version)
            shutil.rmtree(self.folder / TRAINING, ignore_errors=True)
            return done
        try:
            with _locked(self.folder):
                plan = self._plan()
                account = _Account(self.folder / METRICS)
                ended = _read(self.folder / TRAINING / "finished.json") or self._train(plan, account, told)
                made = self._complete(plan, ended, account)
        except OSError as error:
            step = "Free space, and run the same command again: it goes on where it stopped."
            raise _unwritable(self.folder, error, step) from error
        shutil.rmtree(self.folder / TRAINING, ignore_errors=True)
        return made

    def _plan(self) -> dict[str, Any]:
        """The plan that is there, one attempt later, or a new one."""
        place = self.folder / TRAINING / "plan.json"
        plan = _read(place)
        if plan is None:
            plan = {"identity": self.identity, "run": event_uid(), "created": _now(), "attempts": 0}
        elif plan["identity"] != self.identity:
            raise _other(self.folder)
        plan["attempts"] += 1
        write_json(place, plan)
        write_json(self.folder / CONFIG, {**self.config, "seed": self.seed, "code_version": code_version()})
        return plan

    def _train(self, plan: Mapping[str, Any], account: _Account, told: Told) -> dict[str, Any]:
        data = TrainingData(train=self.series("train"), validation=self.series("val"))
        work = self.folder / TRAINING / "work"
        begun: Begun | None = None
        for event in begin(self.config, self.seed, data, work, checkpoint_seconds=CHECKPOINT_SECONDS):
            told(event)
            match event:
                case Begun():
                    begun = event
                case EpochDone():
                    account.add(event)
                case CheckpointSaved():
                    prune(work, kept(self.config))
                case Finished():
                    assert begun is not None  # the first event of every training
                    ended = {
                        "path": event.path.relative_to(work).as_posix(),
                        "step": event.step,
                        "epoch": event.epoch,
                        "sha256": event.sha256,
                        "reason": event.reason,
                        **finite({"val_fidelity": event.val_fidelity, "seconds": event.seconds}),
                        "config": dict(begun.config),
                        "parameters": begun.parameters,
                        "data_digest": begun.data_digest,
                        "device": _device(),
                        "finished": _now(),
                    }
                    write_json(self.folder / TRAINING / "finished.json", ended)
        return ended

    def _complete(self, plan: Mapping[str, Any], ended: dict[str, Any], account: _Account) -> Manifest:
        """Everything in its place, the manifest last."""
        place, partial = self.folder / CHECKPOINT, self.folder / TRAINING / "checkpoint"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.folder / TRAINING / "work" / ended["path"], partial)
        partial.rename(place)
        account.write()
        config, architecture = ended["config"], self.config["model"]
        return write_manifest(
            self.folder,
            {
                "run": plan["run"],
                "created": plan["created"],
                "finished": ended["finished"],
                "attempts": plan["attempts"],
                "code_version": code_version(),
                "device": ended["device"],
                "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
                "request": self.config,
                "model": {
                    "uid": model_uid(config, self.split["uid"], self.seed, code_version()),
                    "name": model_name(self.config),
                    "architecture": architecture,
                    "domain": self.config["domain"],
                    "rng_seed": self.seed,
                    "parameters": ended["parameters"],
                    "data_digest": ended.get("data_digest"),
                    "config": config,
                },
                "split": self.split,
                "data": self.data,
                "checkpoint": {
                    name: ended[name] for name in ("step", "epoch", "val_fidelity", "sha256", "seconds", "reason")
                },
            },
        )

    def _refuse_other(self, request: Mapping[str, Any], data: str, seed: int, code: str) -> None:
        if digest({"config": request, "seed": seed, "data": data, "code": code}) != self.identity:
            raise _other(self.folder)


class _Account:
    """metrics.jsonl: a line per epoch as it ends; an attempt that repeats epochs replaces them and what came after."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: dict[int, dict[str, Any]] = {}
        for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            with suppress(ValueError):  # the last line of a writer that was killed
                line = json.loads(text)
                self._keep(line)

    def add(self, event: EpochDone) -> None:
        """One more epoch."""
        line = {**finite(asdict(event)), "recorded_at": _now()}
        again = any(epoch >= event.epoch for epoch in self._lines)
        self._keep(line)
        if again:
            self.write()
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, sort_keys=True) + "\n")

    def write(self) -> None:
        """All of it anew, at once."""
        temporary = self._path.with_name(f".{self._path.name}")
        lines = [json.dumps(self._lines[epoch], sort_keys=True) + "\n" for epoch in sorted(self._lines)]
        temporary.write_text("".join(lines), encoding="utf-8")
        temporary.replace(self._path)

    def _keep(self, line: dict[str, Any]) -> None:
        self._lines = {epoch: known for epoch, known in self._lines.items() if epoch < line["epoch"]}
        self._lines[line["epoch"]] = line


def check_folder(folder: Path, request: TrainingRequest) -> None:
    """Refuse, before any data are there, a folder that cannot be written or that was begun with another request.

    Whether the data are the same is known once they are there.
    """
    domain = registered_domain(str(request.domain)).name
    asked = training_config(request, check_training(request), domain=domain, split="")
    asked |= {"seed": request.seed, "code_version": code_version()}
    done = finished(folder)
    begun: dict[str, Any] | None
    if done is not None:
        begun = {**done.request, "seed": done.model["rng_seed"], "code_version": done.code_version}
    else:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=folder):
                begun = _read(folder / CONFIG)
        except OSError as error:
            raise _unwritable(folder, error, "Name a folder that can be written, on a disk with space.") from error
    if begun is not None and {**begun, "split": ""} != json.loads(json.dumps(asked)):
        raise _other(folder)


def finished(folder: Path) -> Manifest | None:
    """The manifest of a bundle that is complete; None where the training has yet to begin or to end."""
    if (folder / MANIFEST).exists():
        return read_manifest(folder)
    if folder.exists() and not folder.is_dir():
        raise FieldError("BAD_FOLDER", f"expected a folder at {folder}, got a file.", next_step="Name another folder.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / TRAINING).is_dir():
        raise FieldError(
            "BAD_FOLDER",
            f"expected an empty folder or an unfinished training at {folder}, got other files.",
            next_step="Name another folder.",
        )
    return None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The only process that trains in this folder."""
    (folder / TRAINING).mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / TRAINING / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise FieldError(
            "FOLDER_IN_USE",
            f"expected {folder} for this training alone, got another process that trains in it.",
            next_step="Wait for it, or name another folder.",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _default_gap(sequence: OfflineSequence) -> int:
    """A day's frames where the sequence has a calendar."""
    return 0 if sequence.parts[0].valid_time is None else round(DAY_SECONDS / sequence.sequence.dt)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found


def _unwritable(folder: Path, error: OSError, next_step: str) -> FieldError:
    said = " ".join(str(error).split())
    return FieldError("UNWRITABLE", f"expected to write in {folder}, got {said}.", next_step=next_step)


def _other(folder: Path) -> FieldError:
    return FieldError(
        "OTHER_TRAINING",
        f"expected the training that was begun in {folder}, got another request, other data or other code.",
        next_step="Repeat the command that began it, or name another folder.",
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _device() -> str | None:
    """The accelerator's name, where the training has loaded JAX."""
    jax = sys.modules.get("jax")
    return None if jax is None else str(jax.devices()[0].device_kind)
