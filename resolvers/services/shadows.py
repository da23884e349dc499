"""Shadow ensembles as runs: members trained together (`train`), and what they say of some starts (`vote`).

A training belongs to a model's split and recipe, not to the claim that first needed it: the next claim about the same
finds it. Its members are files of the run; which of them voted for what stands at the run that asked.

    runs/<uid>/shadows/       the members, one checkpoint with the axis of the members first
    runs/<uid>/said.npz       what they said, where from and what came true; `Said`
"""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from jaxtyping import Float, Float32

from graph.errors import GraphError
from graph.queries import splits
from graph.queries.runs import RunRow
from nvp.atlas.store import ArrayStore
from nvp.errors import FieldError
from resolvers.ace.shadows import require_independent
from resolvers.services.context import Services
from resolvers.services.loading import load, load_parts
from resolvers.task import Task

if TYPE_CHECKING:
    from nvp.training.shadows import Shadows

MEMBERS_FOLDER, SAID_FILE = "shadows", "said.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What m members said of the next state, from each of n starts."""

    predicted: Float32[np.ndarray, "n m h w c"]
    origin: Float32[np.ndarray, "n h w c"]
    truth: Float32[np.ndarray, "n h w c"]
    # what ΣP has to be; NaN where no law says
    total: Float[np.ndarray, " n"]
    # variance that each member says of itself, as a mean over the cells
    variance: Float[np.ndarray, "n m"]
    # sha256 of each member's parameters
    hashes: tuple[str, ...]


def members_folder(store: ArrayStore, run: str) -> Path:
    """Where a training has its members."""
    return store.root / "runs" / run / MEMBERS_FOLDER


def read_said(store: ArrayStore, run: str) -> Said:
    """What a vote run left; raises FieldError where its file is missing or damaged."""
    path = store.root / "runs" / run / SAID_FILE
    try:
        with np.load(path, allow_pickle=False) as read:
            arrays = {name: read[name] for name in read.files}
        return Said(**{**arrays, "hashes": tuple(str(one) for one in arrays["hashes"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FieldError(
            "BAD_VOTES",
            f"expected what run {run} said in {path.name}, got {type(error).__name__}.",
            next_step="Ask again with --force.",
        ) from error


async def execute(services: Services, run: RunRow, task: Task) -> None:
    """Train the members that `run.config` describes, or let those that are trained speak."""
    if run.config["task"] == "train":
        await _train(services, run, task)
    else:
        await _vote(services, run, task)


async def _train(services: Services, run: RunRow, task: Task) -> None:
    from nvp.training.data import TrainingData
    from nvp.training.shadows import ShadowConfig, members_of, recipe_of, seeds_of, shadows_of, train

    config = run.config
    folder = members_folder(services.store, run.uid)
    if await asyncio.to_thread((folder / "config.json").exists):
        return  # an earlier attempt got as far as this
    split = await splits.split(services.gateway, config["split"])
    await task.report(0.0, "reading the fields")
    data = TrainingData(
        train=await load_parts(services, split.of("train")), validation=await load_parts(services, split.of("val"))
    )
    settings = ShadowConfig(
        seeds=tuple(config.get("seeds") or seeds_of(config["members"], rng_seed=run.rng_seed)),
        recipe=recipe_of(config["recipe"], history=config["history"], size=config.get("size", "tiny")),
        steps=config["steps"],
        batch=config["batch"],
    )
    members = await task.compute(members_of, settings, data)
    await task.report(0.0, "compiling")
    steps, trained = train(settings, members), None
    while (ahead := await task.advance(steps)) is not None:
        trained = ahead
        await task.report(
            trained.step / settings.steps, f"step {trained.step}/{settings.steps} of {len(members)} members"
        )
    assert trained is not None  # there is a step
    made = shadows_of(settings, members, trained)
    require_independent(made.hashes)
    await task.report(1.0, "writing the members")
    folder.parent.mkdir(parents=True, exist_ok=True)
    await task.compute(made.write, folder)


async def _vote(services: Services, run: RunRow, task: Task) -> None:
    from nvp.training.shadows import Shadows

    folder = members_folder(services.store, run.config["shadows"])
    shadows = await task.compute(Shadows.read, folder)
    require_independent(shadows.hashes)
    starts = run.config["starts"]
    if not starts:
        raise GraphError("NO_STARTS", "expected starts to predict from, got none.", next_step="Name some.")
    parts = []
    for number, start in enumerate(starts):
        await task.report(number / len(starts), f"start {number + 1}/{len(starts)}")
        parts.append(await _said(services, task, shadows, start["sequence"], start["t_index"]))
    arrays: dict[str, Any] = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    path = services.store.root / "runs" / run.uid / SAID_FILE
    await asyncio.to_thread(_write, path, {**arrays, "hashes": np.array(shadows.hashes)})


async def _said(
    services: Services, task: Task, shadows: Shadows, sequence: str, t_index: int
) -> dict[str, Float[np.ndarray, "..."]]:
    """Of one start: the program is that of one window, whatever their number."""
    from nvp.dynamics.domain import domain
    from nvp.prediction.accounts import told
    from nvp.prediction.forecaster import windows

    series = await load(services, sequence, t_index - shadows.history + 1, t_index + 1)
    at, spec = np.array([shadows.history - 1]), domain(series.domain)
    said = await task.compute(shadows.say, windows(series, history=shadows.history, starts=at, steps=1))
    origin, truth = series.energy[-2], series.energy[-1]
    source = None if spec.signed else told(shadows, series, at, spec=spec, steps=1, forcing="frozen")
    if source is None:
        total = np.nan
    else:
        total = float(origin.sum(dtype=np.float64) + source[0, 0] - said.outflow.mean(dtype=np.float64))
    return {
        "predicted": said.mean[:, 0],
        "origin": origin,
        "truth": truth,
        "total": np.array(total),
        "variance": np.exp(said.log_var[:, 0].astype(np.float64)).mean(axis=(1, 2, 3)),
    }


def _write(path: Path, arrays: dict[str, Any]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    place = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    place.write_bytes(buffer.getvalue())
    place.replace(path)
