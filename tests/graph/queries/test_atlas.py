"""All frames of a sequence come in order, page by page."""

from __future__ import annotations

import pytest

from graph.gateway import Gateway
from graph.queries import atlas, sequences
from tests.graph.queries import builders

pytestmark = pytest.mark.db


async def test_frames_come_in_pages(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atlas, "PAGE", 4)
    await sequences.upsert_domain(gateway, builders.DOMAIN)
    await builders.append(gateway, 0, 9)
    await builders.append(gateway, 0, 3, source="other")
    (row,) = await gateway.read("MATCH (s:Sequence) WHERE s.length > 3 RETURN s.uid AS uid")
    found = [one async for one in atlas.maps(gateway, row["uid"])]
    assert [one.t_index for one in found] == list(range(len(found)))
    assert len(found) == 9
    assert [one async for one in atlas.maps(gateway, "nobody")] == []
