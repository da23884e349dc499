"""Repair: what an audit found and can be had again from what is there, without deleting anything that counts.

Snapshots come back from their segment's file, links and counts from the snapshots, statistics from the arrays. Orphan
files are deleted once they are a day old (or at once where `now` says so), what killed writers left behind always.
A file that is missing, damaged or changed stays a defect: only a backup has it; of a checkpoint, a training as well.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress

from graph import identity
from graph.errors import GraphError
from graph.queries import audit
from graph.queries.audit import FrameFacts, SequenceFacts
from graph.queries.frames import Origin
from graph.queries.sequences import NewSequence
from nvp.atlas.catalog import Defect
from nvp.atlas.statistics import frame_statistics
from nvp.dynamics.domain import domain as registered_domain
from nvp.errors import FieldError
from resolvers.services import belonging
from resolvers.services.audit import DAY_SECONDS, Findings
from resolvers.services.context import Services
from resolvers.services.ingest import restore_segment
from resolvers.services.naming import delete_unnamed

OF_SEQUENCE = ("missing_frame", "missing_next", "missing_link", "missing_statistic", "wrong_count", "broken_chain")


async def repair(services: Services, findings: Findings, *, now: bool = False) -> list[Defect]:
    """Mend what can be mended; what was done, each as the defect with what became of it.

    Raises GraphError where the store belongs to another graph.
    """
    await belonging.require_own(services)
    done: list[Defect] = []
    if swept := await asyncio.to_thread(services.store.sweep_temporary):
        done.append(Defect(kind="temporary", uid="", uri="tmp", detail=f"deleted {swept} unfinished files"))
    for defect in findings.defects:
        wanted = defect.kind == "orphan_file" and (now or _old(services, defect.uri))
        if wanted and await _delete(services, defect.uri):
            done.append(_mended(defect, "deleted"))
    graph = [defect for defect in findings.defects if defect.kind in OF_SEQUENCE]
    if graph:
        unreadable = {d.uri.partition("#")[0] for d in findings.defects if d.kind.endswith("_file")}
        async for facts in audit.sequences(services.gateway):
            done += await _sequence(services, facts, graph, unreadable)
    return done


async def _delete(services: Services, uri: str) -> bool:
    """Delete an orphan, unless somebody took it up since it was found."""
    if uri.endswith(".npy") and not _old(services, uri):
        return False
    return await delete_unnamed(services, uri)


async def _sequence(
    services: Services, facts: SequenceFacts, defects: Sequence[Defect], unreadable: set[str]
) -> list[Defect]:
    done: list[Defect] = []
    mine = {segment["uri"] for segment in facts.segments}
    wanted = [d for d in defects if d.uid == facts.uid or d.uri.partition("#")[0] in mine]
    if not wanted:
        return done
    for uri in sorted({d.uri.partition("#")[0] for d in wanted if d.kind == "missing_frame"} - unreadable):
        with suppress(FieldError, GraphError):  # what cannot be restored stays a defect
            await restore_segment(services, _sequence_of(facts), uri, label=_origin(facts))
            lost = [d for d in wanted if d.kind == "missing_frame" and d.uri.startswith(f"{uri}#")]
            done += [_mended(d, "restored from its segment") for d in lost]
    number, first, last = 0, 0, 0
    before: FrameFacts | None = None
    async for page in audit.frames(services.gateway, facts.uid):
        first = page[0].t_index if before is None else first
        pairs, owners, thin = [], [], []
        for frame in page:
            if before is not None and frame.t_index == before.t_index + 1 and before.next is None:
                pairs.append([before.uid, frame.uid])
            if not frame.owned:
                owners.append(frame.uid)
            if not frame.complete and frame.uri.partition("#")[0] not in unreadable:
                thin.append(frame)
            before = frame
        number, last = number + len(page), page[-1].t_index
        await audit.mend_links(services.gateway, facts.uid, pairs, owners, dt=facts.dt)
        if thin:
            signed = registered_domain(facts.domain).signed
            rows = [await asyncio.to_thread(_statistics, services, frame, signed) for frame in thin]
            await audit.mend_statistics(services.gateway, [row for row in rows if row is not None])
    digest = identity.chain([segment["sha256"] for segment in facts.segments])
    await audit.mend_sequence(
        services.gateway, facts.uid, length=number, first=first, last=last, digest=digest, known=facts.digest
    )
    return done + [_mended(d, "written again") for d in wanted if d.kind not in ("missing_frame", *_FILES)]


_FILES = ("missing_file", "damaged_file", "changed_file")


def _statistics(services: Services, frame: FrameFacts, signed: bool) -> dict[str, object] | None:
    try:
        values = services.store.read_array(frame.uri)
    except FieldError:
        return None
    found = frame_statistics(values[None], signed=signed)
    numbers = ("total_energy", "mean", "variance", "minimum", "maximum", "gradient_energy")
    properties: dict[str, object] = {name: float(getattr(found, name)[0]) for name in numbers}
    properties |= {"regime": str(found.regime[0]), "descriptor": found.descriptor[0].tolist()}
    if found.entropy is not None:
        properties["entropy"] = float(found.entropy[0])
    return {"uid": frame.uid, "properties": properties}


def _sequence_of(facts: SequenceFacts) -> NewSequence:
    return NewSequence(
        domain=facts.domain,
        source=facts.source,
        recipe=json.loads(facts.recipe_json),
        height=facts.height,
        width=facts.width,
        dt=facts.dt,
        generator=facts.generator,
        rng_seed=facts.rng_seed,
    )


def _origin(facts: SequenceFacts) -> Origin:
    return "Observed" if facts.origin == "Observed" else "Simulated"


def _old(services: Services, uri: str) -> bool:
    try:
        return services.store.path(uri).stat().st_mtime < time.time() - DAY_SECONDS
    except FileNotFoundError:
        return False


def _mended(defect: Defect, how: str) -> Defect:
    return Defect(kind=defect.kind, uid=defect.uid, uri=defect.uri, detail=f"{how} ({defect.detail})")
