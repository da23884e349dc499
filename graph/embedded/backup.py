"""A graph in one file: Neo4j's own dump and load, with the server stopped meanwhile.

Community dumps a database at rest only. The array store is files already and is backed up as files.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graph.embedded import conf, jars, java, server
from graph.embedded.conf import Layout
from graph.errors import GraphError
from graph.settings import Settings

DATABASE = "neo4j"  # Community has one
MAGIC = (b"DZV1", b"DGV1")  # how a dump begins: compressed by zstd or gzip


def backup(settings: Settings, destination: Path) -> int:
    """Dump the graph to `destination`, whole or not at all; returns its size in bytes.

    Raises:
        GraphError: code DESTINATION for one that exists or cannot be written, NO_DATABASE before the first start.
    """
    destination = destination.absolute()
    if destination.exists():
        raise GraphError("DESTINATION", f"{destination} exists already.", next_step="Name a file that does not.")
    if not destination.parent.is_dir():
        raise GraphError(
            "DESTINATION", f"{destination.parent} is not a directory.", next_step="Make it or name another."
        )
    partial = destination.with_name(f".{destination.name}.partial")
    with _at_rest(settings) as (layout, classpath):
        if not (layout.data / "databases" / DATABASE).is_dir():
            raise GraphError("NO_DATABASE", f"there is no graph in {layout.root} yet.", next_step="Start it once.")
        try:
            with partial.open("wb") as file:
                java.admin(layout, classpath, "database", "dump", DATABASE, "--to-stdout", stdout=file)
            partial.replace(destination)
        except OSError as error:
            raise GraphError(
                "DESTINATION", f"cannot write {destination}: {error.strerror}.", next_step="Name another file."
            ) from error
        finally:
            partial.unlink(missing_ok=True)
    return destination.stat().st_size


def restore(settings: Settings, source: Path) -> None:
    """Replace the graph by a dump; where loading fails, the graph is what it was.

    Raises:
        GraphError: code NOT_A_DUMP, or NEO4J_ADMIN where Neo4j cannot load it.
    """
    if not source.is_file():
        raise GraphError("NOT_A_DUMP", f"{source} is not a file.", next_step="Name one made by `fieldgraph db backup`.")
    with source.open("rb") as file:
        if file.read(4) not in MAGIC:
            raise GraphError(
                "NOT_A_DUMP", f"{source} is not a Neo4j dump.", next_step="Name one made by `fieldgraph db backup`."
            )
    if not (Layout.of(settings).data / "databases").is_dir():
        server.start(settings)  # a first start makes the server's own database and password
    with _at_rest(settings) as (layout, classpath):
        places = [layout.data / part / DATABASE for part in ("databases", "transactions")]
        aside = [place.with_name(f"{DATABASE}.before-restore") for place in places]
        for place, keep in zip(places, aside, strict=True):
            shutil.rmtree(keep, ignore_errors=True)
            if place.exists():
                place.rename(keep)
        try:
            with source.open("rb") as file:
                java.admin(
                    layout,
                    classpath,
                    *("database", "load", DATABASE, "--from-stdin", "--overwrite-destination=true"),
                    stdin=file,
                )
        except BaseException:
            for place, keep in zip(places, aside, strict=True):
                shutil.rmtree(place, ignore_errors=True)
                if keep.exists():
                    keep.rename(place)
            raise
        for keep in aside:
            shutil.rmtree(keep, ignore_errors=True)


@contextmanager
def _at_rest(settings: Settings) -> Iterator[tuple[Layout, tuple[Path, ...]]]:
    """Stop the server, and start it again afterwards if it was running."""
    classpath = jars.ensure(settings.cache)
    layout = Layout.of(settings)
    was_running = server.stop(settings)
    conf.write(settings, layout)
    try:
        yield layout, classpath
    finally:
        if was_running:
            server.start(settings)
