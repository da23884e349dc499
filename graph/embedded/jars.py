"""The jars of Neo4j: what they are (`jars.lock`), where they lie, how they come and whether they are still the same.

`jars.lock` names each jar by its Maven coordinate and sha256, one per line and without any address; `jgo` (pure Python)
knows where Maven coordinates live and honours a mirror set in its own configuration. The coordinates are complete, so
nothing is resolved at run time: each jar is downloaded by name, checked, and only then moved to its place.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from graph.errors import Outage

LOCK_FILE = Path(__file__).with_name("jars.lock")
NEO4J_VERSION = "2026.09.0"
FETCH = "Run `fieldgraph db fetch` with network access."

DOWNLOAD_ATTEMPTS = 3

# called with each jar that has arrived and its size in bytes
Arrived = Callable[["Jar", int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Jar:
    """One line of a lock file."""

    coordinate: str  # group:artifact:version or group:artifact:version:classifier
    sha256: str  # hexadecimal

    @property
    def filename(self) -> str:
        """artifact-version[-classifier].jar, as in any Maven repository."""
        return "-".join(self.coordinate.split(":")[1:]) + ".jar"


def read_lock(path: Path = LOCK_FILE) -> tuple[Jar, ...]:
    """Read the jars of a lock file."""
    lines = (line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#"))
    return tuple(Jar(coordinate=coordinate, sha256=digest) for coordinate, digest in map(str.split, lines))


def jar_directory(cache: Path) -> Path:
    """Where the jars of the embedded server lie."""
    return cache / f"neo4j-{NEO4J_VERSION}"


def missing(jars: Iterable[Jar], directory: Path) -> list[Jar]:
    """The jars that are not there yet."""
    return [jar for jar in jars if not (directory / jar.filename).is_file()]


def verify(jars: Sequence[Jar], directory: Path) -> None:
    """Refuse jars that are absent or differ from the lock.

    Raises:
        Outage: code JARS_MISSING or JAR_CORRUPTED, naming the first such jar.
    """
    if absent := missing(jars, directory):
        raise Outage(
            "JARS_MISSING", f"expected {len(jars)} jars in {directory}, {len(absent)} are missing.", next_step=FETCH
        )
    with ThreadPoolExecutor() as pool:
        digests = pool.map(lambda jar: sha256_of(directory / jar.filename), jars)
        for jar, digest in zip(jars, digests, strict=True):
            if digest != jar.sha256:
                raise Outage(
                    "JAR_CORRUPTED",
                    f"{directory / jar.filename}: expected sha256 {jar.sha256[:12]}…, got {digest[:12]}….",
                    next_step=f"Delete this file. {FETCH}",
                )


def fetch(jars: Sequence[Jar], directory: Path, *, arrived: Arrived | None = None) -> int:
    """Download what is missing or corrupted into `directory` and return the number of downloaded jars.

    Safe to interrupt and to run twice at once: a jar appears in the directory whole and verified, or not at all.

    Raises:
        Outage: code OFFLINE where a jar cannot be had, JAR_CORRUPTED where what arrived is not what the lock says.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with FileLock(directory.with_name(f"{directory.name}.lock")):
        wanted = [jar for jar in jars if not _intact(directory / jar.filename, jar.sha256)]
        if not wanted:
            return 0
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=directory) as staging, ThreadPoolExecutor(8) as pool:
            tasks = {pool.submit(_download, jar, Path(staging)): jar for jar in wanted}
            try:
                for task in as_completed(tasks):
                    jar = tasks[task]
                    shutil.move(task.result(), directory / jar.filename)
                    if arrived:
                        arrived(jar, (directory / jar.filename).stat().st_size)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    return len(wanted)


def ensure(
    cache: Path, *, progress: Callable[[int], AbstractContextManager[Arrived | None]] = lambda _: nullcontext()
) -> tuple[Path, ...]:
    """The paths of all jars of the server, verified; fetches them only where none is there yet.

    `progress` is given the number of jars and yields what to call with each.
    """
    jars, directory = read_lock(), jar_directory(cache)
    if len(missing(jars, directory)) == len(jars):
        with progress(len(jars)) as arrived:
            fetch(jars, directory, arrived=arrived)
    verify(jars, directory)
    return tuple(directory / jar.filename for jar in jars)


def sha256_of(path: Path) -> str:
    """The sha256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _intact(path: Path, digest: str) -> bool:
    return path.is_file() and sha256_of(path) == digest


def _download(jar: Jar, staging: Path) -> Path:
    """Download one jar below `staging`, patient with a network that stumbles, and check it."""
    # jgo and its HTTP client take half a second to import, which only a download should pay
    import requests
    from jgo.config import GlobalSettings
    from jgo.maven import MavenContext

    group, artifact, version, *classifier = jar.coordinate.split(":")
    for attempt in range(1, DOWNLOAD_ATTEMPTS + 1):
        context = MavenContext(repo_cache=staging / str(attempt), timeout=60)
        context.remote_repos.update(GlobalSettings.load().repositories)
        component = context.project(group, artifact).at_version(version)
        try:
            path = Path(component.artifact(classifier=classifier[0] if classifier else "").resolve())
            break
        except (requests.RequestException, RuntimeError, OSError) as error:
            if attempt == DOWNLOAD_ATTEMPTS:
                raise Outage(
                    "OFFLINE",
                    f"cannot download {jar.coordinate} ({_reason(error)}).",
                    next_step=f"Check the network. {FETCH}",
                ) from error
            time.sleep(attempt)
    if (digest := sha256_of(path)) != jar.sha256:
        raise Outage(
            "JAR_CORRUPTED",
            f"{jar.coordinate}: expected sha256 {jar.sha256[:12]}…, got {digest[:12]}… from the network.",
            next_step="Check the proxy or mirror in between, then run `fieldgraph db fetch` again.",
        )
    return path


def _reason(error: Exception) -> str:
    """One short clause, without addresses: the innermost cause says what is wrong."""
    text = re.sub(r"\S+://\S+", "the repository", str(error))
    text = re.sub(r"\s*\(_ssl[^)]*\)?", "", text)
    return re.sub(r".*: (?=\S)", "", text).strip("()'\" ")[:120] or type(error).__name__
