"""Similar snapshots through the API: hits with their scores, or why there are none."""

from __future__ import annotations

import httpx
import pytest

from tests.api.conftest import FRAMES, World, ask, data

pytestmark = pytest.mark.db

SIMILAR = """
query Similar($uid: ID!, $first: Int, $kind: SnapshotKind, $domain: String, $otherSequences: Boolean) {
  found: similarSnapshots(uid: $uid, first: $first, kind: $kind, domain: $domain, otherSequences: $otherSequences) {
    __typename
    ... on SimilarSnapshots { hits { score snapshot { uid kind tIndex regime sequence { uid } domain { name } } } }
    ... on Problem { code message nextStep }
  }
}
"""


async def test_hits_come_best_first_without_the_snapshot_itself(operator: httpx.AsyncClient, world: World) -> None:
    found = (await data(operator, SIMILAR, uid=world.snapshots[9], first=8, otherSequences=False))["found"]
    assert found["__typename"] == "SimilarSnapshots"
    scores = [hit["score"] for hit in found["hits"]]
    assert len(scores) == 8
    assert scores == sorted(scores, reverse=True)
    # a field that only moves keeps its shape
    assert scores[0] == pytest.approx(1.0, abs=1e-4)
    assert {hit["snapshot"]["sequence"]["uid"] for hit in found["hits"]} == {world.sequences[0]}
    assert world.snapshots[9] not in {hit["snapshot"]["uid"] for hit in found["hits"]}


async def test_a_search_can_be_narrowed(operator: httpx.AsyncClient, world: World) -> None:
    asked = {"uid": world.snapshots[9], "first": 200}
    whole = (await data(operator, SIMILAR, **asked, otherSequences=False))["found"]["hits"]
    assert len(whole) == 2 * FRAMES - 1
    apart = (await data(operator, SIMILAR, **asked, otherSequences=True))["found"]["hits"]
    assert {hit["snapshot"]["sequence"]["uid"] for hit in apart} == {world.sequences[1]}
    assert len(apart) == FRAMES
    predicted = (await data(operator, SIMILAR, **asked, kind="PREDICTED", otherSequences=False))["found"]["hits"]
    assert {hit["snapshot"]["kind"] for hit in predicted} == {"PREDICTED"}
    elsewhere = await data(operator, SIMILAR, **asked, domain="surface_temperature", otherSequences=False)
    assert elsewhere["found"]["hits"] == []
    # more than a page holds is cut down to it
    assert len((await data(operator, SIMILAR, uid=asked["uid"], first=5000))["found"]["hits"]) == len(whole)


async def test_what_cannot_be_answered_is_a_member_of_the_union(operator: httpx.AsyncClient, world: World) -> None:
    missing = (await data(operator, SIMILAR, uid="none"))["found"]
    assert (missing["__typename"], missing["code"]) == ("NotFound", "NOT_FOUND")
    none = (await data(operator, SIMILAR, uid=world.snapshots[0], first=0))["found"]
    assert (none["__typename"], none["code"]) == ("InvalidInput", "BAD_REQUEST")
    assert (await ask(operator, SIMILAR))["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
