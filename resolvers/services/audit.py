"""Audit: do the files of the store and the graph say the same?

    missing_file        a node's file is not there
    damaged_file        a file that cannot be read; (verify) a checkpoint that is not what its manifest says
    changed_file        (verify) its content is not what its name says (a checkpoint: the graph); each frame that
                        differs is named
    missing_frame       a segment has a frame of which the graph has no snapshot
    missing_next        two snapshots follow each other in time without NEXT, or NEXT leads elsewhere
    missing_link        a snapshot without its HAS_SNAPSHOT or IN_DOMAIN
    missing_statistic   a snapshot without descriptor, regime or one of its numbers
    wrong_count         the sequence's length, first or last is not that of its snapshots
    broken_chain        the sequence's digest is not the chain of its segments'
    orphan_file         a file that no node refers to

Sequences are walked page by page, one segment's file at a time: memory does not grow with the graph. One that grows
meanwhile is looked at again; where it does not hold still, what a half-seen change may feign is left to the next audit.
Files that a live run may be about to record are no orphans, nor are arrays that were uploaded within a day.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

from graph import identity
from graph.queries import audit
from graph.queries.audit import FrameFacts, SequenceFacts
from nvp.atlas.catalog import Defect
from nvp.atlas.segment_file import content_digest, frame_digests
from nvp.atlas.store import ArrayStore
from nvp.errors import FieldError
from nvp.model import ridge
from resolvers.services.context import Services
from resolvers.services.naming import named

DAY_SECONDS = 86_400.0
BATCH = 500
# what is to be done about a checkpoint that is not as it was
AGAIN = "Restore it from a copy of the store, or train again."
# at a sequence that grows, before it is told as it moves
LOOKS = 3
# what may seem so where a sequence grows between two reads
FLEETING = ("missing_frame", "missing_next", "wrong_count", "broken_chain")

Progress = Callable[[str, int, int], None]
"""Called with what is being looked at, how much of it is done, and all of it."""


@dataclass(slots=True)
class Findings:
    """What an audit has seen so far."""

    defects: list[Defect] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)
    # files of the store that a node refers to, by the 32 bytes of their hash
    referenced: set[bytes] = field(default_factory=set)

    def add(self, kind: str, uid: str, uri: str, detail: str) -> None:
        """One more defect."""
        self.defects.append(Defect(kind=kind, uid=uid, uri=uri, detail=detail))

    def take(self, other: Findings) -> None:
        """What another look found besides."""
        self.defects += other.defects
        self.checked += other.checked
        self.referenced |= other.referenced

    def counts(self) -> dict[str, int]:
        """Defects by kind."""
        return dict(Counter(defect.kind for defect in self.defects).most_common())


async def audit_graph(services: Services, *, verify: bool = False, progress: Progress | None = None) -> Findings:
    """Compare graph and store; `verify` reads every file and recomputes every hash."""
    found, done = Findings(), 0
    total = (await audit.counts(services.gateway))["snapshots"]
    async for facts in audit.sequences(services.gateway):

        def tell(seen: int, before: int = done) -> None:
            if progress:
                progress("snapshots", before + seen, total)

        found.take(await _sequence(services, facts, tell, verify=verify))
        done = found.checked["snapshots"]
    await _other_files(services, found, verify=verify)
    await _orphans(services, found, progress)
    found.defects.sort(key=lambda defect: (defect.kind, defect.uri, defect.uid))
    return found


async def _sequence(services: Services, facts: SequenceFacts, tell: Callable[[int], None], *, verify: bool) -> Findings:
    """A sequence that held still while it was looked at; else without what growth may feign."""
    found = Findings()
    for _ in range(LOOKS):
        found = await _look(services, facts, tell, verify=verify)
        now = await audit.sequence(services.gateway, facts.uid)
        if now is None:
            return Findings()
        if now == facts:
            return found
        facts = now
    found.defects = [defect for defect in found.defects if defect.kind not in FLEETING]
    found.checked["growing sequences"] += 1
    return found


async def _look(services: Services, facts: SequenceFacts, tell: Callable[[int], None], *, verify: bool) -> Findings:
    """One walk over a sequence's segments and snapshots."""
    found = Findings()
    hashes = await _segments(services.store, facts, found, verify=verify)
    present: list[range] = []
    before: FrameFacts | None = None
    async for page in audit.frames(services.gateway, facts.uid):
        for frame in page:
            _frame(services.store, facts, frame, hashes, found)
            if before is not None:
                _next(before, frame, found)
            before = frame
            _extend(present, frame.t_index)
        tell(found.checked["snapshots"])
    if before is not None and before.next is not None:
        found.add("missing_next", before.uid, before.uri, f"NEXT leads from the last frame to {before.next}")
    _whole(facts, present, found)
    return found


async def _segments(
    store: ArrayStore, facts: SequenceFacts, found: Findings, *, verify: bool
) -> dict[str, tuple[str, ...]]:
    """sha256 of the frames of each segment that was read, by uri; {} without `verify`."""
    hashes: dict[str, tuple[str, ...]] = {}
    for segment in facts.segments:
        uri, uid = segment["uri"], segment["uid"]
        found.checked["segments"] += 1
        if not _there(store, uri, found):
            found.add("missing_file", uid, uri, f"segment of sequence {facts.uid}: no such file in the store")
            continue
        try:
            if not verify:
                if (length := (await asyncio.to_thread(store.segment, uri)).length) != segment["length"]:
                    found.add("changed_file", uid, uri, f"expected {segment['length']} frames, got {length}")
                continue
            digest, hashes[uri] = await asyncio.to_thread(_read, store, uri)
            if digest != segment["sha256"]:
                found.add("changed_file", uid, uri, f"expected content {segment['sha256'][:16]}…, got {digest[:16]}…")
        except FieldError as error:
            found.add("damaged_file", uid, uri, str(error))
    found.checked["sequences"] += 1
    return hashes


def _read(store: ArrayStore, uri: str) -> tuple[str, tuple[str, ...]]:
    series = store.read_segment(uri)
    hashed = frame_digests(series)
    return content_digest(series, hashed), hashed.energy


def _frame(
    store: ArrayStore, facts: SequenceFacts, frame: FrameFacts, hashes: dict[str, tuple[str, ...]], found: Findings
) -> None:
    found.checked["snapshots"] += 1
    uri, _, place = frame.uri.partition("#")
    if not any(segment["uri"] == uri for segment in facts.segments):
        if not _there(store, uri, found):
            found.add("missing_file", frame.uid, frame.uri, f"t_index {frame.t_index} of sequence {facts.uid}: no file")
    elif uri in hashes:
        known = hashes[uri][int(place)] if int(place) < len(hashes[uri]) else "no frame"
        if known != frame.sha256:
            said = f"frame {place} (t_index {frame.t_index} of sequence {facts.uid})"
            detail = f"{said}: expected sha256 {frame.sha256[:16]}…, got {known[:16]}…"
            found.add("changed_file", frame.uid, frame.uri, detail)
    if not frame.owned:
        found.add("missing_link", frame.uid, frame.uri, f"t_index {frame.t_index}: no HAS_SNAPSHOT or no IN_DOMAIN")
    if not frame.complete:
        found.add("missing_statistic", frame.uid, frame.uri, f"t_index {frame.t_index}: a statistic is absent")


def _next(before: FrameFacts, frame: FrameFacts, found: Findings) -> None:
    wanted = frame.t_index if frame.t_index == before.t_index + 1 else None
    if before.next != wanted:
        detail = f"expected NEXT from t_index {before.t_index} to {wanted}, got {before.next}"
        found.add("missing_next", before.uid, before.uri, detail)


def _extend(runs: list[range], t_index: int) -> None:
    """Add the next t_index to the stretches that are there."""
    if runs and runs[-1].stop == t_index:
        runs[-1] = range(runs[-1].start, t_index + 1)
    else:
        runs.append(range(t_index, t_index + 1))


def _whole(facts: SequenceFacts, present: Sequence[range], found: Findings) -> None:
    """What only the whole sequence tells: gaps, counts, the chain."""
    for segment in facts.segments:
        for gap in _without(range(segment["first"], segment["first"] + segment["length"]), present):
            said = f"t_index {gap.start}" if len(gap) == 1 else f"t_index {gap.start} … {gap.stop - 1}"
            detail = f"{said} of sequence {facts.uid} is in its segment and not in the graph"
            found.add("missing_frame", facts.uid, f"{segment['uri']}#{gap.start - segment['first']}", detail)
    number = sum(len(run) for run in present)
    if present:
        told = {"length": facts.length, "first": facts.first, "last": facts.last, "snapshots": facts.has_snapshot}
        true = {"length": number, "first": present[0].start, "last": present[-1].stop - 1, "snapshots": number}
        if wrong := [name for name in told if told[name] != true[name]]:
            expected, got = ({name: one[name] for name in wrong} for one in (true, told))
            found.add("wrong_count", facts.uid, "", f"expected {expected} as its snapshots have, got {got}")
    chain = identity.chain([segment["sha256"] for segment in facts.segments])
    if chain != facts.digest:
        found.add("broken_chain", facts.uid, "", f"expected digest {chain[:16]}…, got {facts.digest[:16]}…")


def _without(whole: range, runs: Sequence[range]) -> list[range]:
    """What of `whole` no run covers."""
    left, start = [], whole.start
    for run in runs:
        if run.stop <= start or run.start >= whole.stop:
            continue
        if run.start > start:
            left.append(range(start, run.start))
        start = run.stop
    return [*left, range(start, whole.stop)] if start < whole.stop else left


async def _other_files(services: Services, found: Findings, *, verify: bool) -> None:
    """Predicted states and checkpoints."""
    store = services.store
    async for label, node in audit.files(services.gateway):
        found.checked[label.lower() + ("" if label == "Predicted" else "s")] += 1
        if label == "Checkpoint":
            problem = await asyncio.to_thread(_checkpoint, store.root / node.uri, node.sha256, verify=verify)
            # one that a training has superseded since has gone rightly
            if problem and await audit.named_still(services.gateway, node.uid):
                found.add(problem[0], node.uid, node.uri, problem[1])
            continue
        for uri, sha256 in ((node.uri, node.sha256), (node.spread_uri, node.spread_sha256)):
            if uri is None:
                continue
            if not _there(store, uri, found):
                found.add("missing_file", node.uid, uri, f"{label} state: no such file in the store")
            elif verify and (problem := await asyncio.to_thread(_array, store, uri, str(sha256))):
                found.add(problem[0], node.uid, uri, problem[1])


def _checkpoint(directory: Path, sha256: str, *, verify: bool) -> tuple[str, str] | None:
    """What is wrong with a checkpoint; with `verify` its arrays are held against its manifest and the graph."""
    if not directory.exists():
        return "missing_file", f"Checkpoint: nothing at {directory}. {AGAIN}"
    if not verify:
        return None
    try:
        known = _fitted(directory)
    except FieldError as error:
        return "damaged_file", str(error)
    return None if known == sha256 else ("changed_file", f"{_differ(sha256, known)}. {AGAIN}")


def _fitted(directory: Path) -> str:
    """sha256 of a checkpoint's arrays; raises FieldError where they cannot be read, or are not what it says itself."""
    if (directory / ridge.WEIGHTS).exists():
        try:
            return ridge.load(directory).sha256
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            said = f"expected a complete ridge regression in {directory}, got {type(error).__name__}."
            raise FieldError("BAD_CHECKPOINT", said, next_step=AGAIN) from error
    from nvp.training.checkpoint import read  # JAX

    return str(read(directory, next_step=AGAIN)[0]["sha256"])


def _array(store: ArrayStore, uri: str, sha256: str) -> tuple[str, str] | None:
    try:
        known = store.hash_of(uri)
    except FieldError as error:
        return "damaged_file", str(error)
    return None if known == sha256 else ("changed_file", _differ(sha256, known))


def _differ(expected: str, got: str) -> str:
    return f"expected sha256 {expected[:16]}…, got {got[:16]}…"


async def _orphans(services: Services, found: Findings, progress: Progress | None) -> None:
    """Files that no node refers to, looked up once more: they may have been recorded since."""
    live = await audit.live_since(services.gateway)
    young = time.time() - DAY_SECONDS
    batch: list[Path] = []
    for path in _files(services.store.root):
        found.checked["files"] += 1
        if progress and found.checked["files"] % BATCH == 0:
            progress("files", found.checked["files"], 0)
        if bytes.fromhex(path.stem) in found.referenced:
            continue
        try:
            changed = path.stat().st_mtime
        except FileNotFoundError:  # an ingest that was refused took it back
            continue
        if (live is None or changed < live) and (path.suffix == ".h5" or changed < young):
            batch.append(path)
        if len(batch) == BATCH:
            await _name(services, batch, found)
            batch = []
    if batch:
        await _name(services, batch, found)


async def _name(services: Services, paths: list[Path], found: Findings) -> None:
    uris = {path: path.relative_to(services.store.root).as_posix() for path in paths}
    known = await named(services, uris.values())
    for path, uri in uris.items():
        if uri in known:
            continue
        with suppress(FileNotFoundError):  # gone since
            state = path.stat()
            hours = (time.time() - state.st_mtime) / 3600
            found.add("orphan_file", "", uri, f"no node refers to it; {state.st_size} bytes, {hours:.1f} h old")


def _files(root: Path) -> Iterator[Path]:
    """Segments and objects, by name."""
    for pattern in ("segments/??/*.h5", "objects/??/*.npy"):
        for path in root.glob(pattern):
            if len(path.stem) == 64 and not set(path.stem) - set("0123456789abcdef"):
                yield path


def _there(store: ArrayStore, uri: str, found: Findings) -> bool:
    """Whether the file behind a node's uri is there; it is referred to, be it or not."""
    try:
        path = store.path(uri)
    except FieldError:  # somebody wrote a uri that is none of this store
        return False
    found.referenced.add(bytes.fromhex(path.stem))
    return path.is_file()
