"""A bundle: what a training without a graph leaves in a folder, complete and checkable anywhere.

    manifest.json       everything else by name, bytes and sha256; written last, so that a bundle is whole or none
    config.json         what was asked for, every open choice made
    metrics.jsonl       one line per epoch
    checkpoint/         the best parameters, as `load_forecaster` takes them
    training/           while it is unfinished: plan, state to resume from, lock

The manifest carries the sha256 of its own canonical JSON. Whatever in the folder is not exactly what it says, a file
too many included, is an error that names it: nothing of a bundle is used before all of it was checked.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from uuid import UUID

from graph.identity import digest
from nvp.errors import FieldError

FORMAT = "fieldgraph offline training 1"
MANIFEST, CONFIG, METRICS, CHECKPOINT, TRAINING = (
    "manifest.json",
    "config.json",
    "metrics.jsonl",
    "checkpoint",
    "training",
)
AGAIN = "Run the same `fieldgraph train --offline` again: it goes on where it stopped."
COPY = "Copy the bundle again."

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a bundle says of itself; plain values."""

    format: str
    # uid of the training's run, the same wherever it is imported; times are ISO, UTC
    run: str
    created: str
    finished: str
    # 1 where it was never interrupted
    attempts: int
    code_version: str
    device: str | None
    versions: dict[str, str]
    # what was asked for, as a run's config
    request: dict[str, Any]
    # name, architecture, domain, rng_seed, parameters, config
    model: dict[str, Any]
    # uid, name, kind, gap, parts [{role, sequence, first, last}] with t_index counted from each sequence's first frame
    split: dict[str, Any]
    # sha256 over all sequences; each with uid, recipe, sha256 over its frames and how to ingest it
    data: dict[str, Any]
    # step, epoch, val_fidelity, sha256 of the parameters, seconds and the reason why it ended
    checkpoint: dict[str, Any]
    # path → {bytes, sha256}, without the manifest itself
    files: dict[str, dict[str, Any]]


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> Manifest:
    """Complete a bundle whose files are all there: adds format and `files`, and writes the manifest at once."""
    for left in folder.glob(".*"):  # of a writer that was killed
        left.unlink()
    listed = {
        path: {"bytes": facts.bytes, "sha256": facts.sha256}
        for path, facts in _found(folder, without=TRAINING).items()
        if path != MANIFEST
    }
    said = asdict(Manifest(**{**manifest, "format": FORMAT, "files": listed}))
    write_json(folder / MANIFEST, {**said, "sha256": digest(said)})
    return read_manifest(folder)


def read_bundle(folder: Path) -> Manifest:
    """The manifest of a finished bundle of which every byte was checked.

    Raises `FieldError` in one line for what is unfinished, of another format, altered, cut off, missing, too much, or
    leads out of the folder.
    """
    manifest = read_manifest(folder)
    for path in manifest.files:
        if not _is_inside(path) or path == MANIFEST:
            raise _bad(folder, f"file names inside the bundle, got {path[:100]!r}", "Use another bundle.")
    found = _found(folder)
    for path, said in sorted(manifest.files.items()):
        if path not in found:
            raise _bad(folder, f"{path}, found nothing", COPY)
        if found[path].bytes != said["bytes"]:
            raise _bad(folder, f"{said['bytes']} bytes in {path}, got {found[path].bytes}", COPY)
        if found[path].sha256 != said["sha256"]:
            raise _bad(folder, f"{path} of sha256 {said['sha256'][:12]}…, got {found[path].sha256[:12]}…", COPY)
    if extra := sorted(found.keys() - manifest.files.keys() - {MANIFEST}):
        more = f" and {len(extra) - 1} more" if len(extra) > 1 else ""
        after = AGAIN if extra[0].startswith(f"{TRAINING}/") else "Take it out of the folder."
        raise _bad(folder, f"nothing but what {MANIFEST} lists, got {extra[0]}{more}", after)
    for needed in (CONFIG, METRICS, f"{CHECKPOINT}/config.json"):
        if needed not in manifest.files:
            raise _bad(folder, f"{needed} among its files, got none", COPY)
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest alone, against its own sha256; raises `FieldError`."""
    path = folder / MANIFEST
    if not folder.is_dir():
        raise FieldError("NO_BUNDLE", f"expected a bundle in {folder}, found no folder.", next_step="Check the path.")
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        if (folder / TRAINING).is_dir():
            raise FieldError(
                "UNFINISHED", f"expected a finished training in {folder}, got one under way.", next_step=AGAIN
            ) from None
        raise FieldError(
            "NO_BUNDLE",
            f"expected {MANIFEST} in {folder}, found none.",
            next_step="Name the folder that `fieldgraph train --offline` wrote.",
        ) from None
    except (OSError, ValueError) as error:
        raise _bad(folder, f"a readable {MANIFEST}, got {error}", COPY) from None
    if not isinstance(values, dict):
        raise _bad(folder, f"an object in {MANIFEST}, got {type(values).__name__}", COPY)
    if values.get("format") != FORMAT:
        raise FieldError(
            "OTHER_FORMAT",
            f"expected a bundle of format {FORMAT!r} in {folder}, got {str(values.get('format'))[:60]!r}.",
            next_step="Import it with the version of fieldgraph that wrote it.",
        )
    sha256 = values.pop("sha256", None)
    names = {field.name for field in fields(Manifest)}
    if sha256 != digest(values) or values.keys() != names:
        raise _bad(folder, f"{MANIFEST} as it was written, got an altered one", COPY)
    try:
        UUID(values["run"])
    except (ValueError, TypeError, AttributeError):
        raise _bad(folder, f"the uid of a run, got {str(values['run'])[:60]!r}", COPY) from None
    _check_kinds(folder, values)
    return Manifest(**values)


def _check_kinds(folder: Path, values: Mapping[str, Any]) -> None:
    """A manifest that somebody made by hand may fit its own sha256 and still not be one."""
    kinds = {"request": dict, "model": dict, "split": dict, "data": dict, "checkpoint": dict, "files": dict}
    for name, kind in kinds.items():
        if not isinstance(values[name], kind):
            raise _bad(folder, f"an object under {name} of {MANIFEST}, got {type(values[name]).__name__}", COPY)
    for path, said in values["files"].items():
        if not isinstance(said, dict) or (type(said.get("bytes")), type(said.get("sha256"))) != (int, str):
            raise _bad(folder, f"bytes and sha256 of {path[:100]!r} in {MANIFEST}, got something else", COPY)


def write_json(path: Path, values: Any) -> None:
    """Write a JSON file at once: readers see all of it or the one before."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(values, file, indent=1, sort_keys=True, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@dataclass(frozen=True, slots=True)
class _File:
    bytes: int
    sha256: str


def _found(folder: Path, *, without: str | None = None) -> dict[str, _File]:
    """Every file below the folder by its path; raises `FieldError` for a link or what else is no plain file."""
    found: dict[str, _File] = {}
    for root, folders, files in os.walk(folder, followlinks=False):
        folders[:] = [name for name in folders if name != without]
        for name in [*folders, *files]:
            path = Path(root) / name
            place = path.relative_to(folder).as_posix()
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise _bad(folder, f"plain files, got a link or a device at {place}", "Take it out of the folder.")
            if name in files:
                found[place] = _File(path.stat().st_size, file_digest(path))
    return found


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes, read piece by piece."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            state.update(piece)
    return state.hexdigest()


def _is_inside(path: object) -> bool:
    """Whether a path is relative, without dots that climb, and of harmless characters."""
    return isinstance(path, str) and all(_SEGMENT.fullmatch(part) for part in path.split("/"))


def _bad(folder: Path, expected: str, next_step: str) -> FieldError:
    return FieldError("BAD_BUNDLE", f"expected {expected} in {folder}.", next_step=next_step)
