"""Generation against a real Neo4j: what a run makes, that it makes it once, and that it can be stopped and go on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graph.gateway import Gateway
from graph.queries import runs
from graph.queries.leases import LeaseLost
from graph.queries.runs import RunRow
from graph.settings import Settings
from nvp.atlas.store import ArrayStore
from nvp.dynamics.kinds import make
from nvp.errors import FieldError
from resolvers.services import generation
from resolvers.services.context import Services
from resolvers.services.generated import simulate, stored
from resolvers.services.loading import load
from resolvers.services.recipes import configuration, frames_present, plan
from resolvers.services.submission import GenerationRequest, submit_generation
from resolvers.task import Cancelled, Task

pytestmark = pytest.mark.db

REQUEST = GenerationRequest(
    domain="fluid_dynamics", sequences=5, seed=3, settings={"scale": 16, "steps": 3, "warm_up": 1}
)
COUNTS = """
RETURN count {(:Sequence)} AS sequences, count {(:EnergySnapshot:Simulated)} AS snapshots,
  count {()-[:NEXT]->()} AS next, count {(:Sequence)-[:WAS_GENERATED_BY]->(:GenerationRun)} AS generated,
  count {(:Sequence)-[:WAS_GENERATED_BY {found: true}]->(:GenerationRun)} AS found
"""


@pytest.fixture
def services(settings: Settings, gateway: Gateway, tmp_path: Path) -> Services:
    return Services(settings=settings, gateway=gateway, store=ArrayStore(tmp_path / "store"))


async def leased(services: Services, request: GenerationRequest) -> tuple[RunRow, Task]:
    submitted = await submit_generation(services, request)
    (row,) = await runs.claim(services.gateway, capability="batch", worker="test", lease_seconds=60, only=submitted.uid)
    await runs.transition(services.gateway, row.uid, "LEASED", "RUNNING", row.lease_token)
    return row, Task(services.gateway, row)


async def finished(services: Services, request: GenerationRequest) -> RunRow:
    row, task = await leased(services, request)
    await generation.execute(services, row, task)
    await runs.transition(services.gateway, row.uid, "RUNNING", "SUCCEEDED", row.lease_token)
    return row


async def counts(services: Services) -> dict[str, int]:
    return (await services.gateway.read(COUNTS))[0]


async def test_a_run_makes_its_sequences(services: Services) -> None:
    await finished(services, REQUEST)
    assert await counts(services) == {"sequences": 5, "snapshots": 15, "next": 10, "generated": 5, "found": 0}
    planned = plan(REQUEST)
    assert len({sequence.uid for sequence in planned}) == 5
    for sequence in planned:
        assert await frames_present(services, REQUEST, sequence) == 3
        series = await load(services, sequence.uid, 0, 2)
        assert series.energy.shape == (3, 16, 16, 1)
        assert series.context["velocity"].shape == (3, 16, 16, 2)
        assert series.parameters["diffusivity"] > 0
        assert series.source_total is not None


async def test_the_same_seed_adds_nothing(services: Services) -> None:
    first = await finished(services, REQUEST)
    assert (await submit_generation(services, REQUEST)).uid == first.uid
    # a new run by force finds what is there and says so
    again = await finished(
        services, GenerationRequest(domain=REQUEST.domain, sequences=5, seed=3, settings=REQUEST.settings, force=True)
    )
    assert again.uid != first.uid
    assert await counts(services) == {"sequences": 5, "snapshots": 15, "next": 10, "generated": 10, "found": 5}
    # more of the same seed adds the rest only
    await finished(services, GenerationRequest(domain=REQUEST.domain, sequences=7, seed=3, settings=REQUEST.settings))
    assert (await counts(services))["sequences"] == 7


PICTURES = GenerationRequest(
    domain="fluid_dynamics", kind="perturbation", sequences=2, seed=3, settings={"scale": 16, "steps": 3}
)


async def test_perturbed_sequences_are_simulated_by_a_generator_of_their_own(services: Services) -> None:
    await finished(services, PICTURES)
    assert await counts(services) == {"sequences": 2, "snapshots": 6, "next": 4, "generated": 2, "found": 0}
    rows = await services.gateway.read(
        "MATCH (s:Sequence) RETURN DISTINCT s.generator AS generator, s.source AS source LIMIT 9"
    )
    assert rows == [{"generator": "perturbation", "source": "perturbed-3"}]
    observed = await services.gateway.read("MATCH (e:EnergySnapshot:Observed) RETURN count(e) AS n")
    assert observed == [{"n": 0}]
    planned = plan(PICTURES)
    series = await load(services, planned[1].uid, 0, 2)
    made = make("perturbation", "fluid_dynamics", configuration(PICTURES), 3, sequences=1, first=1)[0]
    assert np.array_equal(series.energy, made.energy)
    assert series.parameters == made.parameters
    # the same again finds them
    await finished(services, replace(PICTURES, force=True))
    assert (await counts(services))["found"] == 2
    # their figures are the same, read back from the store and made without a graph
    report, _ = simulate(PICTURES)
    assert await stored(services, PICTURES, planned) == pytest.approx(report)


async def test_another_seed_is_another_source(services: Services) -> None:
    await finished(services, REQUEST)
    other = GenerationRequest(domain=REQUEST.domain, sequences=1, seed=4, settings=REQUEST.settings)
    await finished(services, other)
    rows = await services.gateway.read("MATCH (s:Sequence) RETURN DISTINCT s.source AS source ORDER BY source LIMIT 9")
    assert [row["source"] for row in rows] == ["generated-3", "generated-4"]
    assert (await counts(services))["sequences"] == 6


async def test_a_cancelled_run_goes_on_where_it_stopped(services: Services) -> None:
    row, task = await leased(services, REQUEST)
    report = task.report

    async def cancelled(fraction: float, message: str) -> None:
        if fraction > 0:
            task.cancel()
        await report(fraction, message)

    task.report = cancelled  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        await generation.execute(services, row, task)
    assert (await counts(services))["sequences"] == generation.BATCH
    await generation.execute(services, row, Task(services.gateway, row))
    assert await counts(services) == {"sequences": 5, "snapshots": 15, "next": 10, "generated": 5, "found": 0}


async def test_a_run_whose_lease_is_lost_writes_nothing(services: Services) -> None:
    """The next attempt makes the same files, so that the lost one must leave them where they are."""
    row, task = await leased(services, REQUEST)

    async def silent(fraction: float, message: str) -> None:
        """Lost between two reports: only the fence can tell."""

    task.report = silent  # type: ignore[method-assign]
    await runs.transition(services.gateway, row.uid, "RUNNING", "QUEUED", row.lease_token)
    with pytest.raises(LeaseLost):
        await generation.execute(services, row, task)
    assert (await counts(services))["sequences"] == 0
    (file,) = services.store.root.glob("segments/*/*.h5")
    assert file.stat().st_size > 0


async def test_bad_settings_are_refused(services: Services) -> None:
    with pytest.raises(FieldError, match="multiple of 8"):
        plan(GenerationRequest(domain="fluid_dynamics", settings={"scale": 12}))
    with pytest.raises(FieldError, match="simulator"):
        plan(GenerationRequest(domain="surface_temperature"))
