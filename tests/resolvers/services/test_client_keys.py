"""A client's key finds the run of its request again, whatever the graph has become, and no other request's."""

from __future__ import annotations

import pytest

from graph.errors import Conflict
from graph.queries import runs
from resolvers.services.context import Services
from resolvers.services.submission import (
    GenerationRequest,
    TrainingRequest,
    submit_generation,
    submit_training,
)
from tests.resolvers.carried import ingest_carried

pytestmark = pytest.mark.db


async def test_a_key_stands_for_one_request(services: Services) -> None:
    request = GenerationRequest(domain="fluid_dynamics", settings={"scale": 16})
    first = await submit_generation(services, request, client_key="mine")
    assert (await submit_generation(services, request, client_key="mine")).uid == first.uid
    other = GenerationRequest(domain="fluid_dynamics", settings={"scale": 16}, seed=1)
    with pytest.raises(Conflict) as caught:
        await submit_generation(services, other, client_key="mine")
    assert caught.value.code == "CLIENT_KEY_USED"
    assert len({first.uid, (await submit_generation(services, request, client_key="yours")).uid,
                (await submit_generation(services, request)).uid}) == 3  # fmt: skip
    # one that was asked for anew is asked for anew once
    forced = GenerationRequest(domain="fluid_dynamics", force=True)
    again = [await submit_generation(services, forced, client_key="again") for _ in range(2)]
    assert again[0].uid == again[1].uid


async def test_a_run_that_was_cancelled_gives_its_key_free(services: Services) -> None:
    request = GenerationRequest(domain="fluid_dynamics")
    first = await submit_generation(services, request, client_key="mine")
    await runs.request_cancel(services.gateway, first.uid)
    assert (await submit_generation(services, request, client_key="mine")).uid != first.uid


async def test_a_key_finds_its_run_after_the_data_have_grown(services: Services) -> None:
    await ingest_carried(services, sequences=1)
    request = TrainingRequest(domain="fluid_dynamics", model="ridge")
    first = await submit_training(services, request, client_key="mine")
    plain = await submit_training(services, request)
    await ingest_carried(services, sequences=2)
    assert (await submit_training(services, request, client_key="mine")).uid == first.uid
    assert (await submit_training(services, request)).uid != plain.uid
