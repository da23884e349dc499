"""Checkpoints: a directory with `config.json`, what is in it, and `arrays/`, by orbax.

A directory appears complete or not at all (written beside its place, flushed, then renamed); one that says the same
already stays as it is, and another one leaves its place only when what replaces it is complete. `config.json` holds the
sha256 of each file and of the arrays in path order, and loading compares both, the files before they are opened: a
truncated or altered checkpoint is an error, never a wrong model.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from flax import nnx

from nvp.atlas.canonical import parameters_digest
from nvp.atlas.disk import flush
from nvp.errors import FieldError
from nvp.failpoints import reach
from nvp.model.config import NVPConfig
from nvp.model.nvp import NVP
from nvp.model.statistics import Statistics
from nvp.training.step import Weights, split

_MANIFEST = "config.json"
_ARRAYS = "arrays"
# characters of somebody else's error that a line can bear
_MOST_SAID = 200
Arrays = Mapping[str, np.ndarray]
T = TypeVar("T")


def arrays_of(tree: Any, prefix: str) -> dict[str, np.ndarray]:
    """Leaves of a pytree by their path; empty ones are left out, since orbax keeps none."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {prefix + _path(path): np.asarray(leaf) for path, leaf in leaves if leaf.size}


def tree_of(arrays: Arrays, like: T, prefix: str) -> T:
    """The inverse: leaves in the structure of `like`; raises `FieldError` where one is missing or of another shape."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    found = []
    for path, leaf in leaves:
        name = prefix + _path(path)
        values = arrays.get(name) if leaf.size else np.zeros(leaf.shape, leaf.dtype)
        if values is None or values.shape != leaf.shape or values.dtype != leaf.dtype:
            got = "nothing" if values is None else f"{values.dtype}{values.shape}"
            raise FieldError(
                "BAD_CHECKPOINT",
                f"expected {leaf.dtype}{leaf.shape} at {name}, got {got}.",
                next_step="Use the version of fieldgraph that wrote the checkpoint.",
            )
        found.append(jax.numpy.asarray(values))
    tree: T = jax.tree_util.tree_unflatten(structure, found)
    return tree


def write(directory: Path, manifest: Mapping[str, Any], arrays: Arrays) -> str:
    """Write a checkpoint directory and return the digest of its arrays."""
    import orbax.checkpoint as ocp

    digest = parameters_digest(arrays)
    if _says(directory, {**manifest, "sha256": digest}):
        return digest
    place = directory.with_name(f".{directory.name}.{uuid.uuid4().hex[:8]}")
    before = place.with_name(f"{place.name}.before")
    try:
        place.mkdir(parents=True)
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
            checkpointer.save((place / _ARRAYS).absolute(), args=ocp.args.PyTreeSave(dict(arrays)))
        reach("writing")
        facts = {**manifest, "sha256": digest, "files": _files(place / _ARRAYS)}
        text = json.dumps(facts, indent=1, sort_keys=True, allow_nan=False)
        (place / _MANIFEST).write_text(text, encoding="utf-8")
        for path in (*place.rglob("*"), place):
            flush(path)
        _exchange(place, directory, before)
    except Exception as error:  # a full disk has as many types as there are layers above it
        raise FieldError(
            "UNWRITABLE",
            f"expected to write the checkpoint {directory}, got {_said(error)}.",
            next_step="Free space; the same training goes on where it stopped.",
        ) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
        if directory.exists():
            shutil.rmtree(before, ignore_errors=True)
    return digest


def read(
    directory: Path, *, kind: str | None = None, next_step: str = "Restore it from a copy, or train again."
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Manifest and arrays; raises `FieldError` where they are missing, truncated, altered or not of this kind."""
    import orbax.checkpoint as ocp

    try:
        manifest: dict[str, Any] = json.loads((directory / _MANIFEST).read_text(encoding="utf-8"))
        if manifest["files"] != _files(directory / _ARRAYS):
            raise ValueError("files that were altered or lost")
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
            names = checkpointer.metadata((directory / _ARRAYS).absolute()).item_metadata.tree
            as_numpy = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in names}
            arrays: dict[str, np.ndarray] = checkpointer.restore(
                (directory / _ARRAYS).absolute(), args=ocp.args.PyTreeRestore(restore_args=as_numpy)
            )
    except Exception as error:  # orbax and its storage raise types of their own for each kind of damage
        raise FieldError(
            "BAD_CHECKPOINT",
            f"expected a complete checkpoint in {directory}, got {_said(error)}.",
            next_step=next_step,
        ) from error
    if parameters_digest(arrays) != manifest.get("sha256"):
        raise FieldError(
            "BAD_CHECKPOINT",
            f"expected arrays of sha256 {manifest.get('sha256')} in {directory}, got others.",
            next_step=next_step,
        )
    if kind is not None and manifest.get("kind") != kind:
        raise FieldError(
            "BAD_CHECKPOINT",
            f"expected a checkpoint of kind {kind!r} in {directory}, got {manifest.get('kind')!r}.",
            next_step="Use load_forecaster, which knows the kinds that predict.",
        )
    return manifest, arrays


def write_model(
    directory: Path,
    model: NVPConfig,
    params: Weights,
    constants: Weights,
    facts: Mapping[str, Any],
) -> str:
    """Write what a prediction needs: parameters and constants, no optimizer. Returns the digest."""
    arrays = arrays_of(params, "params/") | arrays_of(constants, "constants/")
    return write(directory, {"kind": "nvp", "model": model.to_json(), **facts}, arrays)


def load_model(
    directory: Path, *, kind: str = "nvp"
) -> tuple[nnx.GraphDef[NVP], Weights, Weights, NVPConfig, dict[str, Any]]:
    """Structure, parameters, constants, configuration and manifest of a checkpoint."""
    manifest, arrays = read(directory, kind=kind)
    config = NVPConfig.from_json(manifest["model"])
    statistics = Statistics(
        **{name: arrays.get(f"constants/{name}", np.zeros(0, np.float32)) for name in Statistics.__slots__}
    )
    graph, params, constants = split(NVP(config, statistics, rng=np.random.default_rng(0)))
    return graph, tree_of(arrays, params, "params/"), tree_of(arrays, constants, "constants/"), config, manifest


def _says(directory: Path, facts: Mapping[str, Any]) -> bool:
    """Whether a checkpoint is there that is whole and says just this."""
    try:
        found: dict[str, Any] = json.loads((directory / _MANIFEST).read_text(encoding="utf-8"))
        same: bool = found.pop("files") == _files(directory / _ARRAYS)
    except (OSError, ValueError, KeyError, AttributeError):
        return False
    return same and found == json.loads(json.dumps(facts))


def _exchange(new: Path, directory: Path, before: Path) -> None:
    """Put `new` in the place of `directory`, which is at `before` then: two renames, nothing is deleted in between."""
    with suppress(FileNotFoundError):  # the first one
        directory.rename(before)
    try:
        new.rename(directory)
    except OSError:
        if before.exists():
            before.rename(directory)
        raise
    flush(directory.parent)


def _said(error: Exception) -> str:
    """In one line, however many an error of orbax has."""
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= _MOST_SAID else f"{said[:_MOST_SAID]}…"


def _files(directory: Path) -> dict[str, str]:
    """sha256 of each file below a directory."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _path(path: tuple[Any, ...]) -> str:
    """Names and numbers of a path, joined by dots; a variable's own `value` is not part of it."""
    names = [str(getattr(part, "key", getattr(part, "idx", getattr(part, "name", part)))) for part in path]
    return ".".join(name for name in names if name != "value")
