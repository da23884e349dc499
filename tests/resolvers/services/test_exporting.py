"""Export of sequences of the graph: the file read back is the sequence, and nothing is half-written."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from graph.errors import GraphError, NotFound
from graph.queries import timeline
from nvp.atlas.formats.importers import Wanted, read_file
from nvp.atlas.series import Series
from nvp.errors import FieldError
from resolvers.services.context import Services
from resolvers.services.exporting import ExportRequest, export_sequences
from resolvers.services.importing import IngestRequest, each, prepare
from resolvers.services.ingest import ingest_file, ingest_prepared, ingest_series
from resolvers.services.loading import load

pytestmark = pytest.mark.db

T, H, W = 6, 8, 16


def simulated(seed: int, first: int = 0) -> Series:
    rng = np.random.default_rng(seed)
    return Series(
        energy=rng.random((T, H, W, 1)).astype(np.float32),
        context={"velocity": rng.normal(size=(T, H, W, 2)).astype(np.float32)},
        parameters={"viscosity": 0.1 * seed},
        dt=2.1,
        first=first,
        source_total=np.zeros(T),
        outflow_total=np.zeros(T),
        domain="fluid_dynamics",
    )


def names(folder: Path) -> list[str]:
    return [item.name for item in folder.iterdir()]


async def stored(services: Services, seed: int, first: int = 0) -> str:
    report = await ingest_series(
        services, simulated(seed, first), source=f"s{seed}", recipe={"seed": seed}, generator="test", label="Simulated"
    )
    return report.sequence


@pytest.mark.parametrize("name", ["f.hdf5", "f.nc", "f.zarr", "f.npz"])
async def test_a_sequence_goes_out_and_comes_back(services: Services, tmp_path: Path, name: str) -> None:
    uid = await stored(services, 1, first=40)
    report = await export_sequences(services, ExportRequest(sequences=(uid,), path=tmp_path / name))
    assert (report.frames, report.height, report.width, report.domain) == (T, H, W, "fluid_dynamics")
    assert report.bytes > T * H * W * 12
    (read,) = read_file(tmp_path / name).series(domain="fluid_dynamics")
    expected = simulated(1, first=40)
    np.testing.assert_array_equal(read.energy, expected.energy)
    np.testing.assert_array_equal(read.context["velocity"], expected.context["velocity"])
    # absolute steps, not places in this graph
    assert (read.first, read.dt, read.parameters) == (40, 2.1, {"viscosity": 0.1})

    # and into the graph again: the same frames under the same steps
    again = await ingest_file(services, IngestRequest(path=tmp_path / name, domain="fluid_dynamics"))
    assert (again.created, again.first_step, again.last_step) == (T, 40, 45)
    # what was simulated does not come back as an observation
    assert (await timeline.sequence(services.gateway, again.sequence)).origin == "Simulated"
    back = await load(services, again.sequence, 0, T - 1)
    ours = await load(services, uid, 0, T - 1)
    for field in ("energy", "source_total", "outflow_total", "dt", "first", "parameters"):
        np.testing.assert_equal(getattr(back, field), getattr(ours, field))


async def test_trajectories_become_sequences_of_their_own(services: Services, tmp_path: Path) -> None:
    uids = (await stored(services, 1), await stored(services, 2))
    path = tmp_path / "flow.hdf5"
    await export_sequences(services, ExportRequest(sequences=uids, path=path, format="well"))
    requests = each(IngestRequest(path=path, domain="fluid_dynamics"))
    assert [request.source for request in requests] == ["flow-0", "flow-1"]
    reports = [await ingest_prepared(services, prepare(request)) for request in requests]
    assert len({report.sequence for report in reports}) == 2
    for seed, report in zip((1, 2), reports, strict=True):
        series = await load(services, report.sequence, 0, T - 1)
        np.testing.assert_array_equal(series.energy, simulated(seed).energy)
    # one alone is the same sequence as among all
    (alone,) = each(IngestRequest(path=path, domain="fluid_dynamics", trajectory=1))
    assert (await ingest_prepared(services, prepare(alone))).created == 0
    rows = await services.gateway.read("MATCH (s:Sequence {source: 'flow-1'}) RETURN s.recipe_json AS recipe LIMIT 2")
    assert len(rows) == 1
    assert '"trajectory":1' in rows[0]["recipe"].replace(" ", "")
    assert '"boundaries":["periodic","periodic"]' in rows[0]["recipe"].replace(" ", "")


async def test_a_recipe_is_part_of_the_sequence(services: Services, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    u, v = rng.random((2, T, H, W)).astype(np.float32)
    np.savez(tmp_path / "wind.npz", u=u, v=v)
    request = IngestRequest(
        path=tmp_path / "wind.npz", domain="fluid_dynamics", energy="kinetic = 0.5*(u**2+v**2)",
        velocity=("u", "v"), dx=2.0, dy=-1.0, dt=0.5, units="1",
    )  # fmt: skip
    report = await ingest_file(services, request)
    series = await load(services, report.sequence, 0, T - 1)
    expected = 0.5 * (u.astype(float) ** 2 + v.astype(float) ** 2)
    np.testing.assert_allclose(series.energy[..., 0], expected, rtol=1e-7)
    np.testing.assert_array_equal(series.context["velocity"], np.stack([u / 2, -v], axis=-1))
    assert report.dt == 0.5
    # another spelling is the same recipe, another recipe another sequence
    same = dataclasses.replace(request, energy="kinetic=.5 * ( u ** 2 + v ** 2 )")
    assert (await ingest_file(services, same)).created == 0
    other = await ingest_file(services, dataclasses.replace(request, energy="kinetic = u**2+v**2"))
    assert other.sequence != report.sequence
    rows = await services.gateway.read(
        "MATCH (s:Sequence {uid: $uid}) RETURN s.recipe_json AS recipe LIMIT 1", uid=report.sequence
    )
    assert "kinetic = (0.5 * ((u ** 2.0) + (v ** 2.0)))" in rows[0]["recipe"]


async def test_part_of_a_sequence(services: Services, tmp_path: Path) -> None:
    uid = await stored(services, 1)
    await export_sequences(services, ExportRequest(sequences=(uid,), path=tmp_path / "f.npz", first=2, last=4))
    (read,) = read_file(tmp_path / "f.npz", wanted=Wanted()).series(domain="fluid_dynamics")
    np.testing.assert_array_equal(read.energy, simulated(1).energy[2:5])
    assert read.first == 2
    for first, last, error in ((4, 2, FieldError), (0, 99, GraphError), (-5, 2, GraphError)):
        request = ExportRequest(sequences=(uid,), path=tmp_path / "g.npz", first=first, last=last)
        with pytest.raises(error):
            await export_sequences(services, request)
    assert names(tmp_path) == ["f.npz"]


async def test_what_cannot_be_exported(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = await stored(services, 1)
    with pytest.raises(NotFound):
        await export_sequences(services, ExportRequest(sequences=("nobody",), path=tmp_path / "f.npz"))
    weather = await ingest_series(
        services, dataclasses.replace(simulated(2), domain="surface_temperature"),
        source="w", recipe={}, generator="test", label="Simulated",
    )  # fmt: skip
    with pytest.raises(FieldError, match="one domain, got fluid_dynamics, surface_temperature"):
        await export_sequences(services, ExportRequest(sequences=(uid, weather.sequence), path=tmp_path / "f.hdf5"))
    seen = await ingest_series(
        services, simulated(3), source="seen", recipe={}, generator="test", label="Observed"
    )  # fmt: skip
    with pytest.raises(FieldError, match="observed or simulated sequences, got both"):
        await export_sequences(services, ExportRequest(sequences=(uid, seen.sequence), path=tmp_path / "f.hdf5"))
    monkeypatch.setattr("resolvers.services.exporting.MOST_BYTES", 1000)
    with pytest.raises(FieldError, match="--first and --last") as caught:
        await export_sequences(services, ExportRequest(sequences=(uid,), path=tmp_path / "f.npz"))
    assert caught.value.code == "TOO_LARGE"
    assert names(tmp_path) == []
