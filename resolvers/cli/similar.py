"""`fieldgraph similar`: snapshots that look like one."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from graph.queries import similarity
from resolvers.cli.follow import opened
from resolvers.cli.output import JsonOption, emit, run


class Kind(StrEnum):
    """Where a snapshot comes from."""

    OBSERVED = "Observed"
    SIMULATED = "Simulated"
    PREDICTED = "Predicted"


def command(
    uid: Annotated[str, typer.Argument(metavar="UID", help="A snapshot.", show_default=False)],
    first: Annotated[int, typer.Option(min=1, max=similarity.MOST, help="How many.")] = 10,
    kind: Annotated[
        Kind | None, typer.Option(case_sensitive=False, help="Default: observed and simulated ones.")
    ] = None,
    domain: Annotated[str | None, typer.Option(help="Only of this domain.")] = None,
    other_sequences: Annotated[
        bool, typer.Option("--other-sequences", help="Leave out the snapshot's own sequence.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the snapshots whose descriptors are nearest; score 1 is the same shape, 0.5 has nothing in common.

    Example: fieldgraph similar 0b3f… --other-sequences --first 5
    """
    hits = run(_similar(uid, first, kind, domain, other_sequences))
    rows = [
        f"{hit['score']:.4f}  {hit['uid']}  {hit['domain']} t_index {hit['t_index']} of sequence {hit['sequence']}"
        for hit in hits
    ]
    emit({"uid": uid, "n": len(hits), "hits": hits}, as_json=as_json, text="\n".join(rows) or "nothing similar")


async def _similar(
    uid: str, first: int, kind: Kind | None, domain: str | None, other_sequences: bool
) -> list[dict[str, Any]]:
    async with opened() as services:
        found = await similarity.similar(
            services.gateway,
            uid,
            first=first,
            kind=kind.value if kind else None,
            domain=domain,
            other_sequences=other_sequences,
        )
    shown = ("uid", "kind", "t_index", "t", "valid_time", "regime", "sha256")
    return [
        {
            "score": hit.score,
            "domain": hit.snapshot["domain_name"],
            "sequence": hit.snapshot["sequence_uid"],
            **{name: hit.snapshot[name] for name in shown},
        }
        for hit in found
    ]
