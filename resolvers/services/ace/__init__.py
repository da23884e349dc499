"""An experiment: eight stages, each a node of the graph, from a hypothesis to a verdict. No JAX.

    spawn → compose → plan → schedule → execute → verify → report → retire
              ↑________________________________________│  (the next round)

It computes nothing itself: what takes time is a run of its own, part of this one. Whoever takes the run over goes on
from its stages; a stage that was begun and not ended is worked again, and finds the runs that it had asked for.
"""

from __future__ import annotations

from graph.queries import ace
from graph.queries.ace import StageRow
from graph.queries.runs import RunRow
from resolvers.energy.meter import meter
from resolvers.services.ace.inquiry import inquiry, own_children, spent_by, together
from resolvers.services.ace.stages import WORK
from resolvers.services.context import Services
from resolvers.task import Task


async def execute(services: Services, run: RunRow, task: Task) -> None:
    """Work what is left of the stages of `run`."""
    while (ahead := _next(done := await ace.stages(services.gateway, run.uid))) is not None:
        name, round = ahead
        await task.report((ace.STAGES.index(name)) / len(ace.STAGES), f"{name} · round {round}")
        before = await inquiry(services, run, task, round=round, stages=done)
        last = before.stages[-1] if before.stages else None
        stage = await ace.begin_stage(
            services.gateway,
            task.lease,
            name=name,
            round=round,
            inputs={"after": None if last is None else last.uid, "left": before.account.left},
        )
        with meter() as own:
            outputs = await WORK[name](before)
        mine = {child.uid: child for child in await own_children(services, run)}
        worked = [mine[uid] for uid in outputs.get("children", {}).values() if uid in mine]
        spent = together(own.spent, [spent_by(child) for child in worked])
        await ace.end_stage(services.gateway, task.lease, stage, outputs=outputs, spent=spent)
    await task.report(1.0, "retired")


def _next(done: list[StageRow]) -> tuple[str, int] | None:
    """Name and round of the stage to be worked; None behind the last."""
    last = done[-1] if done else None
    ahead = ace.following(last)
    if last is not None and last.done and last.name == "verify":
        wanted = "compose" if last.outputs["again"] else "report"
        return next(each for each in ahead if each[0] == wanted)
    return ahead[0] if ahead else None
