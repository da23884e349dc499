"""Leaving a domain out: a network learns from the others, and is scored on one that it never saw.

Two runs as any others: a training on a split whose train and val parts are of the other domains and whose test part is
of the one left out, then an evaluation of its checkpoint. The network is told what all of these domains know
(`nvp.training.common_ground`). It is reported and held to no criterion.
"""

from __future__ import annotations

from graph.errors import GraphError
from graph.queries import splits, timeline
from graph.queries.runs import RunRow
from graph.queries.splits import SplitRow
from graph.queries.timeline import SequenceRow
from nvp.dynamics.domain import DOMAINS, domain
from nvp.training.common_ground import on_common_ground, teachers
from nvp.training.data import TrainingData
from resolvers.services.context import Services
from resolvers.services.loading import load
from resolvers.services.requests import TrainingRequest
from resolvers.services.splitting import split
from resolvers.services.submission import check_training, submit, training_config

NETWORKS = ("tiny", "small", "base")


async def submit_leave_out(services: Services, request: TrainingRequest) -> RunRow:
    """Queue the training of `request` on all domains but `request.domain`.

    Of each domain those sequences are taken that have the grid of the one left out. Raises GraphError or FieldError
    where there is nothing to learn from, or nothing to score.
    """
    settings = check_training(request)
    if request.model not in NETWORKS or request.domain is None:
        raise GraphError(
            "BAD_REQUEST",
            f"expected a domain to leave out and a network out of {', '.join(NETWORKS)}, got {request.domain!r} and "
            f"{request.model!r}.",
        )
    left_out = domain(request.domain)
    unseen = await timeline.sequences_of_domain(services.gateway, left_out.name)
    if not unseen:
        raise GraphError(
            "NO_SEQUENCES",
            f"expected sequences of domain {left_out.name!r}, got none.",
            next_step="Generate or ingest some.",
        )
    alike = {spec.name: await _like(services, spec.name, unseen[0]) for spec in DOMAINS.values()}
    known = teachers(left_out, [domain(name) for name, rows in alike.items() if rows])
    parts = [part for spec in known for part in split(alike[spec.name])[1] if part.role != "test"]
    parts += [part for part in split(alike[left_out.name])[1] if part.role == "test"]
    name = f"all but {left_out.name}: {', '.join(spec.name for spec in known)}"
    made = await splits.create_split(services.gateway, name=name, kind="sequence", gap=0, parts=parts)
    used = {part.sequence for part in parts}
    rows = [row for each in alike.values() for row in each if row.uid in used]
    config = training_config(request, settings, domain=left_out.name, split=made.uid)
    return await submit(
        services,
        kind="training",
        capability="batch",
        config=config | {"left_out": left_out.name},
        data=sorted(row.digest for row in rows),
        rng_seed=request.seed,
        inputs=[(made.uid, "split"), *((row.uid, "sequence") for row in rows)],
        force=request.force,
    )


async def common_ground(services: Services, parts: SplitRow, data: TrainingData) -> TrainingData:
    """What a training that leaves a domain out is told: a frame of the test part shows what that domain knows."""
    part = parts.of("test")[0]
    return on_common_ground(data, await load(services, part.sequence, part.first, part.first))


async def _like(services: Services, name: str, row: SequenceRow) -> list[SequenceRow]:
    """The domain's sequences on the grid of `row`."""
    rows = await timeline.sequences_of_domain(services.gateway, name, to_learn=True)
    return [one for one in rows if (one.height, one.width) == (row.height, row.width)]
