"""`fieldgraph doctor`: is this installation whole? Each check says what it found and, if need be, what to do."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from pathlib import Path

import typer

from graph.embedded import jars, java, server
from graph.errors import GraphError
from graph.gateway import Gateway
from graph.settings import Settings
from migrations import runner
from resolvers.cli.output import JsonOption, emit, run
from resolvers.supervisor import CONNECTION
from resolvers.web import webjars

PACKAGES = ("graph", "migrations", "nvp", "resolvers", "schema")
LIBRARIES = ("neo4j", "neomodel", "strawberry-graphql", "starlette", "jax", "flax", "optax", "orbax-checkpoint", "h5py")
ENOUGH_DISK_GB = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What one check found."""

    name: str
    ok: bool
    found: str


def command(as_json: JsonOption = False) -> None:
    """Check this installation and list its settings; exit code 1 where something is wrong.

    Starts nothing and changes nothing.

    Example: fieldgraph doctor --json
    """
    settings = Settings()
    checks = run(asyncio.to_thread(_check_all, settings))
    ok = all(check.ok for check in checks)
    lines = [f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<20}{check.found}" for check in checks]
    known = variables(settings)
    lines += ["", *(f"{name:<32}  {'–' if value is None else value}".rstrip() for name, value in known.items())]
    result = {"ok": ok, "checks": [asdict(check) for check in checks], "settings": known}
    emit(result, as_json=as_json, text="\n".join(lines))
    if not ok:
        raise typer.Exit(1)


def variables(settings: Settings) -> dict[str, str | None]:
    """Each setting by its environment variable, secrets veiled; None where it is not set and has no default."""
    return {
        (name if name in CONNECTION else f"fieldgraph_{name}").upper(): None if value is None else str(value)
        for name, value in settings
    }


def _check_all(settings: Settings) -> list[Check]:
    checks = [
        Check(name="python", ok=True, found=f"{platform.python_version()} on {platform.platform()}"),
        *(_attempt(f"{package}/", lambda package=package: check_package(package)) for package in PACKAGES),  # type: ignore[misc]
        *(_attempt(library, lambda library=library: metadata.version(library)) for library in LIBRARIES),  # type: ignore[misc]
    ]
    if not settings.neo4j_uri:
        checks += [_attempt("java", java_version), _attempt("jars", lambda: check_jars(settings))]
    return [
        *checks,
        _attempt("web jars", lambda: check_web_jars(settings)),
        _attempt("server", lambda: asyncio.run(check_server(settings))),
        _attempt("scheduler", lambda: asyncio.run(check_scheduler(settings))),
        _attempt("store", lambda: check_store(settings)),
        _attempt("disk", lambda: check_disk(settings)),
    ]


def _attempt(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name=name, ok=True, found=check())
    except (GraphError, OSError, ImportError, subprocess.SubprocessError) as error:
        return Check(name=name, ok=False, found=str(error) or type(error).__name__)


def check_package(name: str) -> str:
    """Where one of our five packages was imported from: other projects have a `schema` or `migrations`, too.

    Raises:
        GraphError: code STRANGER where it does not lie beside the others.
    """
    ours = Path(__file__).resolve().parents[2]
    file = import_module(name).__file__
    if file is None or Path(file).resolve().parents[1] != ours:
        raise GraphError(
            "STRANGER",
            f"expected {ours / name}, but `import {name}` found {file or 'a folder without code'}.",
            next_step=f"Install fieldgraph alone in an environment, or uninstall the other distribution of {name}.",
        )
    return str(Path(file).parent)


def java_version() -> str:
    """The Java that will run Neo4j."""
    ran = subprocess.run([java.java_executable(), "-version"], capture_output=True, text=True, check=True, timeout=30)
    return ran.stderr.splitlines()[0]


def check_jars(settings: Settings) -> str:
    """The jars of the embedded server, verified."""
    locked, directory = jars.read_lock(), jars.jar_directory(settings.cache)
    jars.verify(locked, directory)
    return f"{len(locked)} of Neo4j {jars.NEO4J_VERSION} verified in {directory}"


def check_web_jars(settings: Settings) -> str:
    """GraphiQL and React, verified."""
    locked, directory = webjars.locked(), webjars.directory(settings.cache)
    jars.verify(locked, directory)
    return f"{len(locked)} verified in {directory}"


async def check_server(settings: Settings) -> str:
    """The server and its migrations; an embedded one that is not running is left so."""
    if not settings.neo4j_uri and not server.find(settings):
        return "embedded, not running (`fieldgraph db start`)"
    async with Gateway.open(settings) as gateway:
        kernel = await gateway.read(
            "CALL dbms.components() YIELD name, versions, edition RETURN versions[0] AS version, edition LIMIT 1"
        )
        await runner.require_current(gateway)
        return f"{gateway.uri}, Neo4j {kernel[0]['version']} {kernel[0]['edition']}, migrations current"


async def check_scheduler(settings: Settings) -> str:
    """The Dask scheduler that is set, and who works for it."""
    if settings.scheduler is None:
        return "none; a run that asks for parallel tasks starts workers of its own"
    from resolvers.parallel.cluster import connected, workers_of  # Dask

    async with connected(settings) as client:
        found = await workers_of(client)
    has = sorted({f"{name} {amount:g}" for resources in found.values() for name, amount in resources.items()})
    return f"{settings.scheduler}, {len(found)} workers" + (f" with {', '.join(has)}" if has else "")


def check_store(settings: Settings) -> str:
    """The array store, or the nearest directory above that exists, can be written."""
    nearest = next(path for path in (settings.store, *settings.store.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise GraphError("STORE", f"{nearest} cannot be written.", next_step="Set FIELDGRAPH_STORE to a directory.")
    return str(settings.store)


def check_disk(settings: Settings) -> str:
    """Room for a graph and its arrays."""
    nearest = next(path for path in (settings.home, *settings.home.absolute().parents) if path.exists())
    free = shutil.disk_usage(nearest).free / 1e9
    if free < ENOUGH_DISK_GB:
        raise GraphError("DISK", f"{free:.1f} GB free at {nearest}, expected {ENOUGH_DISK_GB}.", next_step="Make room.")
    return f"{free:.0f} GB free at {nearest}"
