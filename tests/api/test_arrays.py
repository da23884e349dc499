"""Arrays come and go as bytes with a name that can be checked; images show them."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from nvp.atlas.canonical import canonical_bytes
from resolvers.web import arrays
from tests.api.conftest import World, data

pytestmark = pytest.mark.db


async def first_snapshot(client: httpx.AsyncClient, world: World) -> dict[str, Any]:
    """Addresses of a snapshot's arrays."""
    document = """query($uid: ID!) {
      snapshot(uid: $uid) { totalEnergy imageUrl array { url sha256 } context { array { url } } } }"""
    found: dict[str, Any] = (await data(client, document, uid=world.snapshots[0]))["snapshot"]
    return found


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def test_a_snapshots_arrays_can_be_had(operator: httpx.AsyncClient, world: World) -> None:
    found = await first_snapshot(operator, world)
    response = await operator.get(found["array"]["url"])
    assert digest(response.content) == found["array"]["sha256"]
    field = np.load(io.BytesIO(response.content))
    assert field.shape == (16, 16, 1)
    assert field.sum() == pytest.approx(found["totalEnergy"], rel=1e-6)
    velocity = np.load(io.BytesIO((await operator.get(found["context"]["array"]["url"])).content))
    assert velocity.shape == (16, 16, 2)


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=100-", 100, None),
        ("bytes=-16", -16, None),
        ("bytes=5-999999", 5, None),
        ("bytes=0-0", 0, 1),
    ],
)
async def test_a_range_is_a_part(
    operator: httpx.AsyncClient, world: World, asked: str, start: int, stop: int | None
) -> None:
    url = (await first_snapshot(operator, world))["array"]["url"]
    whole = (await operator.get(url)).content
    part = await operator.get(url, headers={"Range": asked})
    assert part.status_code == 206
    assert part.content == whole[start:stop]
    first = start if start >= 0 else len(whole) + start
    assert part.headers["content-range"] == f"bytes {first}-{first + len(part.content) - 1}/{len(whole)}"


@pytest.mark.parametrize("asked", ["bytes=0-1,3-4", "chars=0-1", "bytes=-", f"bytes={'9' * 5000}-", "bytes=a-b"])
async def test_a_range_that_is_none_gets_the_whole(operator: httpx.AsyncClient, world: World, asked: str) -> None:
    url = (await first_snapshot(operator, world))["array"]["url"]
    whole = (await operator.get(url)).content
    response = await operator.get(url, headers={"Range": asked})
    assert (response.status_code, response.content) == (200, whole)


@pytest.mark.parametrize("asked", ["bytes=999999-", "bytes=9-3", "bytes=-0"])
async def test_a_range_beyond_the_end_is_refused(operator: httpx.AsyncClient, world: World, asked: str) -> None:
    url = (await first_snapshot(operator, world))["array"]["url"]
    assert (await operator.get(url, headers={"Range": asked})).status_code == 416


async def test_what_a_client_has_is_not_sent_again(operator: httpx.AsyncClient, world: World) -> None:
    url = (await first_snapshot(operator, world))["array"]["url"]
    tag = (await operator.get(url)).headers["etag"]
    again = await operator.get(url, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    stale = await operator.get(url, headers={"Range": "bytes=0-3", "If-Range": '"other"'})
    assert stale.status_code == 200


async def test_an_upload_comes_back_as_it_was(operator: httpx.AsyncClient, world: World) -> None:
    content = canonical_bytes(np.random.default_rng(7).random((8, 24, 1)))
    url = f"/arrays/{digest(content)}"
    assert (await operator.get(url)).status_code == 404
    assert (await operator.put(url, content=content)).status_code == 201
    assert (await operator.get(url)).content == content
    assert (await operator.put(url, content=content)).json()["created"] is False


def npy(array: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


UNUSABLE = {
    "float64": npy(np.zeros((8, 8))),
    "big-endian": npy(np.zeros((8, 8), ">f4")),
    "Fortran order": npy(np.asfortranarray(np.arange(64, dtype=np.float32).reshape(8, 8))),
    "pickle": npy(np.array([None], object)),
    "cut off": npy(np.zeros((8, 8), np.float32))[:-4],
    "trailing bytes": npy(np.zeros((8, 8), np.float32)) + b"x",
    "a header that promises more": npy(np.zeros((8, 8), np.float32)).replace(b"(8, 8)", b"(8,99)"),
    "another padding": npy(np.zeros((8, 8), np.float32)).replace(b"(8, 8), }", b"(8,8), } "),
    "a header that is no Python": npy(np.zeros((8, 8), np.float32))[:10] + b"(" * 117 + b"\n" + bytes(256),
    "no array": b"hello",
    "nothing": b"",
}


@pytest.mark.parametrize("name", UNUSABLE)
async def test_what_is_no_canonical_array_is_refused(operator: httpx.AsyncClient, world: World, name: str) -> None:
    content, kept = UNUSABLE[name], {*world.services.store.root.glob("objects/*/*")}
    response = await operator.put(f"/arrays/{digest(content)}", content=content)
    assert (response.status_code, response.json()["code"]) == (400, "BAD_ARRAY")
    assert (await operator.get(f"/arrays/{digest(content)}")).status_code == 404
    assert {*world.services.store.root.glob("objects/*/*")} == kept


async def test_other_bytes_than_announced_are_refused(operator: httpx.AsyncClient, world: World) -> None:
    content = canonical_bytes(np.ones((8, 8, 1)))
    response = await operator.put("/arrays/" + "0" * 64, content=content)
    assert (response.status_code, response.json()["code"]) == (422, "HASH_MISMATCH")
    assert not list((world.services.store.root / "tmp").glob("*.upload"))


async def test_an_upload_is_limited(operator: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "MAX_BYTES", 100)
    content = canonical_bytes(np.ones((8, 8, 1)) * 3)

    async def chunks() -> Any:
        for start in range(0, len(content), 50):
            yield content[start : start + 50]

    for body in (content, chunks()):
        response = await operator.put(f"/arrays/{digest(content)}", content=body)
        assert (response.status_code, response.json()["code"]) == (413, "TOO_LARGE")


@pytest.mark.parametrize("name", ["x", "A" * 64, "0" * 63, "..%2f..%2fetc"])
async def test_only_a_hash_names_an_array(operator: httpx.AsyncClient, name: str) -> None:
    assert (await operator.get(f"/arrays/{name}")).status_code in (400, 404)


async def test_a_heat_map_shows_the_field(operator: httpx.AsyncClient, world: World) -> None:
    found = await first_snapshot(operator, world)
    response = await operator.get(found["imageUrl"], params={"colours": "gray"})
    assert response.headers["content-type"] == "image/png"
    image = np.asarray(Image.open(io.BytesIO(response.content)).convert("L"), float)
    assert image.shape == (256, 256)
    field = np.load(io.BytesIO((await operator.get(found["array"]["url"])).content))[..., 0]
    expected = (field - field.min()) / (field.max() - field.min()) * 255
    np.testing.assert_allclose(image[8::16, 8::16], expected, atol=2.0)

    tag = response.headers["etag"]
    same = await operator.get(found["imageUrl"], params={"colours": "gray"}, headers={"If-None-Match": tag})
    assert same.status_code == 304
    bright = await operator.get(found["imageUrl"], params={"colours": "gray", "low": "-2", "high": "-1"})
    assert np.asarray(Image.open(io.BytesIO(bright.content)).convert("L")).min() == 255


@pytest.mark.parametrize("query", ["colours=none", "low=x", "high=inf"])
async def test_a_strange_picture_is_refused(operator: httpx.AsyncClient, world: World, query: str) -> None:
    assert (await operator.get(f"/snapshots/{world.snapshots[0]}.png?{query}")).status_code == 400


async def test_no_picture_of_nothing(operator: httpx.AsyncClient) -> None:
    assert (await operator.get("/snapshots/none.png")).status_code == 404
