"""GraphiQL comes from our own files and from the locked jars, and from nowhere else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest

from graph.embedded.jars import Jar
from graph.errors import Outage
from graph.settings import Settings
from resolvers.web import pages, webjars

pytestmark = pytest.mark.db


@pytest.fixture
def jars(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Small jars in the place and of the layout of the real ones, locked by their own hashes."""
    folder = tmp_path / "webjars"
    folder.mkdir()
    locked = []
    for jar in webjars.locked():
        _, artifact, version = jar.coordinate.split(":")
        path = folder / jar.filename
        with ZipFile(path, "w") as archive:
            for name, (owner, file, _) in webjars.ASSETS.items():
                if owner == artifact:
                    archive.writestr(f"META-INF/resources/webjars/{artifact}/{version}/{file}", f"/* {name} */")
        locked.append(Jar(coordinate=jar.coordinate, sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
    monkeypatch.setattr(webjars, "locked", lambda: tuple(locked))
    monkeypatch.setattr(webjars, "directory", lambda cache: folder)
    pages._asset.cache_clear()
    yield folder
    pages._asset.cache_clear()


async def test_the_page_loads_only_what_we_serve(anonymous: httpx.AsyncClient, jars: Path) -> None:
    home = await anonymous.get("/", headers={"Accept": "text/html"})
    assert home.headers["location"] == "/graphql"
    page = (await anonymous.get("/graphql", headers={"Accept": "text/html"})).text
    assert "://" not in page
    assert not re.search(r"<script(?![^>]*src=)|style=|\son\w+=", page), "the policy forbids inline script and style"
    addresses = re.findall(r'<(?:script|link)[^>]*(?:src|href)="([^"]+)"', page)
    assert len(addresses) == 6
    for address in addresses:
        response = await anonymous.get(address)
        assert response.status_code == 200, address
        wanted = "text/css" if address.endswith(".css") else "text/javascript"
        assert response.headers["content-type"].startswith(wanted)
        again = await anonymous.get(address, headers={"If-None-Match": response.headers["etag"]})
        assert again.status_code == 304


@pytest.mark.parametrize("name", ["nothing.js", "graphiql.html", "..%2fpages.py"])
async def test_nothing_else_is_served(anonymous: httpx.AsyncClient, name: str) -> None:
    assert (await anonymous.get(f"/static/{name}")).status_code == 404


async def test_a_changed_jar_is_not_served(anonymous: httpx.AsyncClient, jars: Path) -> None:
    path = _jar(jars, "graphiql")
    path.write_bytes(path.read_bytes() + b"x")
    response = await anonymous.get("/static/graphiql.js")
    assert (response.status_code, response.json()["code"]) == (503, "JAR_CORRUPTED")


async def test_a_missing_jar_says_how_to_get_it(anonymous: httpx.AsyncClient, jars: Path) -> None:
    _jar(jars, "react-dom").unlink()
    response = await anonymous.get("/static/react-dom.js")
    assert (response.status_code, response.json()["code"]) == (503, "JARS_MISSING")
    assert "fieldgraph db fetch" in response.json()["message"]
    with pytest.raises(Outage):
        webjars.asset(Path("nowhere"), "react-dom.js")


def _jar(folder: Path, artifact: str) -> Path:
    (path,) = folder.glob(f"{artifact}-[0-9]*.jar")
    return path
