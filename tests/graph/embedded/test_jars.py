"""Jars are what the lock says, come whole or not at all, and only when asked for."""

from __future__ import annotations

import functools
import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from graph.embedded import jars
from graph.embedded.jars import Jar
from graph.errors import Outage

CONTENT = {"org.example:alpha:1.0": b"alpha", "org.example:beta:2.0:linux": b"beta" * 1000}
LOCKED = tuple(Jar(coordinate=name, sha256=hashlib.sha256(data).hexdigest()) for name, data in CONTENT.items())


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Maven repository of our own, over HTTP, that jgo's configuration names as the central one."""
    root = tmp_path / "repository"
    for jar, data in zip(LOCKED, CONTENT.values(), strict=True):
        group, artifact, version, *_ = jar.coordinate.split(":")
        path = root / group.replace(".", "/") / artifact / version / jar.filename
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Silent, directory=str(root))) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        configuration = tmp_path / "jgo.conf"
        configuration.write_text(f"[repositories]\ncentral = http://127.0.0.1:{served.server_port}\n")
        monkeypatch.setenv("JGO_CONFIG_FILE", str(configuration))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield root
        served.shutdown()


def test_lock_names_every_jar_once_and_no_address() -> None:
    locked = jars.read_lock()
    assert len(locked) > 200
    assert len({jar.filename for jar in locked}) == len(locked)
    assert all(re.fullmatch(r"[\w.-]+(:[\w.-]+){2,3}", jar.coordinate) for jar in locked)
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in locked)
    assert "://" not in jars.LOCK_FILE.read_text("utf-8")
    for wanted in (f"org.neo4j:neo4j:{jars.NEO4J_VERSION}", "org.neo4j.client:neo4j-browser:5.24.0"):
        assert wanted in {jar.coordinate for jar in locked}


def test_fetch_brings_what_is_missing_and_tells_of_it(repository: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    directory = tmp_path / "cache/jars"
    assert jars.fetch(LOCKED, directory, arrived=lambda jar, size: seen.append((jar.coordinate, size))) == 2
    jars.verify(LOCKED, directory)
    assert sorted(seen) == [("org.example:alpha:1.0", 5), ("org.example:beta:2.0:linux", 4000)]
    assert jars.fetch(LOCKED, directory) == 0
    # a broken jar is fetched again, the whole one is not
    (directory / LOCKED[0].filename).write_bytes(b"broken")
    assert jars.fetch(LOCKED, directory) == 1
    jars.verify(LOCKED, directory)
    assert sorted(path.name for path in directory.iterdir()) == sorted(jar.filename for jar in LOCKED)


def test_jar_that_differs_on_the_network_is_not_kept(repository: Path, tmp_path: Path) -> None:
    (repository / "org/example/alpha/1.0/alpha-1.0.jar").write_bytes(b"tampered")
    with pytest.raises(Outage, match=r"org\.example:alpha:1\.0: expected sha256 .* Check the proxy") as raised:
        jars.fetch(LOCKED[:1], tmp_path / "jars")
    assert raised.value.code == "JAR_CORRUPTED"
    assert list((tmp_path / "jars").iterdir()) == []


def test_without_network_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = tmp_path / "jgo.conf"
    configuration.write_text("[repositories]\ncentral = http://127.0.0.1:9\n")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(configuration))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(Outage, match=r"cannot download org\.example:alpha:1\.0 .*`fieldgraph db fetch`") as raised:
        jars.fetch(LOCKED[:1], tmp_path / "jars")
    assert raised.value.code == "OFFLINE"
    assert raised.value.exit_code == 3
    assert "\n" not in str(raised.value)
    assert "://" not in str(raised.value)


def test_corrupted_jar_is_named(tmp_path: Path) -> None:
    for jar, data in zip(LOCKED, CONTENT.values(), strict=True):
        (tmp_path / jar.filename).write_bytes(data)
    jars.verify(LOCKED, tmp_path)
    (tmp_path / LOCKED[1].filename).write_bytes(b"beta")
    with pytest.raises(Outage, match=r"beta-2\.0-linux\.jar: expected sha256 .* Delete this file") as raised:
        jars.verify(LOCKED, tmp_path)
    assert raised.value.code == "JAR_CORRUPTED"


def test_missing_jars_are_counted(tmp_path: Path) -> None:
    (tmp_path / LOCKED[0].filename).write_bytes(b"alpha")
    with pytest.raises(Outage, match=r"expected 2 jars .* 1 are missing\. Run `fieldgraph db fetch`"):
        jars.verify(LOCKED, tmp_path)
