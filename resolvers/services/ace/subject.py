"""What is under test: the checkpoint that a claim speaks of, or on whose data a baseline is to be tested."""

from __future__ import annotations

from graph.errors import GraphError
from graph.gateway import Gateway
from graph.queries import training
from graph.queries.newest import newest_checkpoint
from graph.queries.training import CheckpointRow
from resolvers.ace.claims import SIZES, Claim


async def subject(gateway: Gateway, claim: Claim) -> CheckpointRow:
    """The checkpoint that the claim names, else the newest of its domain (and size) that validated best.

    A baseline learns from the newest checkpoint's split and is tested where that one is. Raises NotFound, and
    GraphError where the named checkpoint is of another domain.
    """
    if claim.model is not None and claim.model.startswith("checkpoint:"):
        found = await training.checkpoint(gateway, claim.model.removeprefix("checkpoint:"))
        if found.model.domain != claim.domain:
            raise GraphError(
                "MISMATCH",
                f"expected a checkpoint of {claim.domain}, got one of {found.model.domain}.",
                next_step="Say the claim of the domain that it was trained for.",
            )
        return found
    size = claim.model if claim.model in SIZES else None
    return await training.checkpoint(gateway, await newest_checkpoint(gateway, claim.domain, size))
