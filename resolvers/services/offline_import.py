"""Import of a bundle: what a training without this graph found out, checked to the last byte, becomes part of it.

Files first (copied, checked again as they lie in the store, renamed into their place), then one transaction. So an
import that fails leaves nothing behind in the graph, and one that is repeated adds nothing to it. Other files in their
place are replaced only where the graph has this very bundle: they are damaged then, and never another training's.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from graph.errors import NotFound
from graph.identity import digest, model_uid, split_uid
from graph.queries import offline, sequences, timeline
from graph.queries.offline import OfflineTrainingRow, Recorded
from graph.queries.splits import Part
from nvp.dynamics.domain import domain as registered_domain
from nvp.errors import FieldError
from resolvers.services.bundle import CHECKPOINT, COPY, METRICS, Manifest, file_digest, read_bundle
from resolvers.services.context import Services
from resolvers.services.offline_data import content


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A sequence that was trained on and is not in the graph."""

    uid: str
    source: str
    # the graph has a sequence under this uid, with other frames
    differs: bool
    # how to bring it in
    ingest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import found and did."""

    run: str
    model: str
    checkpoint: str
    split: str
    epochs: int
    val_fidelity: float | None
    # uids in the graph of the sequences that the split is linked to; those that are not there
    linked: tuple[str, ...]
    absent: tuple[Absent, ...]
    # nodes and relationships that the graph did not have before
    created_nodes: int
    created_relationships: int


async def import_bundle(services: Services, folder: Path) -> ImportReport:
    """Check a bundle and record it; raises FieldError for a bundle that is not whole, GraphError for another's run."""
    manifest, training = await asyncio.to_thread(_read, folder)
    parts, linked, absent = await _found(services, manifest)
    place = services.store.root / training.checkpoint["uri"]
    known = await offline.is_known(services.gateway, training)
    if not await asyncio.to_thread(_keep, place, folder, manifest, replace=known):
        raise offline.other_account(training, None)
    await sequences.upsert_domain(services.gateway, asdict(registered_domain(manifest.model["domain"])))
    learnt = {part["sequence"] for part in manifest.split["parts"] if part["role"] != "test"}
    unknown = sum(one.uid in learnt for one in absent)
    recorded: Recorded = await offline.record(services.gateway, training, parts, absent=unknown)
    # whoever took them for garbage just before they were recorded has seen them go; this puts them there again
    await asyncio.to_thread(_keep, place, folder, manifest, replace=True)
    return ImportReport(
        run=training.run,
        model=recorded.model,
        checkpoint=recorded.checkpoint,
        split=training.split["uid"],
        epochs=len(training.epochs),
        val_fidelity=manifest.checkpoint["val_fidelity"],
        linked=linked,
        absent=absent,
        created_nodes=recorded.nodes,
        created_relationships=recorded.relationships,
    )


def _read(folder: Path) -> tuple[Manifest, OfflineTrainingRow]:
    """The bundle, checked, and what it says as the graph wants it."""
    manifest = read_bundle(folder)
    try:
        _check_identity(folder, manifest)
        return manifest, _row(manifest, _epochs(folder))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FieldError(
            "BAD_BUNDLE",
            f"expected the account of a training in {folder}, got {type(error).__name__}: {error}.",
            next_step=COPY,
        ) from None


def _row(manifest: Manifest, epochs: list[dict[str, Any]]) -> OfflineTrainingRow:
    checkpoint = manifest.checkpoint
    return OfflineTrainingRow(
        run=manifest.run,
        bundle_sha256=digest(asdict(manifest)),
        config=manifest.request,
        rng_seed=manifest.model["rng_seed"],
        code_version=manifest.code_version,
        device=manifest.device,
        attempts=manifest.attempts,
        created_at=datetime.fromisoformat(manifest.created),
        finished_at=datetime.fromisoformat(manifest.finished),
        message=f"trained offline ({checkpoint['reason']})",
        split=manifest.split,
        model={**manifest.model, "parameter_count": manifest.model["parameters"]},
        checkpoint={**checkpoint, "uri": f"runs/{manifest.run}/best-{checkpoint['step']:08d}"},
        epochs=epochs,
    )


async def _found(services: Services, manifest: Manifest) -> tuple[list[Part], tuple[str, ...], tuple[Absent, ...]]:
    """The split's parts on the sequences of the graph with the same content, and what the graph has not."""
    places: dict[str, offline.Match] = {}
    absent = []
    for said in manifest.data["sequences"]:
        match = await _match(services, said)
        if match is not None:
            places[said["uid"]] = match
            continue
        differs = await _exists(services, said["uid"])
        absent.append(Absent(uid=said["uid"], source=said["source"], differs=differs, ingest=said["ingest"]))
    parts = [
        Part(part["role"], place.sequence, place.first + part["first"], place.first + part["last"])
        for part in manifest.split["parts"]
        if (place := places.get(part["sequence"])) is not None
    ]
    return parts, tuple(sorted({place.sequence for place in places.values()})), tuple(absent)


async def _match(services: Services, said: Mapping[str, Any]) -> offline.Match | None:
    """Where the graph has the very frames of a sequence, under whatever name."""
    last = said["last"]
    for place in await offline.beginnings(services.gateway, said["first_frame"], preferred=said["uid"]):
        frames = await offline.frames(services.gateway, place.sequence, place.first, place.first + last)
        if content(place.dt, frames) == said["sha256"]:
            return place
    return None


async def _exists(services: Services, uid: str) -> bool:
    try:
        await timeline.sequence(services.gateway, uid)
    except NotFound:
        return False
    return True


def _check_identity(folder: Path, manifest: Manifest) -> None:
    """A manifest must be the account of the run, split and model that it names."""
    parts = [(part["role"], part["sequence"], part["first"], part["last"]) for part in manifest.split["parts"]]
    split = split_uid(manifest.split["kind"], manifest.split["gap"], parts)
    model = model_uid(manifest.model["config"], split, manifest.model["rng_seed"], manifest.code_version)
    if (split, model) != (manifest.split["uid"], manifest.model["uid"]):
        raise FieldError(
            "BAD_BUNDLE",
            f"expected split and model under their own uids in {folder}, got others.",
            next_step=COPY,
        )


def _epochs(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(text) for text in (folder / METRICS).read_text(encoding="utf-8").splitlines()]
    if any(type(line["epoch"]) is not int or type(line["step"]) is not int for line in lines):
        raise ValueError(f"an epoch without its number in {METRICS}")
    return lines


def _keep(place: Path, folder: Path, manifest: Manifest, *, replace: bool) -> bool:
    """The checkpoint's files in the store, whole and young; False where others lie there and may not be replaced."""
    listed = {
        path.removeprefix(f"{CHECKPOINT}/"): str(said["sha256"])
        for path, said in manifest.files.items()
        if path.startswith(f"{CHECKPOINT}/")
    }
    if _holds(place, listed):
        with suppress(OSError):
            os.utime(place)
        return True
    if place.exists() and not replace:
        return False
    place.parent.mkdir(parents=True, exist_ok=True)
    copy = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}")
    before = copy.with_name(f"{copy.name}.before")
    try:
        # as old as they are here: garbage is known by its age
        shutil.copytree(folder / CHECKPOINT, copy, copy_function=shutil.copyfile)
        os.utime(copy)
        if not _holds(copy, listed):  # it changed while it was copied
            raise FieldError("BAD_BUNDLE", f"expected {folder} to stay as it is, got other files.", next_step=COPY)
        if replace and not _holds(place, listed):
            with suppress(FileNotFoundError):
                place.rename(before)
        try:
            copy.rename(place)
        except OSError:
            if not place.exists():
                with suppress(OSError):
                    before.rename(place)
                raise
            return _holds(place, listed)  # another import was faster
    finally:
        for left in (copy, before):
            shutil.rmtree(left, ignore_errors=True)
    return True


def _holds(place: Path, listed: Mapping[str, str]) -> bool:
    """Whether a folder has exactly these files."""
    found = {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}
    return found.keys() == listed.keys() and all(file_digest(found[name]) == listed[name] for name in listed)
