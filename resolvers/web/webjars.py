"""GraphiQL and React from their WebJars: files out of jars that were fetched beside Neo4j's, so no CDN is asked.

`webjars.lock` says which jars and with what sha256; `fieldgraph db fetch` brings them.
"""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

from graph.embedded import jars
from graph.embedded.jars import Arrived, Jar

LOCK_FILE = Path(__file__).with_name("webjars.lock")

# what the page asks for → (jar, file below META-INF/resources/webjars/NAME/VERSION)
ASSETS = {
    "graphiql.js": ("graphiql", "graphiql.min.js", "text/javascript"),
    "graphiql.css": ("graphiql", "graphiql.min.css", "text/css"),
    "react.js": ("react", "umd/react.production.min.js", "text/javascript"),
    "react-dom.js": ("react-dom", "umd/react-dom.production.min.js", "text/javascript"),
}


def locked() -> tuple[Jar, ...]:
    """The jars of the page."""
    return jars.read_lock(LOCK_FILE)


def directory(cache: Path) -> Path:
    """Where they lie."""
    return cache / "webjars"


def fetch(cache: Path, *, arrived: Arrived | None = None) -> int:
    """Download what is missing or broken; how many jars came. Raises Outage as `graph.embedded.jars.fetch`."""
    return jars.fetch(locked(), directory(cache), arrived=arrived)


def asset(cache: Path, name: str) -> tuple[bytes, str]:
    """Content and media type of one of ASSETS.

    Raises:
        Outage: JARS_MISSING or JAR_CORRUPTED; nothing is served from a jar that is not the locked one.
    """
    artifact, file, media_type = ASSETS[name]
    jar = next(jar for jar in locked() if jar.coordinate.split(":")[1] == artifact)
    jars.verify([jar], directory(cache))
    version = jar.coordinate.split(":")[2]
    with ZipFile(directory(cache) / jar.filename) as archive:
        return archive.read(f"META-INF/resources/webjars/{artifact}/{version}/{file}"), media_type
