"""`fieldgraph train --offline`: the data by name, the training in this process, the bundle in its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nvp.atlas.regrid import Fit
from nvp.errors import FieldError
from nvp.training.events import Begun, EpochDone, TrainingEvent
from nvp.training.events import Progress as Step
from resolvers.cli.criteria import Criteria, judged
from resolvers.cli.output import console
from resolvers.services.bundle import CHECKPOINT
from resolvers.services.importing import IngestRequest
from resolvers.services.offline import OfflineTraining, check_folder
from resolvers.services.offline_data import OfflineSequence, from_file, from_folder, is_atlas, simulated
from resolvers.services.submission import GenerationRequest, TrainingRequest
from resolvers.services.training import said


def sources(
    request: TrainingRequest,
    paths: Sequence[Path],
    folder: Path,
    *,
    variable: str | None,
    units: str | None,
    crop: bool,
    regrid: bool,
    simulate: int | None,
    simulation: Mapping[str, Any],
) -> list[OfflineSequence]:
    """The sequences to train on; raises FieldError for data that are not there or that no training can use.

    A folder that the training could not go into is refused before any are read or simulated.
    """
    if request.domain is None:
        raise FieldError(
            "BAD_OPTIONS", "expected --domain with --offline, got none.", next_step="Say what kind of field it is."
        )
    if crop and regrid:
        raise FieldError("BAD_OPTIONS", "expected --crop or --regrid, got both.", next_step="Choose one.")
    if (simulate is None) == (not paths) or (simulation and simulate is None):
        raise FieldError(
            "BAD_OPTIONS",
            f"expected either --data or --simulate with --offline, got {'both' if paths else 'neither'}.",
            next_step="Name files by --data, or say how many sequences to simulate.",
        )
    check_folder(folder, request)
    with _bar("reading" if paths else "simulating") as bar:
        if simulate is not None:
            wish = GenerationRequest(
                domain=request.domain, sequences=simulate, seed=request.seed, settings=dict(simulation)
            )
            return simulated(wish, lambda done, of: bar(done / of, f"{done}/{of} sequences"))
        fit: Fit | None = "crop" if crop else "regrid" if regrid else None
        found: list[OfflineSequence] = []
        for number, path in enumerate(paths):
            bar(number / len(paths), path.name)
            if is_atlas(path, request.domain):
                found += from_folder(path, request.domain)
            else:
                found += from_file(
                    IngestRequest(path=path, domain=request.domain, variable=variable, units=units, fit=fit)
                )
        return found


def train(
    request: TrainingRequest, found: Sequence[OfflineSequence], folder: Path, *, criteria: bool
) -> tuple[dict[str, Any], Criteria | None]:
    """Train to the end and say what came of it; raises as `OfflineTraining`."""
    training = OfflineTraining(request, found, folder)
    frames = {
        role: sum(part.last - part.first + 1 for part in training.parts if part.role == role)
        for role in ("train", "val", "test")
    }
    head = found[0].sequence
    counts = ", ".join(f"{role} {count}" for role, count in frames.items())
    console.print(
        f"{head.domain}: {len(found)} sequences of {head.height}×{head.width}; frames: {counts}",
        soft_wrap=True,
        markup=False,
    )
    with _bar("training") as bar:
        manifest = training.run(_teller(bar))
    checkpoint = manifest.checkpoint
    result = {
        "bundle": str(folder),
        "run": manifest.run,
        "attempts": manifest.attempts,
        "model": manifest.model["uid"],
        "parameters": manifest.model["parameters"],
        "split": manifest.split["uid"],
        "data": manifest.data["sha256"],
        "sequences": len(manifest.data["sequences"]),
        "epoch": checkpoint["epoch"],
        "step": checkpoint["step"],
        "val_fidelity": checkpoint["val_fidelity"],
        "reason": checkpoint["reason"],
    }
    if not criteria:
        return result, None
    from nvp.prediction.evaluation import evaluate  # JAX
    from nvp.prediction.forecaster import load_forecaster

    scored = evaluate(
        load_forecaster(folder / CHECKPOINT),
        training.series("test"),
        fit=training.series("train"),
        validation=training.series("val"),
    )
    met = judged(scored.to_json())
    return {**result, "criteria": met.to_json()}, met


def text(result: Mapping[str, Any]) -> str:
    """For people."""
    fidelity = "–" if result["val_fidelity"] is None else f"{result['val_fidelity']:.4f}"
    return "\n".join(
        (
            f"{'bundle':20} {result['bundle']}",
            f"{'validation fidelity':20} {fidelity}  (epoch {result['epoch']}, step {result['step']})",
            f"{'model':20} {result['model']}  ({result['parameters']} parameters)",
            f"{'run':20} {result['run']}  (attempt {result['attempts']})",
            f"Next: fieldgraph runs import {result['bundle']}",
        )
    )


def _teller(bar: Callable[[float, str], None]) -> Callable[[TrainingEvent], None]:
    """Events as a bar, and a line per epoch."""

    def told(event: TrainingEvent) -> None:
        match event:
            case Begun():
                bar(0.0, f"{event.parameters} parameters, compiling")
            case Step():
                bar(event.fraction, said(event))
            case EpochDone():
                # a second stage is validated in its end
                judged = "" if isnan(event.val_fidelity) else f", validation fidelity {event.val_fidelity:.4f}"
                console.print(f"epoch {event.epoch}: loss {event.train_loss:.4f}{judged}", soft_wrap=True)

    return told


@contextmanager
def _bar(what: str) -> Iterator[Callable[[float, str], None]]:
    columns = (
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        line = progress.add_task(what, total=1.0)

        def update(done: float, message: str) -> None:
            progress.update(line, completed=done, description=message)

        yield update
