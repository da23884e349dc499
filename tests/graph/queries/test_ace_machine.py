"""A run's stages under any order of commands: the table is kept, whoever writes and however often."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from graph.errors import GraphError
from graph.gateway import Gateway
from graph.queries import ace, runs
from graph.queries.ace import StageRow
from graph.queries.leases import LeaseLost
from tests.graph.queries import experiments

pytestmark = pytest.mark.db

# the table once more, by hand
NEXT = {
    "spawn": {("compose", 0)},
    "compose": {("plan", 0)},
    "plan": {("schedule", 0)},
    "schedule": {("execute", 0)},
    "execute": {("verify", 0)},
    "verify": {("compose", 1), ("report", 0)},
    "report": {("retire", 0)},
    "retire": set[tuple[str, int]](),
}
TAKEN = "MATCH (r:Run {uid: $run}) SET r.lease_token = $token"
names = st.sampled_from([*NEXT, "guess"])
rounds = st.integers(0, 3)


class Experiment(RuleBasedStateMachine):
    """A model of the stages beside the graph's; commands go to the real server."""

    gateway: Gateway
    loop: asyncio.AbstractEventLoop

    @initialize()
    def begin(self) -> None:
        self.run = self.do(experiments.experiment(self.gateway))
        self.lease, self.stale = self.run.lease, self.run.lease
        # (name, round, inputs, outputs); outputs are None until it is done
        self.model: list[list[Any]] = []

    def do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(120)

    @property
    def legal(self) -> set[tuple[str, int]]:
        """What may be begun now, a resumed one included."""
        if not self.model:
            return {("spawn", 1)}
        name, round, _, outputs = self.model[-1]
        if outputs is None or name == "retire":
            return {(name, round)}
        return {(after, round + later) for after, later in NEXT[name]}

    @rule(data=st.data(), inputs=st.integers(0, 3))
    def try_to_begin(self, data: st.DataObject, inputs: int) -> None:
        """Any stage; most often one that would be next if the last were done, or nearly so."""
        last, now = self.model[-1][:2] if self.model else ("spawn", 1)
        order = list(NEXT)
        about = order[max(0, order.index(last) - 1) : order.index(last) + 3]
        behind = [(after, now + later) for after, later in sorted(NEXT[last])] or [(last, now)]
        near = st.tuples(st.sampled_from(about), st.integers(now - 1, now + 1))
        name, round = data.draw(st.one_of(st.sampled_from(behind), near, st.tuples(names, rounds)))
        call = ace.begin_stage(self.gateway, self.lease, name=name, round=round, inputs={"n": inputs})
        if (name, round) not in self.legal:
            assert self.refused(call) == "ILLEGAL_STAGE"
            return
        row: StageRow = self.do(call)
        self.begun(name, round, inputs)
        assert [row.name, row.round, row.inputs["n"], row.outputs.get("n")] == self.model[-1]

    @rule(data=st.data(), steps=st.integers(1, 4))
    def go_on(self, data: st.DataObject, steps: int) -> None:
        """As the orchestrator does: what may follow is begun, and all but the last of it ended."""
        for step in range(steps):
            name, round = data.draw(st.sampled_from(sorted(self.legal)))
            row = self.do(ace.begin_stage(self.gateway, self.lease, name=name, round=round, inputs={"n": step}))
            self.begun(name, round, step)
            if step < steps - 1 and self.model[-1][3] is None:
                self.do(ace.end_stage(self.gateway, self.lease, row, outputs={"n": 0}, spent=None))
                self.model[-1][3] = 0

    @precondition(lambda self: self.model)
    @rule(data=st.data(), outputs=st.integers(0, 2))
    def end(self, data: st.DataObject, outputs: int) -> None:
        """Ends any stage, most often the last; only an open one takes what is said of it."""
        at = data.draw(st.one_of(st.just(len(self.model) - 1), st.integers(0, len(self.model) - 1)))
        row = self.do(ace.stages(self.gateway, self.run.uid))[at]
        said = self.model[at]
        call = ace.end_stage(self.gateway, self.lease, row, outputs={"n": outputs}, spent=experiments.Spent())
        if said[3] is not None and said[3] != outputs and said[0] != "retire":
            assert self.refused(call) == "ILLEGAL_STAGE"
            return
        self.do(call)
        said[3] = outputs if said[3] is None else said[3]

    @rule(name=names)
    def lose_the_lease(self, name: str) -> None:
        """Another worker takes over: the one before writes nothing any more."""
        self.do(self.gateway.write(TAKEN, run=self.run.uid, token=name))
        row = self.do(runs.run(self.gateway, self.run.uid))
        self.stale, self.lease = self.lease, row.lease
        if self.stale == self.lease:
            return
        call = ace.begin_stage(self.gateway, self.stale, name=name, round=1, inputs={"n": 9})
        with pytest.raises(LeaseLost):
            self.do(call)
        if self.model:
            last = self.do(ace.stages(self.gateway, self.run.uid))[-1]
            with pytest.raises(LeaseLost):
                self.do(ace.end_stage(self.gateway, self.stale, last, outputs={"n": 9}, spent=None))

    @rule(values=st.lists(st.integers(0, 9), min_size=2, max_size=3, unique=True))
    def race(self, values: list[int]) -> None:
        """Writers at once: those that begin find one stage, of those that end it differently one wins."""
        name, round = sorted(self.legal)[0]
        was = list(self.model[-1]) if self.model and self.model[-1][:2] == [name, round] else None

        async def all_at_once() -> list[Any]:
            begun = await asyncio.gather(
                *(ace.begin_stage(self.gateway, self.lease, name=name, round=round, inputs={"n": n}) for n in values)
            )
            assert len({row.uid for row in begun}) == 1
            return await asyncio.gather(
                *(ace.end_stage(self.gateway, self.lease, begun[0], outputs={"n": n}, spent=None) for n in values),
                return_exceptions=True,
            )

        ended = self.do(all_at_once())
        kept = {row.outputs["n"] for row in ended if isinstance(row, StageRow)}
        assert len(kept) == 1
        assert all(isinstance(row, StageRow) or row.code == "ILLEGAL_STAGE" for row in ended)
        assert name == "retire" or sum(isinstance(row, StageRow) for row in ended) == 1
        row = self.do(ace.stages(self.gateway, self.run.uid))[-1]
        if was is None:
            self.model.append([name, round, row.inputs["n"], None])
        if self.model[-1][3] is None:
            self.model[-1][3] = row.outputs["n"]
        assert kept == {row.outputs["n"]}

    @invariant()
    def the_graph_says_the_same(self) -> None:
        if not hasattr(self, "model"):
            return
        found = self.do(ace.stages(self.gateway, self.run.uid))
        assert [[row.name, row.round, row.inputs["n"], row.outputs.get("n")] for row in found] == self.model
        assert [row.done for row in found] == [said[3] is not None for said in self.model]

    def begun(self, name: str, round: int, inputs: int) -> None:
        if not self.model or self.model[-1][:2] != [name, round]:
            self.model.append([name, round, inputs, None])

    def refused(self, call: Any) -> str:
        with pytest.raises(GraphError) as caught:
            self.do(call)
        return caught.value.code


async def test_any_order_of_commands(gateway: Gateway) -> None:
    loop = asyncio.get_running_loop()
    bound = type("BoundExperiment", (Experiment,), {"gateway": gateway, "loop": loop})
    # every step is a round trip: what fails is told as it was found
    few = settings(
        max_examples=15,
        stateful_step_count=12,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    # the machine is no coroutine: it gets a thread, and what it does is done here
    await asyncio.to_thread(run_state_machine_as_test, bound, settings=few)
