"""What an operation may cost, and how failures look from outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import httpx
import pytest
from strawberry.extensions.validation_cache import _get_validate_cache

from graph.errors import GraphError, Outage
from graph.gateway import Gateway
from resolvers.graphql import limits
from tests.api.conftest import BASE, World, ask, data

pytestmark = pytest.mark.db


def code(answer: dict[str, Any]) -> str:
    """The stable code of the first error."""
    found: str = answer["errors"][0]["extensions"]["code"]
    return found


def nested(depth: int) -> str:
    """`next` within `next`, that deep."""
    return '{ snapshot(uid: "none") ' + "{ next " * depth + "{ uid }" + " }" * depth + " }"


async def test_depth_is_limited(operator: httpx.AsyncClient) -> None:
    await data(operator, nested(limits.MAX_DEPTH - 2))
    assert code(await ask(operator, nested(limits.MAX_DEPTH))) == "BAD_REQUEST"


async def test_aliases_are_limited(operator: httpx.AsyncClient) -> None:
    def aliased(n: int) -> str:
        return "{ " + " ".join(f'a{k}: domain(name: "none") {{ name }}' for k in range(n)) + " }"

    await data(operator, aliased(limits.MAX_ALIASES))
    assert code(await ask(operator, aliased(limits.MAX_ALIASES + 1))) == "BAD_REQUEST"


async def test_tokens_are_limited(operator: httpx.AsyncClient) -> None:
    assert code(await ask(operator, "{ " + "__typename " * limits.MAX_TOKENS + "}")) == "BAD_REQUEST"


async def test_a_body_is_limited(operator: httpx.AsyncClient) -> None:
    response = await operator.post("/graphql", json={"query": "{ __typename }", "variables": {"x": "x" * (1 << 20)}})
    assert response.status_code == 413


@pytest.mark.parametrize("content", ["5", "null", '"{ __typename }"', "true", "[" * 100_000, "{", "[]", "[1]"])
async def test_json_that_is_no_request_is_refused(operator: httpx.AsyncClient, content: str) -> None:
    response = await operator.post("/graphql", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 400


async def test_documents_are_validated_once(operator: httpx.AsyncClient) -> None:
    document = "query Twice { domains { nodes { name title } } }"
    await data(operator, document)
    cache: Any = _get_validate_cache(limits.CACHED_DOCUMENTS)
    before = cache.cache_info()
    await data(operator, document)
    after = cache.cache_info()
    assert (after.hits, after.misses) == (before.hits + 1, before.misses)


@pytest.mark.parametrize("document", ["{", "{ nothing }", "query($x: Int!) { domains(first: $x) { totalCount } }"])
async def test_a_bad_document_is_the_senders(operator: httpx.AsyncClient, document: str) -> None:
    assert code(await ask(operator, document)) == "BAD_REQUEST"


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> Iterator[None]:
    """Let every read fail."""

    async def read(self: Gateway, query: LiteralString, /, **parameters: Any) -> list[dict[str, Any]]:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Gateway, "read", read)
        yield


async def test_a_bug_is_told_by_number_only(
    operator: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with failing(monkeypatch, ZeroDivisionError("password=hunter2")):
        answer = await ask(operator, "{ domains { nodes { name } } }")
    assert code(answer) == "INTERNAL"
    assert "hunter2" not in str(answer)
    reference = answer["errors"][0]["message"].split()[2].rstrip(";")
    assert reference in caplog.text
    assert "hunter2" in caplog.text


async def test_an_outage_is_told_as_one(
    operator: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage = Outage("NEO4J_UNAVAILABLE", "Neo4j does not answer.", next_step="Start it.")
    with failing(monkeypatch, outage):
        query = await ask(operator, "{ domains { nodes { name } } }")
        mutation = await ask(operator, 'mutation { train(input: {domain: "fluid_dynamics"}) { __typename } }')
        ready = await operator.get("/readyz")
        array = await operator.get("/arrays/" + "0" * 64)
    for answer in (query, mutation):
        assert answer["errors"][0]["extensions"] == {
            "code": "OUTAGE",
            "cause": "NEO4J_UNAVAILABLE",
            "nextStep": "Start it.",
        }
    assert ready.status_code == array.status_code == 503
    assert array.json()["code"] == "NEO4J_UNAVAILABLE"
    assert (await operator.get("/readyz")).status_code == 200


async def test_a_slow_operation_ends(
    operator: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OPERATION_SECONDS", 0.0)
    assert code(await ask(operator, "{ domains { nodes { name } } }")) == "TIMEOUT"


async def test_neo4j_ends_a_slow_read_itself(world: World) -> None:
    shared = world.services.gateway
    gateway = Gateway(shared.driver, uri=shared.uri, database=shared.database)
    gateway.read_seconds = 0.2
    with pytest.raises(GraphError, match="time limit") as ended:
        await gateway.read("UNWIND range(1, 1000000000) AS x WITH x WHERE x % 7 = 8 RETURN count(x) AS n")
    assert ended.value.code == "TIMEOUT"


async def test_figures_count_operations(operator: httpx.AsyncClient) -> None:
    await data(operator, "{ __typename }")
    text = (await operator.get("/metrics")).text
    assert 'fieldgraph_graphql_seconds_count{outcome="ok",type="query"}' in text
    assert "fieldgraph_progress_watchers 0.0" in text


async def test_every_response_has_its_policy(anonymous: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/graphql", "/arrays/x"):
        response = await anonymous.get(BASE + path, headers={"Accept": "text/html"})
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
