"""Catalog of a folder atlas: what was there at one time, so that any change since then has a name.

`catalog.json` lists every map with the sha256 of its canonical bytes (and the first 16 digits, for eyes), statistics
and totals by domain. Sizes are in bytes, and in MiB (2^20 bytes) where labelled so. All paths are relative to the
folder, so that a copy of it verifies too. Reference: the seeds' catalog had keys generated_at, base_path, maps, stats.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nvp.atlas.maps.folder import Folder
from nvp.atlas.maps.sequence import AtlasSequence, open_sequence
from nvp.atlas.temporary import is_abandoned
from nvp.dynamics.domain import domain as registered_domain
from nvp.errors import FieldError

FORMAT = "fieldgraph catalog 1"
NAME = "catalog.json"
MIB = 2**20

Progress = Callable[[int], None]
"""Called with how many maps have been read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One map; its file relative to the atlas, `…hdf5#k` for frame k of a whole sequence."""

    map_id: str
    domain: str
    path: str
    sha256: str
    # its first 16 digits
    sha16: str
    # height and width
    shape: tuple[int, int]
    dtype: str
    # npy or hdf5
    format: str
    # of the array
    bytes: int
    mean: float
    variance: float
    # spatial entropy in nats; None where the field is signed or empty
    entropy: float | None
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """Something that is not as it should be."""

    # missing, changed, extra, damaged
    kind: str
    # map_id within its domain as <domain>/<map_id>, "" for a file that is no map
    uid: str
    # file relative to the atlas
    uri: str
    # one line
    detail: str


def scan(root: Path, *, progress: Progress | None = None) -> Iterator[Entry | Defect]:
    """Every map of the folder in order of domain, sequence and step; what cannot be read, or is no map, as a defect.

    A map is read whole and its hash held against its sidecar.
    """
    folder = Folder(root)
    _folder_of(root)
    known, done = {NAME}, 0
    for domain in folder.domains():
        for name in folder.sequences(domain):
            found: AtlasSequence | None
            try:
                found = open_sequence(folder, domain, name, signed=registered_domain(domain).signed)
            except FieldError as error:
                where = folder.hdf5(domain, name)
                known.add(_relative(root, where))
                yield Defect(kind="damaged", uid=f"{domain}/{name}", uri=_relative(root, where), detail=str(error))
                continue
            if found is None:
                continue
            whole = folder.is_hdf5(domain, name)
            for position, step in enumerate(found.steps.tolist()):
                path = found.place(step)
                known |= {_relative(root, path)} if whole else {_relative(root, path), _sidecar(root, path)}
                yield _read(root, found, position, step, whole=whole)
                done += 1
                if progress:
                    progress(done)
    for name in _files(root):
        if name not in known:
            yield Defect(kind="extra", uid="", uri=name, detail="a file that belongs to no map (no sidecar, or no map)")


def catalog(entries: list[Entry]) -> dict[str, Any]:
    """The catalog as JSON has it."""
    domains: dict[str, dict[str, Any]] = {}
    for entry in entries:
        totals = domains.setdefault(entry.domain, {"maps": 0, "bytes": 0, "total_energy": 0.0})
        totals["maps"] += 1
        totals["bytes"] += entry.bytes
        totals["total_energy"] += entry.total
    size = sum(entry.bytes for entry in entries)
    return {
        "format": FORMAT,
        "generated_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "base_path": ".",
        "maps": [asdict(entry) for entry in entries],
        "stats": {
            "total_maps": len(entries),
            "total_bytes": size,
            "total_size_mib": round(size / MIB, 3),
            "domains": {name: domains[name] for name in sorted(domains)},
        },
    }


def write(root: Path, entries: list[Entry]) -> dict[str, Any]:
    """Place `catalog.json`, complete or not at all; what it says."""
    said = catalog(entries)
    Folder(root).place(root / NAME, (json.dumps(said, indent=1, allow_nan=False) + "\n").encode())
    return said


def read(root: Path) -> list[Entry]:
    """The maps of `catalog.json`; raises `FieldError` where there is none or it is not one of ours."""
    _folder_of(root)
    path = root / NAME
    try:
        said = json.loads(path.read_bytes())
        if said["format"] != FORMAT:
            raise ValueError(f"format {said['format']!r}")
        names = {field.name for field in fields(Entry)}
        return [Entry(**{**_exactly(item, names), "shape": tuple(item["shape"])}) for item in said["maps"]]
    except FileNotFoundError:
        raise FieldError(
            "NO_CATALOG",
            f"expected a catalog at {path}, found none.",
            next_step="Write one by `fieldgraph audit DIR`, while the folder is as it should be.",
        ) from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise FieldError(
            "BAD_CATALOG",
            f"cannot read {path}: {' '.join(str(error).split())}.",
            next_step="Restore it, or write a new one by `fieldgraph audit DIR`.",
        ) from error


def compare(before: list[Entry], found: Mapping[str, Entry], defects: list[Defect]) -> list[Defect]:
    """What has changed since the catalog; `found` by path. A damaged map is not missing as well."""
    broken = {defect.uri for defect in defects}
    known = {entry.path: entry for entry in before}
    result = list(defects)
    for path, entry in known.items():
        uid, now = f"{entry.domain}/{entry.map_id}", found.get(path)
        if now is None and path not in broken and path.partition("#")[0] not in broken:
            result.append(Defect(kind="missing", uid=uid, uri=path, detail="it is in the catalog, and not there"))
        elif now is not None and now.sha256 != entry.sha256:
            detail = f"expected sha256 {entry.sha256[:16]}… as in the catalog, got {now.sha256[:16]}…"
            result.append(Defect(kind="changed", uid=uid, uri=path, detail=detail))
    for path in found.keys() - known.keys():
        uid = f"{found[path].domain}/{found[path].map_id}"
        result.append(Defect(kind="extra", uid=uid, uri=path, detail="it is not in the catalog"))
    return sorted(result, key=lambda defect: (defect.uri, defect.kind))


def sweep(root: Path) -> list[str]:
    """Delete what killed writers left behind and caches of sequences that are gone; the paths that were deleted."""
    folder, removed = Folder(root), []
    for path in sorted((root / ".tmp").glob("*")):
        if is_abandoned(path.name):
            path.unlink(missing_ok=True)
            removed.append(_relative(root, path))
    for cache in sorted(root.glob("*/*/.cache")):
        domain, name = cache.parts[-3:-1]
        if name not in folder.sequences(domain):
            for path in sorted(cache.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            cache.rmdir()
            removed.append(_relative(root, cache))
    return removed


def _read(root: Path, sequence: AtlasSequence, position: int, step: int, *, whole: bool) -> Entry | Defect:
    path = _relative(root, sequence.place(step)) + (f"#{position}" if whole else "")
    try:
        values, metadata = sequence.frame(step)
    except FieldError as error:
        uid = f"{sequence.domain}/{sequence.name}/{step:04d}"
        kind = "missing" if error.code == "FILE_MISSING" else "changed" if error.code == "FILE_CHANGED" else "damaged"
        return Defect(kind=kind, uid=uid, uri=path, detail=str(error))
    return Entry(
        map_id=metadata.map_id,
        domain=sequence.domain,
        path=path,
        sha256=metadata.sha256,
        sha16=metadata.sha256[:16],
        shape=metadata.shape,
        dtype=metadata.dtype,
        format="hdf5" if whole else "npy",
        bytes=values.nbytes,
        mean=metadata.energy_mean,
        variance=metadata.energy_variance,
        entropy=metadata.entropy,
        total=metadata.total_energy,
    )


def _files(root: Path) -> Iterator[str]:
    """Files below the root, but for those under a name that begins with a dot; in order."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield _relative(root, Path(folder) / name)


def _folder_of(root: Path) -> None:
    if not root.is_dir():
        raise FieldError("NO_FOLDER", f"expected a folder at {root}, found none.", next_step="Check the path.")


def _exactly(item: Mapping[str, Any], names: set[str]) -> Mapping[str, Any]:
    if set(item) != names:
        raise ValueError(f"expected a map's keys {sorted(names)}, got {sorted(item)}")
    return item


def _relative(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _sidecar(root: Path, path: Path) -> str:
    return _relative(root, path.with_suffix(".json"))
