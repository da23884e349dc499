"""From a sentence to a verdict: supported, refuted, within the budget, and the same when the worker dies."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest

from graph.errors import GraphError, NotFound
from graph.queries import ace as stages
from graph.queries import certificates, hypotheses, runs
from nvp.errors import FieldError
from resolvers.ace.grammar import Unclear
from resolvers.energy import costs
from resolvers.energy.spent import ESTIMATED
from resolvers.services import ace
from resolvers.services.ace import certifying, executing
from resolvers.services.ace_request import AceRequest, submit_ace
from resolvers.services.context import Services
from resolvers.task import Task
from tests.resolvers.services.ace.experiments import (
    JOULES,
    children,
    ended,
    orchestrated,
    outputs,
    spawned,
    succeeded,
)
from tests.resolvers.working import leased, worked

pytestmark = pytest.mark.db

TRUE = "on fluid_dynamics the model keeps fidelity above 0.5"
CHANGES = "on fluid_dynamics persistence has VRMSE above {}"


async def test_a_threshold_that_is_moved_across_what_was_measured_flips_the_verdict(
    services: Services, checkpoint: str
) -> None:
    run = await ended(services, await spawned(services, CHANGES.format(0.001)))
    found = await outputs(services, run.uid)
    assert list(found) == list(stages.STAGES)
    verdict = found["verify"]["verdict"]
    assert verdict["verdict"] == "supported", verdict
    assert len(verdict["cited"]) == found["compose"]["test"]["fewest"], "no more than it takes"
    assert found["plan"]["proof"]["learnt"] == 0
    assert found["plan"]["proof"]["frames"] == 8 * len(found["plan"]["evidence"])
    assert all(0 <= one["nearest_learnt"] <= 1 for one in found["plan"]["evidence"])
    assert found["verify"]["ensemble"]["abstention"] == 0
    assert found["verify"]["ensemble"]["fidelity"] > 0.99
    assert await children(services, run.uid) == {"evaluation": 1, "shadows": 2}

    # the hypothesis knows, cites the evaluation and leads on
    (tested,) = await hypotheses.tested(services.gateway, run.uid)
    assert (tested.verdict, tested.hypothesis.verdict) == ("supported", "supported")
    assert tested.credence == pytest.approx(verdict["credence"])
    follow = found["report"]["next"]
    assert follow
    assert (await hypotheses.hypothesis(services.gateway, follow[0]["uid"])).refines == (tested.hypothesis.uid,)

    # one certificate, however often it is asked for
    assert found["retire"]["certificate"] == {"due": True, "reasons": []}
    assert await certifying.certify_due(services.gateway, services.settings) == 1
    assert await certifying.certify_due(services.gateway, services.settings) == 0
    certificate = await certificates.of_run(services.gateway, run.uid)
    assert certificate is not None
    spent = sum(stage.energy_joules or 0 for stage in await stages.stages(services.gateway, run.uid))
    assert certificate.energy_joules == pytest.approx(spent)
    assert spent > 3 * JOULES

    # beyond all that was measured it is refuted; the members that are trained are found
    high = verdict["findings"][0]["interval"][1]
    again = await ended(services, await spawned(services, CHANGES.format(high + 0.05)))
    found = await outputs(services, again.uid)
    assert found["verify"]["verdict"]["verdict"] == "refuted"
    (tested,) = await hypotheses.tested(services.gateway, again.uid)
    assert tested.credence is not None
    assert tested.credence < 0.1
    trained = [one for one in await runs.list_runs(services.gateway, kind="shadows") if one.config["task"] == "train"]
    assert len(trained) == 1
    assert "trained by run" in str(found["schedule"]["works"])


class Killed(BaseException):
    """The process is gone."""


async def test_it_goes_on_wherever_its_worker_is_lost(
    services: Services, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await ended(services, await spawned(services, TRUE, seed=1))
    expected = await outputs(services, whole.uid)
    assert expected["verify"]["verdict"]["verdict"] == "supported"

    run = await spawned(services, TRUE, seed=1, force=True)
    hit: list[str] = []

    def dying(write: Any) -> Any:
        async def before_and_after(*given: Any, **named: Any) -> Any:
            what = f"{write.__name__} {named.get('name') or given[2].name}"
            for when in ("before", "after"):
                if when == "after":
                    written = await write(*given, **named)
                if f"{when} {what}" not in hit:
                    hit.append(f"{when} {what}")
                    raise Killed
            return written

        return before_and_after

    monkeypatch.setattr(ace.ace, "begin_stage", dying(stages.begin_stage))
    monkeypatch.setattr(ace.ace, "end_stage", dying(stages.end_stage))
    for _ in range(4 * len(stages.STAGES) + 1):
        running = await leased(services, run, lease_seconds=600.0)
        try:
            await orchestrated(services, running)
            break
        except Killed:
            lost = await runs.transition(services.gateway, run.uid, "RUNNING", "QUEUED", running.lease_token)
            assert lost is not None
    assert len(hit) == 4 * len(stages.STAGES)
    await succeeded(services, running)
    found = await outputs(services, run.uid)
    for name in ("compose", "plan"):
        assert found[name] == expected[name]
    for key in ("verdict", "ensemble", "laws"):
        assert found["verify"][key] == expected["verify"][key]
    assert [stage.name for stage in await stages.stages(services.gateway, run.uid)] == list(stages.STAGES)
    # the ensemble of the first experiment is found; nothing else is done twice
    assert await children(services, run.uid) == await children(services, whole.uid)
    assert await certifying.certify_due(services.gateway, services.settings) == 2
    assert len(await certificates.chain(services.gateway)) == 2


async def test_a_budget_that_is_too_small_is_not_overrun(services: Services, checkpoint: str) -> None:
    rich = await ended(services, await spawned(services, TRUE))
    works = [one["work"] for one in (await outputs(services, rich.uid))["schedule"]["works"]]
    (look,) = [one for one in works if one["kind"] == "evaluation"]
    cost = await costs.estimate(services.gateway, "evaluation", look["config"])
    assert cost.joules is not None
    short = cost.joules / cost.error - 0.5
    run = await ended(services, await spawned(services, TRUE, budget=f"{short:.3f}J", force=True))
    found = await outputs(services, run.uid)
    assert list(found) == list(stages.STAGES), "it reports and retires all the same"
    assert (await children(services, run.uid))["evaluation"] == 0
    assert look["name"] in found["execute"]["left_out"]
    assert found["execute"]["budget_gone"] is True
    assert found["verify"]["verdict"]["verdict"] == "undetermined"
    assert found["report"]["verdict"] == "undetermined"
    assert found["retire"]["certificate"]["due"] is False
    assert any("budget" in reason for reason in found["retire"]["certificate"]["reasons"])
    # what was refused names a budget, and that one would do
    (named,) = {
        float(said) for why in found["execute"]["left_out"].values() for said in re.findall(r"--budget (\S+)J", why)
    }
    assert short < cost.joules < named
    assert f"--budget {named:g}J would do" in " ".join(found["retire"]["certificate"]["reasons"])
    better = await ended(services, await spawned(services, TRUE, budget=f"{named:g}J", force=True))
    assert (await outputs(services, better.uid))["verify"]["verdict"]["verdict"] == "supported"
    await certifying.certify_due(services.gateway, services.settings)
    assert await certificates.of_run(services.gateway, run.uid) is None
    (tested,) = await hypotheses.tested(services.gateway, run.uid)
    assert tested.verdict == "undetermined"


async def test_a_run_that_takes_all_that_is_left_is_stopped(
    services: Services, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executing, "METER_SECONDS", 0.0)
    run = await leased(services, await spawned(services, TRUE, budget="4kJ"), lease_seconds=600.0)
    working = asyncio.create_task(ace.execute(services, run, Task(services.gateway, run)))
    while not (asked := await runs.children(services.gateway, run.uid)):
        assert not working.done()
        await asyncio.sleep(0.02)
    greedy = await leased(services, asked[0], lease_seconds=600.0)
    assert greedy.lease_token is not None
    beat = None
    while beat is None or not beat.cancel_requested:
        beat = await runs.heartbeat(
            services.gateway, greedy.uid, greedy.lease_token, 600.0, joules=4000.0, source=ESTIMATED
        )
        await asyncio.sleep(0.02)
    took = {"energy_joules": 4000.0, "energy_source": ESTIMATED}
    await runs.transition(services.gateway, greedy.uid, "RUNNING", "CANCELLED", greedy.lease_token, **took)
    await working
    await succeeded(services, run)
    found = await outputs(services, run.uid)
    assert found["execute"]["budget_gone"] is True
    assert len(await runs.children(services.gateway, run.uid)) == 1
    assert found["retire"]["certificate"]["due"] is False


async def test_what_cannot_be_tested_is_refused_or_asked_back(services: Services, checkpoint: str) -> None:
    with pytest.raises(Unclear, match="How much is 'good'"):
        await spawned(services, "the model is good")
    for budget in ("0J", "-5J", "nanJ", "500", "inf s"):
        with pytest.raises(GraphError, match="budget"):
            await spawned(services, TRUE, budget=budget)
    refused = ({"shadows": 1}, {"max_rounds": 0}, {"seed": -1}, {"shadow_size": "huge"}, {"shadow_steps": 0})
    for asked in (*refused, {"shadow_size": "same"}):  # ridge regression has no size
        with pytest.raises(GraphError, match="expected"):
            await spawned(services, TRUE, **asked)
    with pytest.raises(NotFound, match="base Checkpoint of domain"):
        await spawned(services, TRUE.replace("the model", "the base model"))
    claim = {"metric": "fidelity", "comparator": ">", "threshold": 0.5, "domain": "plasma_physics"}
    named = AceRequest(claim=claim | {"model": f"checkpoint:{checkpoint}"})
    with pytest.raises(GraphError, match="expected a checkpoint of plasma_physics"):
        await submit_ace(services, named)
    with pytest.raises(FieldError, match="claim"):
        await submit_ace(services, replace(named, claim={"metric": "charm"}))

    first = await submit_ace(services, replace(named, claim=claim | {"domain": "fluid_dynamics"}))
    assert first.config["checkpoint"] == checkpoint
    assert (await submit_ace(services, replace(named, claim=first.config["claim"]))).uid == first.uid
    keyed = await submit_ace(services, AceRequest(text=TRUE), client_key="mine")
    assert (await submit_ace(services, AceRequest(text=TRUE), client_key="mine")).uid == keyed.uid
    with pytest.raises(GraphError, match="client key"):
        await submit_ace(services, AceRequest(text=TRUE, budget="1J"), client_key="mine")


async def test_clones_are_no_ensemble(services: Services, checkpoint: str) -> None:
    run = await ended(services, await spawned(services, TRUE))
    (train,) = [one for one in await runs.list_runs(services.gateway, kind="shadows") if one.config["task"] == "train"]
    assert len((await outputs(services, run.uid))["verify"]["ensemble"]["dissent"]) == 0
    clones = await runs.submit(
        services.gateway,
        kind="shadows",
        config={**train.config, "seeds": [7, 7, 7]},
        capability="batch",
        dedup_key=None,
        rng_seed=0,
        inputs=[],
    )
    with pytest.raises(FieldError, match="got copies: 0, 1, 2"):
        await worked(services, clones)
