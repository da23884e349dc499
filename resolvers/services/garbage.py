"""Garbage: files of the store that no node names, and checkpoints that nothing refers to any more.

    segment, object     a file that no Segment or snapshot names
    run                 what a run left in its folder, runs/<uid>/NAME, that no checkpoint names: of a training its
                        points of resumption once it has ended, of other runs what they left when they did not succeed
    checkpoint          not its model's best, used by nothing, older than the retention: a tombstone in the graph, then
                        its files
    shadows             members and votes of an ensemble beyond the retention, unless an experiment that looks back on
                        them goes on, is certified or is due to be: a mark at the run, then its files
    temporary           what killed writers left

Counted by reference, never by time alone: what is younger than a day, or may belong to a run that is being worked, is
not looked at. A file is taken out of sight first and the graph is asked again, so that who records it meanwhile keeps
it or finds it gone and writes it anew.
"""

from __future__ import annotations

import asyncio
import getpass
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from graph.queries import audit, garbage
from resolvers.services import belonging
from resolvers.services.context import Services
from resolvers.services.naming import delete_unnamed, named

DAY_SECONDS = 86_400.0
RETENTION_DAYS = 30.0
BATCH = 500

Progress = Callable[[str, int], None]
"""Called with what is looked at and how many of it were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waste:
    """A file or folder that may go, or has gone."""

    # segment, object, run, checkpoint, shadows or temporary
    kind: str
    # relative to the store
    uri: str
    bytes: int
    why: str


async def collect(
    services: Services, *, dry_run: bool, days: float = RETENTION_DAYS, progress: Progress | None = None
) -> list[Waste]:
    """Remove all garbage, or with `dry_run` say what would be; in the order in which it was found.

    `days`: how long checkpoints that nothing refers to, and ensembles that nobody looks back on, are kept.
    Raises GraphError where the store belongs to another graph.
    """
    await belonging.require_own(services, keep=not dry_run)
    before = await _spared(services)
    tell = progress or (lambda _what, _number: None)
    found = await _checkpoints(services, days, dry_run=dry_run)
    tell("checkpoints", len(found))
    found += await _shadows(services, days, dry_run=dry_run)
    # in a dry run the tombstones are not there yet
    gone = frozenset(waste.uri for waste in found)
    found += await _objects(services, before, dry_run=dry_run, tell=tell)
    found += await _folders(services, before, gone, dry_run=dry_run, tell=tell)
    if not dry_run and (swept := await asyncio.to_thread(services.store.sweep_temporary)):
        found.append(Waste(kind="temporary", uri="tmp", bytes=0, why=f"{swept} unfinished files"))
    return found


async def _spared(services: Services) -> float:
    """What has changed since then is not looked at: a day ago, or when the oldest run in work began."""
    live = await audit.live_since(services.gateway)
    young = time.time() - DAY_SECONDS
    return young if live is None else min(live, young)


async def _checkpoints(services: Services, days: float, *, dry_run: bool) -> list[Waste]:
    """Checkpoints beyond the retention; their node stays, and says who removed them."""
    found = await garbage.unneeded(services.gateway, days=days)
    if not dry_run:
        buried: set[str] = set()
        for at in range(0, len(found), BATCH):
            uids = [one.uid for one in found[at : at + BATCH]]
            buried |= await garbage.bury(services.gateway, uids, by=f"{getpass.getuser()}, gc")
        found = [one for one in found if one.uid in buried]
    made = []
    for one in found:
        path = services.store.root / one.uri
        size = await asyncio.to_thread(_size, path)
        if not dry_run:
            await asyncio.to_thread(_delete, path)
        why = f"step {one.step} of model {one.model}: not its best, used by nothing, older than {days:g} days"
        made.append(Waste(kind="checkpoint", uri=one.uri, bytes=size, why=why))
    return made


async def _shadows(services: Services, days: float, *, dry_run: bool) -> list[Waste]:
    """Members and votes of ensembles beyond the retention; what they said stays in the experiment's outcome."""
    folders = {
        uid: services.store.root / "runs" / uid
        for uid in await garbage.unneeded_shadows(services.gateway, days=days)
        if (services.store.root / "runs" / uid).is_dir()
    }
    if not dry_run:
        buried: set[str] = set()
        for at in range(0, len(folders), BATCH):
            uids = [*folders][at : at + BATCH]
            buried |= await garbage.bury_shadows(services.gateway, uids, by=f"{getpass.getuser()}, gc")
        folders = {uid: folder for uid, folder in folders.items() if uid in buried}
    made = []
    for uid, folder in folders.items():
        size = await asyncio.to_thread(_size, folder)
        if not dry_run:
            await asyncio.to_thread(_delete, folder)
        why = f"no experiment looks back on it, older than {days:g} days"
        made.append(Waste(kind="shadows", uri=f"runs/{uid}", bytes=size, why=why))
    return made


async def _objects(services: Services, before: float, *, dry_run: bool, tell: Progress) -> list[Waste]:
    """Segments and objects that no node names."""
    made: list[Waste] = []
    batch: list[Path] = []
    for looked, path in enumerate(_arrays(services.store.root), start=1):
        if _changed(path) < before:
            batch.append(path)
        if len(batch) == BATCH:
            made += await _unnamed(services, batch, before, dry_run=dry_run)
            batch = []
            tell("files", looked)
    return made + await _unnamed(services, batch, before, dry_run=dry_run)


async def _unnamed(services: Services, paths: list[Path], before: float, *, dry_run: bool) -> list[Waste]:
    uris = {path: path.relative_to(services.store.root).as_posix() for path in paths}
    known = await named(services, uris.values())
    made = []
    for path, uri in uris.items():
        if uri in known:
            continue
        with suppress(FileNotFoundError):  # another collector was faster
            size = path.stat().st_size
            if dry_run or await _removed(services, path, uri, before):
                kind = "segment" if path.suffix == ".h5" else "object"
                made.append(Waste(kind=kind, uri=uri, bytes=size, why="no node names it"))
    return made


async def _removed(services: Services, path: Path, uri: str, before: float) -> bool:
    """Delete the file, unless somebody touched or recorded it since we looked."""
    return _changed(path) < before and await delete_unnamed(services, uri)


async def _folders(
    services: Services, before: float, gone: frozenset[str], *, dry_run: bool, tell: Progress
) -> list[Waste]:
    """What runs that have ended left behind in folders of their own."""
    made: list[Waste] = []
    root = services.store.root
    for looked, folder in enumerate(sorted((root / "runs").glob("*")), start=1):
        run = await garbage.folder(services.gateway, folder.name)
        tell("runs", looked)
        if run is not None and not run.removed and (not run.finished or (run.succeeded and run.kind != "training")):
            continue
        for path in sorted(folder.glob("*")) if folder.is_dir() else []:
            uri = path.relative_to(root).as_posix()
            if (
                (run is not None and uri in run.named)
                or uri in gone
                or await asyncio.to_thread(_newest, path) >= before
            ):
                continue
            size = await asyncio.to_thread(_size, path)
            if not dry_run:
                await asyncio.to_thread(_delete, path)
            why = "the graph does not know the run" if run is None else "no checkpoint names it, and its run has ended"
            made.append(Waste(kind="run", uri=uri, bytes=size, why=why))
        if not dry_run and folder.is_dir():
            with suppress(OSError):  # not empty
                folder.rmdir()
    return made


def _arrays(root: Path) -> Iterator[Path]:
    """Segments and objects, by name."""
    for pattern in ("segments/??/*.h5", "objects/??/*.npy"):
        for path in root.glob(pattern):
            if len(path.stem) == 64 and not set(path.stem) - set("0123456789abcdef"):
                yield path


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]


def _size(path: Path) -> int:
    return sum(one.stat().st_size for one in _files(path))


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _newest(path: Path) -> float:
    """When anything in it last changed."""
    return max([_changed(path), *(_changed(one) for one in _files(path))])


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
