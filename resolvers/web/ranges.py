"""Bytes that never change, whole or in part (RFC 9110: ETag, If-None-Match, If-Range, one byte range)."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

FOREVER = "private, max-age=31536000, immutable"

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def unchanged(request: Request, tag: str) -> bool:
    """The client has this content already."""
    known = [item.strip().removeprefix("W/") for item in request.headers.get("if-none-match", "").split(",")]
    return f'"{tag}"' in known or "*" in known


def not_modified(tag: str) -> Response:
    """304 with what a cache needs to keep its copy."""
    return Response(status_code=304, headers={"ETag": f'"{tag}"', "Cache-Control": FOREVER})


def ranged(request: Request, content: bytes, *, tag: str, media_type: str) -> Response:
    """The content, or the range that was asked for; 416 where it has no such bytes."""
    headers = {"ETag": f'"{tag}"', "Accept-Ranges": "bytes", "Cache-Control": FOREVER}
    asked = request.headers.get("range")
    if asked is None or request.headers.get("if-range", f'"{tag}"') != f'"{tag}"':
        return Response(content, media_type=media_type, headers=headers)
    match = _RANGE.fullmatch(asked.strip())
    if match is None or match[0] == "bytes=-":  # several ranges or another unit: the whole is a valid answer
        return Response(content, media_type=media_type, headers=headers)
    size = len(content)
    if match[1]:
        start, stop = int(match[1]), min(int(match[2]) + 1 if match[2] else size, size)
    else:
        start, stop = max(size - int(match[2]), 0), size
    if start >= stop:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Response(content[start:stop], 206, media_type=media_type, headers=headers)
