"""Simulated sequences stand in where too little was observed: so many, so labelled, and never beside observed ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graph.errors import GraphError
from graph.queries import runs
from nvp.atlas.series import Series
from resolvers.services import generation
from resolvers.services.context import Services
from resolvers.services.ingest import ingest_series
from resolvers.services.samples import Samples, ensure_samples
from resolvers.services.submission import TrainingRequest, submit_training
from resolvers.task import Task

pytestmark = pytest.mark.db

SETTINGS = {"scale": 16, "steps": 4}
LABELS = """
RETURN count {(:EnergySnapshot:Observed)} AS observed, count {(:EnergySnapshot:Simulated)} AS simulated
"""


async def observe(services: Services, frames: int) -> str:
    """Measured frames of the domain."""
    energy = np.random.default_rng(0).uniform(0.5, 1.5, (frames, 16, 16, 1)).astype(np.float32)
    report = await ingest_series(
        services,
        Series(energy=energy, dt=1.0, domain="fluid_dynamics"),
        source="probe",
        recipe={},
        generator="import",
        label="Observed",
    )
    return report.sequence


async def ensure(services: Services, least: int) -> Samples:
    """Pictures are the quickest to make; the counting is the same."""
    samples = await ensure_samples(services, "fluid_dynamics", least, kind="perturbation", seed=2, settings=SETTINGS)
    if samples.run is not None:
        (row,) = await runs.claim(
            services.gateway, capability="batch", worker="test", lease_seconds=60, only=samples.run.uid
        )
        await runs.transition(services.gateway, row.uid, "LEASED", "RUNNING", row.lease_token)
        await generation.execute(services, row, Task(services.gateway, row))
        await runs.transition(services.gateway, row.uid, "RUNNING", "SUCCEEDED", row.lease_token)
    return samples


async def labels(services: Services) -> dict[str, int]:
    return (await services.gateway.read(LABELS))[0]


async def test_nothing_observed_is_all_simulated(services: Services) -> None:
    samples = await ensure(services, 10)
    assert (samples.observed, samples.simulated, len(samples.sequences)) == (0, 12, 3)
    assert await labels(services) == {"observed": 0, "simulated": 12}
    assert "0 observed frames, which is too few: 12 simulated ones (:Simulated)" in samples.message


async def test_too_little_observed_is_filled_up_and_kept_apart(services: Services) -> None:
    probe = await observe(services, 7)
    samples = await ensure(services, 10)
    assert (samples.observed, samples.simulated) == (7, 4)
    assert await labels(services) == {"observed": 7, "simulated": 4}
    assert probe not in samples.sequences
    # simulated frames do not count as observed: the same again is as short, and adds nothing
    assert (await ensure_samples(services, "fluid_dynamics", 10, kind="perturbation", seed=2, settings=SETTINGS)).run
    assert await labels(services) == {"observed": 7, "simulated": 4}


async def test_enough_observed_simulates_nothing(services: Services) -> None:
    probe = await observe(services, 10)
    samples = await ensure(services, 10)
    assert samples == Samples(domain="fluid_dynamics", observed=10, simulated=0, sequences=(probe,))
    assert await runs.list_runs(services.gateway) == []
    assert "enough" in samples.message


async def test_a_training_on_a_domain_never_mixes_them(services: Services) -> None:
    await observe(services, 8)
    samples = await ensure(services, 20)
    request = TrainingRequest(domain="fluid_dynamics", model="ridge")
    with pytest.raises(GraphError, match="observed or simulated sequences of fluid_dynamics, got both"):
        await submit_training(services, request)
    run = await submit_training(services, replace(request, sequences=samples.sequences))
    used = await services.gateway.read(
        "MATCH (:Run {uid: $uid})-[:USED]->(s:Sequence)-[:HAS_SNAPSHOT]->(e) "
        "RETURN count(e) AS frames, count(CASE WHEN e:Simulated THEN 1 END) AS simulated",
        uid=run.uid,
    )
    assert used == [{"frames": 12, "simulated": 12}]
