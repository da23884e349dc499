"""A Chromium without a window, driven by its DevTools protocol: what scripts make of our pages is seen nowhere else."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn
import websockets
from websockets.asyncio.client import ClientConnection

from graph.settings import Settings
from resolvers.app import create_app

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SECONDS = 60.0
"""For anything to show; a busy machine takes its time."""


@asynccontextmanager
async def serve(settings: Settings) -> AsyncIterator[str]:
    """The address of a real server on a free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(create_app(settings), log_level="warning", timeout_graceful_shutdown=2)
        running = uvicorn.Server(config)
        task = asyncio.create_task(running.serve(sockets=[listener]))
        while not running.started:  # noqa: ASYNC110  (uvicorn offers nothing to wait on)
            await asyncio.sleep(0.02)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        running.should_exit = True
        await task


class Tab:
    """One tab; its requests carry a token."""

    def __init__(self, connection: ClientConnection, session: str | None) -> None:
        self._connection = connection
        self._session = session
        self._sent = 0
        # what its console complains of: exceptions, refused scripts, things that are not there
        self.errors: list[str] = []

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol and its result."""
        self._sent += 1
        to = {} if self._session is None else {"sessionId": self._session}
        await self._connection.send(json.dumps({"id": self._sent, **to, "method": method, "params": parameters}))
        while True:
            answer = json.loads(await self._connection.recv())
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.errors.append(json.dumps(answer["params"]))
            if answer.get("id") == self._sent and answer.get("sessionId") == self._session:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result

    async def open(self, address: str, *, token: str | None) -> None:
        """Go there."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        await self.call("Network.setExtraHTTPHeaders", headers=headers)
        await self.call("Page.navigate", url=address)

    async def value(self, expression: str) -> Any:
        """What an expression is worth in the page, as JSON; None while it cannot be said."""
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return None if "exceptionDetails" in found else found["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Its value once it is true."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS):
                while not (found := await self.value(expression)):  # noqa: ASYNC110  (it is elsewhere)
                    await asyncio.sleep(0.1)
                return found
        seen = await self.value("document.body.innerText")
        raise AssertionError(f"{expression}: not within {SECONDS} s; {self.errors}; the page says {seen}")

    async def texts(self, selector: str) -> list[str]:
        """The text of all elements that are selected."""
        query = f"[...document.querySelectorAll({json.dumps(selector)})].map((one) => one.textContent)"
        found: list[str] = await self.value(query)
        return found


@asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[ClientConnection]:
    """A connection to a browser of our own."""
    assert CHROMIUM is not None
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={profile}")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(CHROMIUM, *flags, "about:blank", stderr=pipe)
    try:
        assert process.stderr is not None
        async with asyncio.timeout(SECONDS):
            while (told := re.search(rb"ws://\S+", await process.stderr.readline())) is None:
                assert process.returncode is None, "the browser did not start"
        async with websockets.connect(told[0].decode(), max_size=None) as connection:
            yield connection
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def tab(connection: ClientConnection) -> Tab:
    """A new tab; one at a time is read from."""
    browser = Tab(connection, None)
    target = (await browser.call("Target.createTarget", url="about:blank"))["targetId"]
    session = (await browser.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
    return Tab(connection, session)
