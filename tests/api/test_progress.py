"""Progress arrives by WebSocket and by server-sent events, ends with its run, and leaves no watcher behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import uvicorn
import websockets
from websockets.asyncio.client import ClientConnection

from graph.errors import NotFound, Outage
from graph.gateway import Gateway
from graph.queries import runs
from graph.queries.runs import RunRow
from resolvers.app import create_app
from resolvers.graphql.hub import ProgressHub
from resolvers.web.tokens import Tokens
from tests.api.conftest import World
from tests.graph.queries import builders

pytestmark = pytest.mark.db

WATCH = "subscription($uid: ID!, $after: Int) { runProgress(uid: $uid, after: $after) { state progress message seq } }"


class Server:
    """A real server on a free port, and the hub within it."""

    def __init__(self, port: int, token: str, watchers: Callable[[], Awaitable[int]]) -> None:
        self.http = f"http://127.0.0.1:{port}"
        self.ws = f"ws://127.0.0.1:{port}/graphql"
        self.token = token
        self.watchers = watchers


@pytest.fixture(scope="module")
async def server(world: World) -> AsyncIterator[Server]:
    settings = world.services.settings.model_copy(update={"poll_seconds": 0.05})
    token = Tokens(settings.home).local()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        config = uvicorn.Config(create_app(settings), log_level="warning", timeout_graceful_shutdown=2)
        running = uvicorn.Server(config)
        task = asyncio.create_task(running.serve(sockets=[listener]))
        while not running.started:  # noqa: ASYNC110  (uvicorn offers nothing to wait on)
            await asyncio.sleep(0.02)

        async def watchers() -> int:
            async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as client:
                text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
            return int(float(text.split("\nfieldgraph_progress_watchers ")[1].split()[0]))

        yield Server(port, token, watchers)
        running.should_exit = True
        await task


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = 20.0) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110  (the condition is elsewhere)
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def connection(server: Server, token: str | None) -> AsyncIterator[ClientConnection]:
    """A WebSocket that has sent its `connection_init`."""
    async with websockets.connect(server.ws, subprotocols=["graphql-transport-ws"]) as socket_:  # type: ignore[list-item]
        payload = {"Authorization": f"Bearer {token}"} if token else {}
        await socket_.send(json.dumps({"type": "connection_init", "payload": payload}))
        yield socket_


async def subscribe(socket_: ClientConnection, uid: str, *, after: int | None = None, name: str = "1") -> None:
    payload = {"query": WATCH, "variables": {"uid": uid, "after": after}}
    await socket_.send(json.dumps({"id": name, "type": "subscribe", "payload": payload}))


async def receive(socket_: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(20):
        said = await socket_.recv()
    assert isinstance(said, str)  # a browser's client reads no binary message
    message: dict[str, Any] = json.loads(said)
    return message


async def finish(gateway: Gateway, run: RunRow) -> None:
    done = await runs.transition(gateway, run.uid, "RUNNING", "SUCCEEDED", run.lease_token, progress=1.0)
    assert done is not None


async def test_a_websocket_sees_a_run_to_its_end(server: Server, world: World) -> None:
    gateway = world.services.gateway
    run = await builders.started(gateway)
    async with connection(server, server.token) as socket_:
        assert (await receive(socket_))["type"] == "connection_ack"
        await subscribe(socket_, run.uid)
        first = (await receive(socket_))["payload"]["data"]["runProgress"]
        assert (first["state"], first["seq"]) == ("RUNNING", run.seq)
        assert await server.watchers() == 1
        await runs.report(gateway, run.uid, run.lease.token, 0.5, "half way")
        second = (await receive(socket_))["payload"]["data"]["runProgress"]
        assert (second["progress"], second["message"]) == (0.5, "half way")
        await finish(gateway, run)
        last = (await receive(socket_))["payload"]["data"]["runProgress"]
        assert (last["state"], last["progress"]) == ("SUCCEEDED", 1.0)
        assert (await receive(socket_))["type"] == "complete"
        assert first["seq"] < second["seq"] < last["seq"]
    assert await server.watchers() == 0


async def test_after_leaves_out_what_was_seen(server: Server, world: World) -> None:
    gateway = world.services.gateway
    run = await builders.started(gateway)
    async with connection(server, server.token) as socket_:
        await receive(socket_)
        await subscribe(socket_, run.uid, after=run.seq)
        await until(lambda: _equals(server, 1))
        await finish(gateway, run)
        assert (await receive(socket_))["payload"]["data"]["runProgress"]["state"] == "SUCCEEDED"
        assert (await receive(socket_))["type"] == "complete"


@pytest.mark.parametrize("abrupt", [False, True])
async def test_a_watcher_that_leaves_is_forgotten(server: Server, world: World, abrupt: bool) -> None:
    run = await builders.started(world.services.gateway)
    async with connection(server, server.token) as socket_:
        await receive(socket_)
        await subscribe(socket_, run.uid, name="1")
        await subscribe(socket_, run.uid, name="2")
        await until(lambda: _equals(server, 2))
        if abrupt:
            socket_.transport.abort()
            await socket_.wait_closed()
        else:
            await socket_.send(json.dumps({"id": "1", "type": "complete"}))
            await until(lambda: _equals(server, 1))
            await socket_.send(json.dumps({"id": "2", "type": "complete"}))
        await until(lambda: _equals(server, 0))


async def test_events_are_sent_to_plain_http_too(server: Server, world: World) -> None:
    gateway = world.services.gateway
    run = await builders.started(gateway)
    headers = {"Authorization": f"Bearer {server.token}", "Accept": "text/event-stream"}
    body = {"query": WATCH, "variables": {"uid": run.uid}}
    events: list[dict[str, Any]] = []
    async with (
        httpx.AsyncClient(base_url=server.http, headers=headers) as client,
        client.stream("POST", "/graphql", json=body) as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        async for line in response.aiter_lines():
            if line.startswith("data:") and line[5:].strip():
                events.append(json.loads(line[5:])["data"]["runProgress"])
                if len(events) == 1:
                    await finish(gateway, run)
    assert [event["state"] for event in events] == ["RUNNING", "SUCCEEDED"]
    assert await server.watchers() == 0


async def test_a_reader_of_events_that_leaves_is_forgotten(server: Server, world: World) -> None:
    run = await builders.started(world.services.gateway)
    headers = {"Authorization": f"Bearer {server.token}", "Accept": "text/event-stream"}
    body = {"query": WATCH, "variables": {"uid": run.uid}}
    async with (
        httpx.AsyncClient(base_url=server.http, headers=headers) as client,
        client.stream("POST", "/graphql", json=body) as response,
    ):
        async for line in response.aiter_lines():
            if line.startswith("data:"):
                break
        assert await server.watchers() == 1
    await until(lambda: _equals(server, 0))


@pytest.mark.parametrize("token", [None, "wrong"])
async def test_a_websocket_without_a_token_is_closed(server: Server, token: str | None) -> None:
    async with connection(server, token) as socket_:
        with pytest.raises(websockets.ConnectionClosed):
            await receive(socket_)
        assert socket_.close_code == 4403


async def test_a_websocket_of_another_page_is_refused(server: Server) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(server.ws, origin="http://evil.test", subprotocols=["graphql-transport-ws"]):  # type: ignore[arg-type, list-item]
            pass
    assert refused.value.response.status_code == 403


async def test_errors_have_their_code_on_a_websocket(server: Server, world: World) -> None:
    async with connection(server, server.token) as socket_:
        await receive(socket_)
        await subscribe(socket_, "none")
        message = await receive(socket_)
        assert message["payload"]["errors"][0]["extensions"]["code"] == "NOT_FOUND"
        await socket_.send(json.dumps({"id": "3", "type": "subscribe", "payload": {"query": "{ nothing }"}}))
        while message["type"] != "error":
            message = await receive(socket_)
        assert message["payload"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_an_operation_on_a_websocket_sees_the_graph_as_it_is(server: Server, world: World) -> None:
    gateway = world.services.gateway
    run = await builders.submit(gateway)
    query = "query($uid: ID!) { run(uid: $uid) { state } }"
    async with connection(server, server.token) as socket_:
        await receive(socket_)
        for name, state in (("1", "QUEUED"), ("2", "CANCELLED")):
            payload = {"query": query, "variables": {"uid": run.uid}}
            await socket_.send(json.dumps({"id": name, "type": "subscribe", "payload": payload}))
            assert (await receive(socket_))["payload"]["data"]["run"]["state"] == state
            assert (await receive(socket_))["type"] == "complete"
            await runs.request_cancel(gateway, run.uid)


async def test_a_finished_run_is_told_once(world: World) -> None:
    gateway = world.services.gateway
    run = await builders.started(gateway)
    await finish(gateway, run)
    hub = ProgressHub(gateway, poll_seconds=0.05)
    told = [row async for row in hub.watch(run.uid)]
    assert [row.state for row in told] == ["SUCCEEDED"]
    assert [row async for row in hub.watch(run.uid, after=told[0].seq)] == []
    with pytest.raises(NotFound):
        await anext(hub.watch("none"))
    assert hub.watchers == 0


async def test_many_watchers_cost_one_query_and_a_slow_one_skips(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = world.services.gateway
    run = await builders.started(gateway)
    hub = ProgressHub(gateway, poll_seconds=0.02)
    polls = 0
    watch = runs.watch

    async def counted(gateway: Gateway, uids: list[str]) -> list[RunRow]:
        nonlocal polls
        polls += 1
        assert uids == [run.uid]
        return await watch(gateway, uids)

    monkeypatch.setattr(runs, "watch", counted)
    polling = asyncio.create_task(hub.run())
    slow = hub.watch(run.uid)
    await anext(slow)
    watchers = [asyncio.create_task(_all(hub, run.uid)) for _ in range(20)]
    for k in range(5):
        await runs.report(gateway, run.uid, run.lease.token, k / 10, f"step {k}")
        await asyncio.sleep(0.06)
    await finish(gateway, run)
    seen = await asyncio.gather(*watchers)
    polled = polls
    assert all(rows[-1].finished for rows in seen)
    assert all([row.seq for row in rows] == sorted({row.seq for row in rows}) for rows in seen)
    assert polled < 100, "one query per poll, not one per watcher"
    assert [row.state async for row in slow] == ["SUCCEEDED"]
    assert hub.watchers == 0
    polled = polls
    await asyncio.sleep(0.1)
    assert polls <= polled + 1, "idle while nobody watches"
    polling.cancel()


@pytest.mark.parametrize("failure", [Outage("NEO4J_UNAVAILABLE", "gone"), RuntimeError("a fault of ours")])
async def test_a_look_that_fails_is_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    gateway, failures, look = world.services.gateway, [failure], runs.watch

    async def watch(*arguments: Any) -> list[RunRow]:
        if failures:
            raise failures.pop()
        return await look(*arguments)

    monkeypatch.setattr(runs, "watch", watch)
    hub = ProgressHub(gateway, poll_seconds=0.01)
    polling = asyncio.create_task(hub.run())
    row = await builders.submit(gateway)
    changes = hub.watch(row.uid)
    assert (await anext(changes)).state == "QUEUED"
    await runs.request_cancel(gateway, row.uid)
    async with asyncio.timeout(20):
        assert (await anext(changes)).state == "CANCELLED"
    await changes.aclose()
    polling.cancel()


async def _all(hub: ProgressHub, uid: str) -> list[RunRow]:
    return [row async for row in hub.watch(uid)]


async def _equals(server: Server, wanted: int) -> bool:
    return await server.watchers() == wanted
