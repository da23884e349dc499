"""Which files of the store the graph names: asked before one is deleted, and once more when it is out of sight.

    segments/…h5    a Segment has its hash, or a snapshot says `…h5#k`: predicted ones have no Segment
    objects/…npy    a snapshot says it

Snapshots are found by the hash of their array, which is indexed: the frames of a segment's file are hashed, the first
before all others, since it settles most. A file that is not what its name says may be named by hashes that it does not
have any more: only then is all that was predicted walked through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from graph.queries import audit, garbage
from nvp.atlas.segment_file import content_digest, frame_digests
from nvp.atlas.store import ArrayStore
from nvp.errors import FieldError
from resolvers.services.context import Services


async def named(services: Services, uris: Iterable[str]) -> set[str]:
    """Those of these files of the store (uri without a frame) that any node names."""
    wanted = set(uris)
    objects = sorted(uri for uri in wanted if uri.endswith(".npy"))
    found = await garbage.objects_named(services.gateway, objects) if objects else set()
    for look in (_first, _whole):
        left = sorted(uri for uri in wanted - found if uri.endswith(".h5"))
        if left:
            found |= await _naming(services, {uri: await asyncio.to_thread(look, services.store, uri) for uri in left})
    return found


async def delete_unnamed(services: Services, uri: str) -> bool:
    """Delete a file of the store unless a node names it; whether it is gone.

    Out of sight first, then the question: a writer who records it later finds it gone and writes it again.
    """
    segment = uri.endswith(".h5")
    frames = await asyncio.to_thread(_whole, services.store, uri) if segment else ()
    aside = services.store.set_aside(uri)
    if aside is None:
        return False
    try:
        known = await (_naming(services, {uri: frames}) if segment else garbage.objects_named(services.gateway, [uri]))
    except BaseException:  # nobody knows: it stays
        services.store.put_back(aside, uri)
        raise
    if known:
        services.store.put_back(aside, uri)
    else:
        services.store.throw_away(aside)
    return not known


async def _naming(services: Services, segments: Mapping[str, tuple[str, ...] | None]) -> set[str]:
    """Those of these segments' files that a node names; by uri the hashes of frames, None where they are not told."""
    found = await audit.segments_named(services.gateway, {uri: frames or () for uri, frames in segments.items()})
    untold = {uri for uri, frames in segments.items() if frames is None} - found
    if untold:
        async for _, node in audit.files(services.gateway):
            found |= untold & {node.uri.partition("#")[0]}
    return found


def _first(store: ArrayStore, uri: str) -> tuple[str, ...]:
    """Hash of a segment's first frame; nothing where it cannot be read."""
    try:
        return (store.hash_of(f"{uri}#0"),)
    except FieldError:
        return ()


def _whole(store: ArrayStore, uri: str) -> tuple[str, ...] | None:
    """Hashes of all frames of a segment; None where the file is not what its name says."""
    try:
        series = store.read_segment(uri)
    except FieldError:
        return None
    hashed = frame_digests(series)
    return hashed.energy if content_digest(series, hashed) == store.path(uri).stem else None
