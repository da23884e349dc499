"""The API gives a run's certificate as it was signed."""

from __future__ import annotations

import json

import httpx
import pytest

from graph.queries import runs
from resolvers.certificates.issuing import issue
from resolvers.certificates.signing import verify
from tests.api.conftest import World, data
from tests.graph.queries import builders
from tests.resolvers.certificates.statements import KEY

pytestmark = pytest.mark.db

CERTIFICATE = """
query Certified($run: ID!) {
  run(uid: $run) {
    certificate {
      uid number digest previousDigest signature publicKey statement energyJoules energySource issuedAt
    }
  }
}
"""


async def test_a_certificate_can_be_checked_from_what_the_api_gives(operator: httpx.AsyncClient, world: World) -> None:
    gateway = world.services.gateway
    run = await builders.started(gateway)
    assert (await data(operator, CERTIFICATE, run=run.uid))["run"] == {"certificate": None}
    await runs.transition(
        gateway, run.uid, "RUNNING", "SUCCEEDED", run.lease.token, energy_joules=2.0, energy_source="estimated"
    )
    signed, _ = await issue(gateway, run.uid, KEY)
    told = (await data(operator, CERTIFICATE, run=run.uid))["run"]["certificate"]
    assert (told["number"], told["digest"], told["energyJoules"]) == (1, signed.digest, 2.0)
    file = {"statement": json.loads(told["statement"]), "digest": told["digest"], "signature": told["signature"]}
    assert verify(json.dumps(file), key=told["publicKey"]).statement == signed.statement
