"""Stages that open their own gates: what is learnt from what opening brought, beside a threshold on what was promised.

An experimenter has the seven stages of an experiment, in order and within a budget of joules. What a stage brings is
drawn once, what it is promised to bring is wrong by a bias of its own, and each opening is measured with noise:

    net_k = gain_k − cost_k/budget,    gain_k = promised, or E[Δ_k] of `Experience`

Three ways to open (a threshold, `ByThreshold`; the hazard, `ByHazard`; the relaxed stages, `WithinBudget`), each fed
what was promised or what it has learnt itself, meet the same experimenters, measurements and draws. All of them go
through the one port, `Scheduler`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.description import graph_of, keys_of
from nvp.coordinator.experience import SMALL, Experience
from nvp.coordinator.experiments.config import StageGatesConfig
from nvp.coordinator.experiments.finding import (
    Check,
    Effect,
    Finding,
    Report,
    exact_effect,
    mean_effect,
    quotient_effect,
    verdict,
)
from nvp.coordinator.gating import ByHazard, ByThreshold, Schedule, Scheduler, WithinBudget
from nvp.coordinator.many import relax_many
from nvp.coordinator.reference import reference_energy
from nvp.coordinator.stages import NAMES, Stage, stage_graph

HYPOTHESIS = "Gates opened by a hazard that learns bring more, net of cost, than a threshold on what was promised."
WAYS = ("threshold", "hazard", "relaxed")
FED = ("promised", "learnt")
ARMS = tuple(f"{way}, {fed}" for way in WAYS for fed in FED)
BASELINE, LEARNER = "threshold, promised", "hazard, learnt"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One experimenter: the mean benefit of each stage, what is said of it, what it costs, and all chances."""

    brings: Float[np.ndarray, "k"]
    promised: Float[np.ndarray, "k"]
    joules: Float[np.ndarray, "k"]
    # what an opening brings when it happens, and draws from 0 to 1
    measured: Float[np.ndarray, "r k"]
    draws: Float[np.ndarray, "r k"]
    budget: float


@dataclass(slots=True, kw_only=True)
class Tally:
    """What one arm did in one world."""

    experience: list[Experience] = field(default_factory=lambda: [Experience() for _ in NAMES])
    # realised benefit less the shares of the budget that it cost, round by round
    net: list[float] = field(default_factory=list)
    # joules beyond the budget, gates opened before one that they follow, and rise of F by relaxing, at most
    beyond: float = -np.inf
    out_of_order: int = 0
    rise: float = 0.0


def draw_world(config: StageGatesConfig, trial: int) -> World:
    """Most stages bring more than their share of the budget, some less; the promise tells only roughly which."""
    rng = np.random.default_rng((config.seed, trial))
    count = len(NAMES)
    brings = rng.uniform(0.0, 1.0, count)
    joules = rng.uniform(1.0, 4.0, count)
    return World(
        brings=brings,
        promised=brings + config.bias * rng.standard_normal(count),
        joules=joules,
        measured=brings + config.noise * rng.standard_normal((config.rounds, count)),
        draws=rng.random((config.rounds, count)),
        budget=float(config.budget * joules.sum()),
    )


def run(config: StageGatesConfig, progress: Report) -> Finding:
    """Round by round, all arms in all worlds."""
    worlds = [draw_world(config, trial) for trial in range(config.trials)]
    tallies = {arm: [Tally() for _ in worlds] for arm in ARMS}
    rows: list[dict[str, Any]] = []
    for number in range(config.rounds):
        for arm, schedules in _decided(config, worlds, tallies, number).items():
            for trial, (world, schedule) in enumerate(zip(worlds, schedules, strict=True)):
                rows += _count(tallies[arm][trial], world, schedule, number, {"arm": arm, "trial": trial})
        progress("rounds", (number + 1) / config.rounds, f"{number + 1} of {config.rounds}")
    net = {arm: np.array([np.mean(tally.net) for tally in tallies[arm]]) for arm in ARMS}
    seed = config.seed

    def beyond(one: str, other: str) -> Effect:
        return mean_effect(f"net benefit per round: {one} − {other}", net[one] - net[other], seed=seed)

    first = beyond(LEARNER, BASELINE)
    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=verdict(first),
        reading="The first effect is judged; the others part what learning does from what the way of opening does.",
        effects=[
            first,
            beyond("threshold, learnt", BASELINE),
            beyond(LEARNER, "threshold, learnt"),
            beyond("relaxed, promised", BASELINE),
            beyond("relaxed, learnt", "threshold, learnt"),
            beyond("relaxed, learnt", BASELINE),
        ],
        arms={arm: _arm(tallies[arm], net[arm], seed) for arm in ARMS},
        checks=_checks([tally for arm in ARMS for tally in tallies[arm]]),
        tables={"openings": rows},
    )


def gains_of(world: World, tally: Tally, fed: str, prior: float) -> list[float]:
    """What each stage is expected to bring."""
    promised = world.promised.tolist()
    if fed == "promised":
        return list(promised)
    return [one.expected(said, prior=prior) for one, said in zip(tally.experience, promised, strict=True)]


def _decided(
    config: StageGatesConfig, worlds: list[World], tallies: Mapping[str, list[Tally]], number: int
) -> dict[str, list[Schedule]]:
    """What every arm opens in this round."""
    drawn = {
        arm: [
            _stages(world, gains_of(world, tally, arm.split(", ")[1], config.prior))
            for world, tally in zip(worlds, tallies[arm], strict=True)
        ]
        for arm in ARMS
    }
    relaxed = _relaxed(config, [each for arm in ARMS if "relaxed" in arm for each in drawn[arm]], number)
    decided: dict[str, list[Schedule]] = {}
    for arm in ARMS:
        decided[arm] = []
        for world, tally, description in zip(worlds, tallies[arm], drawn[arm], strict=True):
            eta, scheduler = dict.fromkeys(NAMES, 0.0), _scheduler(arm, world, number, config.sharpness)
            if "relaxed" in arm:
                eta, rise = next(relaxed)
                tally.rise = max(tally.rise, rise)
            decided[arm].append(scheduler.schedule(description, eta))
    return decided


def _stages(world: World, gains: list[float]) -> dict[str, Any]:
    stages = [
        Stage(name=name, gain=gain, cost=cost)
        for name, gain, cost in zip(NAMES, gains, world.joules.tolist(), strict=True)
    ]
    return stage_graph(stages, world.budget)


def _scheduler(arm: str, world: World, number: int, sharpness: float) -> Scheduler:
    if "threshold" in arm:
        return ByThreshold()
    if "relaxed" in arm:
        return WithinBudget()
    return ByHazard(dict(zip(NAMES, world.draws[number].tolist(), strict=True)), sharpness=sharpness)


def _relaxed(
    config: StageGatesConfig, descriptions: list[dict[str, Any]], number: int
) -> Iterator[tuple[dict[str, float], float]]:
    """Where the gates of each settle, and by how much F rose on the way."""
    graphs = [graph_of(each) for each in descriptions]
    start = [0.5] * len(NAMES)
    key = jax.random.fold_in(jax.random.key(config.seed), number)
    found = relax_many(graphs, RelaxConfig(mode="newton", steps=config.steps), key, [start] * len(graphs))
    for description, graph, each in zip(descriptions, graphs, found, strict=True):
        rise = reference_energy(graph, each.eta)[0] - reference_energy(graph, start)[0]
        yield dict(zip(keys_of(description), each.eta.tolist(), strict=True)), rise


def _count(tally: Tally, world: World, schedule: Schedule, number: int, named: dict[str, Any]) -> list[dict[str, Any]]:
    """Measure what the openings of a round brought, and learn from it; a row for each of them."""
    rows, net = [], 0.0
    after = {gate.key: gate.after for gate in schedule.gates}
    for place, name in enumerate(NAMES):
        if name not in schedule.opened:
            continue
        realised = float(world.measured[number, place])
        tally.experience[place] = tally.experience[place].after(realised)
        share = float(world.joules[place]) / world.budget
        net += realised - share
        tally.out_of_order += sum(key not in schedule.opened for key in after[name])
        rows.append({**named, "round": number, "stage": name, "realised": realised, "cost": share})
    spent = sum(float(joule) for name, joule in zip(NAMES, world.joules, strict=True) if name in schedule.opened)
    tally.beyond = max(tally.beyond, spent - world.budget)
    tally.net.append(net)
    return rows


def _arm(tallies: list[Tally], net: Float[np.ndarray, "w"], seed: int) -> list[Effect]:
    openings, gained, good, bad = (
        np.array([sum(getattr(one, name) for one in tally.experience) for tally in tallies])
        for name in ("openings", "gained", "good", "bad")
    )
    mu = quotient_effect("openings per unit of realised gain (mu)", openings, gained, seed=seed)
    ratio = (good.sum() + SMALL) / (bad.sum() + SMALL)
    return [
        mean_effect("net benefit per round", net, seed=seed),
        mean_effect("net benefit of the last round", [tally.net[-1] for tally in tallies], seed=seed),
        mean_effect("openings per round", openings / len(tallies[0].net), seed=seed),
        *([] if mu is None else [mu]),
        exact_effect("good over bad openings", float(ratio), n=int(openings.sum())),
    ]


def _checks(tallies: list[Tally]) -> list[Check]:
    beyond = max(tally.beyond for tally in tallies)
    early = sum(tally.out_of_order for tally in tallies)
    rise = max(tally.rise for tally in tallies)
    return [
        Check(name="most joules beyond the budget", value=beyond, bound="<= 1e-9", met=bool(beyond <= 1e-9)),
        Check(name="stages opened before one that they follow", value=float(early), bound="== 0", met=early == 0),
        Check(name="largest rise of F", value=rise, bound="<= 1e-12", met=bool(rise <= 1e-12)),
    ]
