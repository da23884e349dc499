"""The executor: one persistent child process per worker, in which runs are worked.

The worker's own loop never waits for JAX, so a long compile cannot cost it a lease; a crash of the child costs the run
one attempt, not the worker its life. The next group of runs gets a new child.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from graph.errors import Outage
from graph.queries.runs import RunRow
from graph.settings import Settings
from nvp.prediction import cache
from resolvers.energy.spent import Spent
from resolvers.pipe import Done, Execute, Hello, Message, Ready, Spending, Stop, receive, send

# a training yields the cores to predictions, Neo4j and the API
NICENESS = {"batch": 10, "interactive": 0, "orchestration": 0}
# of one GPU, where workers share it; one that orchestrates imports no JAX
MEMORY_FRACTION = {"batch": "0.60", "interactive": "0.25", "orchestration": "0.01"}


class ChildDied(Exception):
    """The child ended in the middle of its runs; `code` is its exit status (negative: a signal)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the child process ended with status {code}")
        self.code = code


class Executor:
    """Starts the child when it is first needed and again after it died; `async with` ends it."""

    def __init__(self, settings: Settings, capability: str) -> None:
        self._settings = settings
        self._capability = capability
        self._process: asyncio.subprocess.Process | None = None
        # of the group in work: its runs, how those that have ended did, and what the others have spent so far
        self._group: list[str] = []
        self.ended: dict[str, Done] = {}
        self.spending: dict[str, Spent] = {}

    async def __aenter__(self) -> Executor:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    @property
    def pid(self) -> int | None:
        """The child's process id while it lives."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if alive and self._process is not None else None

    async def start(self, kinds: Sequence[str] = ()) -> None:
        """Have a child ready, with the services of `kinds` imported; nothing to do where one lives.

        Raises Outage where it cannot start.
        """
        if self.pid is not None:
            return
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "resolvers.child",
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | _environment(self._settings, self._capability),
            start_new_session=True,  # Ctrl-C is for the worker, which then stops the child
        )
        try:
            await self._say(Hello(settings=self._settings, kinds=tuple(kinds), niceness=NICENESS[self._capability]))
            answer = await self._hear()
        except ChildDied as died:
            raise Outage(
                "CHILD_FAILED",
                f"expected a working child process, got one that {died}.",
                next_step="Its reason stands above; `fieldgraph doctor` checks the installation.",
            ) from None
        if not isinstance(answer, Ready):
            raise TypeError(f"expected Ready first, got {type(answer).__name__}.")

    async def execute(self, group: Sequence[RunRow], heard: Callable[[Done], None] = lambda _: None) -> dict[str, Done]:
        """Work these leased runs; how each ended, by uid, and `heard` as soon as it did. Raises ChildDied.

        One group at a time: call it again only after it has returned.
        """
        self.ended, self.spending = {}, {}
        await self.start()
        self._group = [run.uid for run in group]
        try:
            await self._say(Execute(runs=tuple(group)))
            while len(self.ended) < len(self._group):
                match await self._hear():
                    case Done() as done:
                        self.ended[done.uid] = done
                        heard(done)
                    case Spending() as told:
                        self.spending |= told.by
        finally:
            self._group = []
        return dict(self.ended)

    async def join(self, late: Sequence[RunRow]) -> bool:
        """Work these leased runs, of a kind that waits, beside the group in work; False where that has ended."""
        if not self._group:
            return False
        self._group += [run.uid for run in late]
        with suppress(ChildDied):  # whoever waits for the group hears of it
            await self._say(Execute(runs=tuple(late)))
        return True

    async def stop(self, uid: str, *, lost: bool = False) -> None:
        """Tell the child that this run was cancelled (or its lease lost); it ends at the next report."""
        if self.pid is not None:
            await self._say(Stop(uid=uid, lost=lost))

    async def kill(self) -> None:
        """End the child now; what it had not committed is as if it had never begun."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        self._process = None

    async def _say(self, message: Message) -> None:
        process = self._living()
        assert process.stdin is not None
        try:
            await send(process.stdin, message)
        except (BrokenPipeError, ConnectionResetError):
            raise ChildDied(await process.wait()) from None

    async def _hear(self) -> Message:
        process = self._living()
        assert process.stdout is not None
        try:
            return await receive(process.stdout)
        except asyncio.IncompleteReadError:
            raise ChildDied(await process.wait()) from None

    def _living(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise ChildDied(-9)
        return self._process


def _environment(settings: Settings, capability: str) -> Mapping[str, str]:
    """What JAX reads before it starts: where compiled programs are kept, and its share of a GPU's memory."""
    defaults = {
        **cache.environment(settings.cache),
        "XLA_PYTHON_CLIENT_MEM_FRACTION": MEMORY_FRACTION[capability],
    }
    return {name: os.environ.get(name, value) for name, value in defaults.items()}
