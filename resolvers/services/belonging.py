"""Which graph a store belongs to: what another one does not name is no garbage for that.

    graph.json      in the store: {"database": id of the database}

Written when the first ingest makes the store. In an older one it is written when garbage is first looked for, where
the graph names any of the store's files: a fresh graph, or one at another address, names none.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from graph.errors import GraphError
from graph.queries import audit, garbage
from resolvers.services.context import Services

FILE = "graph.json"
FOLDERS = ("segments", "objects", "runs")
BATCH = 500


async def claim_new(services: Services) -> None:
    """A store that is still to be made will belong to this graph."""
    root = services.store.root
    if not any((root / name).exists() for name in (FILE, *FOLDERS)):
        _write(root, await audit.database(services.gateway))


async def require_own(services: Services, *, keep: bool = True) -> None:
    """Refuse to judge the files of a store by another graph than its own; raises GraphError.

    `keep`: write down what was found out about a store that does not say.
    """
    root = services.store.root
    said, own = _read(root), await audit.database(services.gateway)
    if said == own:
        return
    if said is None and (_is_empty(root) or await _names_any(services)):
        if keep:
            _write(root, own)
        return
    raise GraphError(
        "OTHER_GRAPH",
        f"expected the graph that the store {root} belongs to ({said or 'it names some of its files'}), got {own}.",
        next_step=f"Check NEO4J_URI and FIELDGRAPH_STORE; after a move of the graph delete {FILE} in the store.",
    )


def _read(root: Path) -> str | None:
    try:
        return str(json.loads((root / FILE).read_text(encoding="utf-8"))["database"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return f"{FILE} cannot be read"


def _write(root: Path, database: str) -> None:
    """Once and for all: whoever comes second finds it there, and where nothing can be written it is asked for again."""
    beside = root / f".{FILE}.{uuid.uuid4().hex[:8]}"
    with suppress(OSError):
        try:
            root.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps({"database": database}) + "\n", encoding="utf-8")
            os.link(beside, root / FILE)
        finally:
            beside.unlink(missing_ok=True)


def _is_empty(root: Path) -> bool:
    return not any(True for name in FOLDERS for _ in (root / name).glob("*"))


async def _names_any(services: Services) -> bool:
    """Whether the graph knows a run with a folder here, or names a file."""
    for run in (services.store.root / "runs").glob("*"):
        if await garbage.folder(services.gateway, run.name) is not None:
            return True
    arrays = _arrays(services.store.root)
    while uris := list(islice(arrays, BATCH)):
        segments = {uri: () for uri in uris if uri.endswith(".h5")}
        objects = [uri for uri in uris if uri.endswith(".npy")]
        if await audit.segments_named(services.gateway, segments):
            return True
        if await garbage.objects_named(services.gateway, objects):
            return True
    return False


def _arrays(root: Path) -> Iterator[str]:
    for pattern in ("segments/??/*.h5", "objects/??/*.npy"):
        for path in root.glob(pattern):
            yield path.relative_to(root).as_posix()
