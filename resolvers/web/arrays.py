"""Arrays by the hash of their canonical .npy bytes: GET with Range and ETag, PUT with the hash verified.

An upload is streamed to a temporary file and enters the store only where its bytes are exactly what the hash says and
exactly what `numpy.save` writes for little-endian float32 in C order. Nothing refers to it until a mutation does.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from graph.errors import GraphError, NotFound
from graph.queries import arrays
from nvp.atlas.canonical import canonical_bytes, digest
from nvp.atlas.store import ArrayStore
from nvp.errors import FieldError
from resolvers.services.context import Services
from resolvers.web.problem import problem
from resolvers.web.ranges import not_modified, ranged, unchanged

MAX_BYTES = 64 << 20
"""Of one array: a 4096² field."""
MEDIA_TYPE = "application/x-npy"

_SHA256 = re.compile(r"[0-9a-f]{64}")


async def array(request: Request) -> Response:
    """GET /arrays/{sha256}."""
    sha256 = _hash(request)
    if unchanged(request, sha256):
        return not_modified(sha256)
    content = await _content(request.state.services, sha256)
    response = ranged(request, content, tag=sha256, media_type=MEDIA_TYPE)
    request.state.metrics.array("out", len(response.body))
    return response


async def upload(request: Request) -> Response:
    """PUT /arrays/{sha256}: 201, or 200 where the store has it already."""
    sha256, store = _hash(request), request.state.services.store
    if int(request.headers.get("content-length") or 0) > MAX_BYTES:
        return problem(413, _too_large())
    if _object(store, sha256).is_file():
        return JSONResponse({"sha256": sha256, "created": False})
    folder = store.root / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    state, size = hashlib.sha256(), 0
    with NamedTemporaryFile(dir=folder, suffix=".upload") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_BYTES:
                return problem(413, _too_large())
            state.update(chunk)
            await asyncio.to_thread(file.write, chunk)
        if (found := state.hexdigest()) != sha256:
            return problem(422, _mismatch(sha256, found))
        file.flush()
        await asyncio.to_thread(_keep, store, Path(file.name), size, sha256)
    request.state.metrics.array("in", size)
    return JSONResponse({"sha256": sha256, "created": True}, 201)


async def _content(services: Services, sha256: str) -> bytes:
    path = _object(services.store, sha256)
    if path.is_file():
        return await asyncio.to_thread(path.read_bytes)
    uri = await arrays.uri_of(services.gateway, sha256)
    if uri is None:
        raise NotFound("array", sha256, next_step="Take `array { sha256 }` of a snapshot.")
    return await asyncio.to_thread(_read, services.store, uri, sha256)


def _read(store: ArrayStore, uri: str, sha256: str) -> bytes:
    content = canonical_bytes(store.read_array(uri))
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise _mismatch(sha256, found)
    return content


def _keep(store: ArrayStore, path: Path, size: int, sha256: str) -> None:
    """Put a complete upload with this hash into the store; raises FieldError where it is no canonical array."""
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
            # compared before anything is allocated: a header may promise more than the file has
            if version != (1, 0) or fortran or dtype.str != "<f4" or file.tell() + 4 * math.prod(shape) != size:
                raise ValueError(f"{dtype} of shape {shape}")
            content = np.frombuffer(file.read(), dtype="<f4").reshape(shape)
    except Exception as error:
        # NumPy reads headers by Python's own parsers, which raise errors of their own
        raise FieldError(
            "BAD_ARRAY",
            f"expected .npy bytes of a little-endian float32 array in C order, got {str(error)[:200]}.",
            next_step="Write it by `numpy.save(file, array.astype('<f4', order='C'))`.",
        ) from error
    if digest(content) != sha256:
        raise FieldError("BAD_ARRAY", "expected the header that `numpy.save` writes.", next_step="Write it by that.")
    store.write_array(content)


def _hash(request: Request) -> str:
    sha256: str = request.path_params["sha256"]
    if not _SHA256.fullmatch(sha256):
        raise GraphError("BAD_HASH", f"expected a sha256 in lower-case hexadecimal, got {sha256[:80]!r}.")
    return sha256


def _object(store: ArrayStore, sha256: str) -> Path:
    return store.path(f"objects/{sha256[:2]}/{sha256}.npy")


def _mismatch(expected: str, got: str) -> FieldError:
    return FieldError(
        "HASH_MISMATCH", f"expected bytes with sha256 {expected}, got {got}.", next_step="Hash the bytes that you send."
    )


def _too_large() -> FieldError:
    return FieldError(
        "TOO_LARGE", f"expected at most {MAX_BYTES} bytes.", next_step="Upload one frame at a time, or ingest a file."
    )
