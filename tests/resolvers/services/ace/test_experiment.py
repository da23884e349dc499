"""From a sentence to a verdict: supported, refuted, within the budget, and the same when the worker dies."""

from __future__ import annotations

from typing import Any

import pytest

from graph.queries import ace as stages
from graph.queries import certificates, hypotheses, runs
from resolvers.services import ace
from resolvers.services.ace import certifying
from resolvers.services.context import Services
from tests.resolvers.services.ace.experiments import (
    JOULES,
    children,
    ended,
    orchestrated,
    outputs,
    spawned,
    succeeded,
)
from tests.resolvers.working import leased

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
