"""An experiment's surroundings: a checkpoint that was trained, a hypothesis about it, a run that tests it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graph.gateway import Gateway
from graph.queries import ace, evaluation, hypotheses, runs
from graph.queries.evaluation import Stretch
from graph.queries.hypotheses import HypothesisRow
from graph.queries.leases import Lease
from graph.queries.runs import RunRow
from graph.queries.sequences import NewSequence, append_segment
from tests.graph.queries import builders

CLAIM: Mapping[str, Any] = {
    "metric": "fidelity",
    "comparator": ">",
    "threshold": 0.4,
    "domain": "plasma",
    "model": "tiny",
    "horizon": 3,
    "leads": "every",
    "perturbation": {"operation": "gaussian_noise", "amount": 0.01},
}


@dataclass(frozen=True, slots=True)
class Spent:
    """What a stage took."""

    joules: float | None = 2.5
    seconds: float | None = 0.25
    source: str | None = "estimated: 10 W × CPU seconds"
    measured: float | None = None
    unmetered: int = 0

    @property
    def estimated(self) -> float | None:
        return self.joules


async def experiment(gateway: Gateway, **changes: Any) -> RunRow:
    """An ACE run that this test's worker is working on."""
    return await builders.started(gateway, kind="ace", capability="orchestration", **changes)


async def walk(gateway: Gateway, lease: Lease, *, until: str = "retire", rounds: int = 1) -> None:
    """Begin and end the stages in order, `until` included, after as many rounds."""
    last = None
    for name, round in itinerary(rounds):
        last = await ace.begin_stage(gateway, lease, name=name, round=round, inputs={"of": name})
        last = await ace.end_stage(gateway, lease, last, outputs={"by": name, "round": round}, spent=Spent())
        if name == until and round == rounds:
            return


def itinerary(rounds: int) -> list[tuple[str, int]]:
    """(name, round) of all stages of an experiment that goes round so often."""
    loop = [(name, round) for round in range(1, rounds + 1) for name in ace.STAGES[1:6]]
    return [("spawn", 1), *loop, ("report", rounds), ("retire", rounds)]


async def proposed(gateway: Gateway, *, key: str = "k", **changes: Any) -> HypothesisRow:
    """A hypothesis about plasma."""
    values: dict[str, Any] = {"text": "it holds", "claim": CLAIM, "credence": 0.5, "about": "plasma"}
    return await hypotheses.propose(gateway, key=key, **(values | changes))


async def evaluated(gateway: Gateway, checkpoint: str, *, last: int = 19, fidelity: float = 0.5) -> str:
    """Uid of an evaluation of the checkpoint by a run of its own."""
    run = await builders.started(gateway, kind="evaluation", inputs=[(checkpoint, "checkpoint")])
    uid = await evaluation.record_evaluation(
        gateway,
        run.lease,
        checkpoint=checkpoint,
        stretches=[Stretch(builders.new_sequence().uid, 12, last)],
        scores={"fidelity": {"pooled": fidelity, "n": last - 12}, "vrmse": 0.25},
    )
    await runs.transition(gateway, run.uid, "RUNNING", "SUCCEEDED", run.lease_token)
    return uid


async def sequence(gateway: Gateway, source: str, first: int, stop: int, *, variant: str, **more: Any) -> str:
    """Uid of one more sequence; equal variants are equal frames, `regime` is that of all its frames."""
    seed, regime, recipe = more.pop("seed", None), more.pop("regime", None), more
    new = NewSequence(
        domain="plasma", source=source, recipe=recipe, height=8, width=16, dt=0.5, generator="test", rng_seed=seed
    )
    frames = [builders.frame(step, variant=variant, regime=regime) for step in range(first, stop)]
    segment = builders.new_segment(first, stop, variant=variant)
    await append_segment(gateway, new, segment, frames, "Simulated")
    return new.uid
