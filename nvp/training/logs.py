"""What a training leaves behind for people: `log.jsonl`, and TensorBoard's files where tensorboardX is installed.

A line is one event, written by one call of the system, so that readers and other writers never see half of one. A
training that is resumed appends to the same file; of an epoch that stands there twice the later line counts.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nvp.errors import FieldError
from nvp.training.events import EpochDone, Progress, TrainingEvent

FILE = "log.jsonl"


class Log:
    """The log of one training, in its directory."""

    def __init__(self, directory: Path, *, tensorboard: bool | None) -> None:
        self.path = directory / FILE
        directory.mkdir(parents=True, exist_ok=True)
        self._board = _board(directory / "tensorboard", tensorboard)

    def add(self, event: TrainingEvent) -> None:
        """One more event. Progress within an epoch goes to the board only."""
        if not isinstance(event, Progress):
            append(self.path, {"event": type(event).__name__, **asdict(event)})
        if self._board is not None:
            for name, value in _curves(event):
                if not math.isfinite(value):  # nobody looked, or there was nothing to see
                    continue
                self._board.add_scalar(name, value, event.step)  # type: ignore[union-attr]

    def close(self) -> None:
        """Write what is left."""
        if self._board is not None:
            self._board.close()


def append(path: Path, values: Mapping[str, Any]) -> None:
    """Add a line; numbers that are not finite are null."""
    line = json.dumps({"time": datetime.now(UTC).isoformat(), **_plain(values)}, sort_keys=True, allow_nan=False)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, (line + "\n").encode())
    finally:
        os.close(file)


def read(directory: Path) -> list[dict[str, Any]]:
    """The lines of a training's log, the epochs in order and each once; what a killed writer cut off is left out."""
    lines: dict[Any, dict[str, Any]] = {}
    path = directory / FILE
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines() if path.exists() else ()):
        try:
            line = json.loads(text)
        except ValueError:
            continue
        key: Any = number
        if line.get("event") == EpochDone.__name__:
            # an attempt that goes on from an earlier epoch takes back what came after
            lines = {at: known for at, known in lines.items() if not _later(known, line["epoch"])}
            key = ("epoch", line["epoch"])
        lines[key] = line
    return list(lines.values())


def _later(line: Mapping[str, Any], epoch: int) -> bool:
    return line.get("event") == EpochDone.__name__ and line["epoch"] >= epoch


def _board(directory: Path, wanted: bool | None) -> Any:
    if wanted is False:
        return None
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        if wanted is None:
            return None
        raise FieldError(
            "NO_TENSORBOARD",
            "expected tensorboardX for `tensorboard`, got none.",
            next_step="Install the extra `tensorboard`, or leave the setting out.",
        ) from None
    return SummaryWriter(str(directory))


def _curves(event: TrainingEvent) -> Iterator[tuple[str, float]]:
    match event:
        case Progress():
            yield "step/loss", event.loss
            yield "step/samples_per_second", event.samples_per_second
        case EpochDone():
            yield "train/loss", event.train_loss
            yield "train/learning_rate", event.learning_rate
            yield from ((f"train/{name}", value) for name, value in event.terms.items())
            yield "validation/fidelity", event.val_fidelity
            yield "validation/vrmse", event.val_vrmse
            yield from ((f"validation/{name}", value) for name, value in event.metrics.items() if name != "fidelity")


def _plain(value: Any) -> Any:
    match value:
        case Path():
            return value.name
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(name): _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value
