"""Experiments get their certificates one by one: none that is refused, and no key, stands in another's way."""

from __future__ import annotations

import pytest

from graph.queries import ace, certificates, runs
from graph.queries.ace import NewVote
from resolvers.certificates.signing import PLACE, key_of
from resolvers.energy.spent import ESTIMATED
from resolvers.services.ace.certifying import certify_due
from resolvers.services.context import Services
from tests.graph.queries import builders, experiments

pytestmark = pytest.mark.db


async def retired(services: Services, *agree: bool) -> str:
    """An experiment that succeeded and thinks that a certificate is due, whose members said so."""
    run = await experiments.experiment(services.gateway)
    await experiments.walk(services.gateway, run.lease)
    votes = [NewVote(member=n, sha256=f"{n}a", agrees=one, round=1) for n, one in enumerate(agree)]
    await ace.record_votes(services.gateway, run.lease, votes)
    await services.gateway.write(
        "MATCH (s:Stage {run: $run, name: 'retire'}) SET s.outputs_json = '{\"certificate\":{\"due\":true}}'",
        run=run.uid,
    )
    spent = {"energy_joules": 2.5, "energy_source": ESTIMATED}
    await runs.transition(services.gateway, run.uid, "RUNNING", "SUCCEEDED", run.lease_token, **spent)
    return run.uid


async def test_one_that_is_refused_is_asked_once_and_holds_nobody_up(services: Services) -> None:
    await builders.trained(services.gateway)
    refused = await retired(services, True, False, False)
    whole = await retired(services, True, True, False)
    assert await certificates.due(services.gateway, limit=1) == [refused]
    assert await certify_due(services.gateway, services.settings) == 1
    assert await certificates.of_run(services.gateway, whole) is not None
    assert await certificates.due(services.gateway) == []
    (row,) = await services.gateway.read(
        "MATCH (r:Run {uid: $run}) "
        "RETURN r.refused_code AS code, r.refused_message AS why, r.refused_at <= datetime() AS at",
        run=refused,
    )
    assert (row["code"], row["at"]) == ("NO_QUORUM", True)
    assert "2 different members of 3 to agree, got 1" in row["why"]


async def test_without_a_key_that_may_be_used_they_wait_and_work_goes_on(services: Services) -> None:
    await builders.trained(services.gateway)
    due = await retired(services, True, True, False)
    key_of(services.settings.home)
    path = services.settings.home / PLACE
    path.chmod(0o644)
    assert await certify_due(services.gateway, services.settings) == 0
    assert await certificates.due(services.gateway) == [due]
    path.chmod(0o600)
    assert await certify_due(services.gateway, services.settings) == 1
