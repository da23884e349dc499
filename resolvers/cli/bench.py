"""`fieldgraph bench`: figures with the machine they were measured on, each beside what it is compared with."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from graph.embedded import server
from graph.errors import GraphError
from graph.gateway import Gateway
from graph.settings import Settings
from migrations.runner import migrate
from nvp import failpoints
from nvp.atlas.store import ArrayStore
from nvp.errors import FieldError
from resolvers import supervisor
from resolvers.benches.faults import FaultsConfig, bench_faults, impatient
from resolvers.benches.ingest import IngestConfig, bench_ingest
from resolvers.benches.machine import machine
from resolvers.benches.runs import RunsConfig, bench_runs
from resolvers.benches.serving import ServingConfig, bench_serving
from resolvers.cli import bench_coord, bench_nvp
from resolvers.cli.bars import Bars
from resolvers.cli.output import JsonOption, emit, fail, run
from resolvers.client import Client
from resolvers.services.context import Services
from resolvers.services.importing import IngestRequest, prepare
from resolvers.serving import serving as service
from resolvers.web.tokens import Tokens

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Measure.")


@app.callback()
def _group() -> None:
    """Measure; each bench has a Neo4j and a store of its own and leaves nothing behind."""


app.command()(bench_nvp.nvp)
app.command()(bench_nvp.apebench)
app.command()(bench_nvp.literal)
app.command(cls=bench_coord.Several)(bench_coord.coord)
app.command(cls=bench_coord.Several)(bench_coord.df90)
app.command()(bench_coord.amortiser)


@app.command()
def serving(
    n: Annotated[int, typer.Option(min=20, help="Timed predictions, idle and again during a training.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Root of everything random.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """How long a prediction takes through the API, idle and while a training runs, and 16 that come at once.

    Example: fieldgraph bench serving --json
    """
    config = ServingConfig(n=n, seed=seed)
    result = {"name": "serving", **machine(), "seed": seed, **run(_serving(config))}
    found = result["results"]
    rows = [
        f"{name:9} p50 {found[name]['p50_ms']:.0f} ms, p95 {found[name]['p95_ms']:.0f} ms"
        for name in ("idle", "training")
    ]
    burst = found["burst"]
    rows += [
        f"p95 during a training / idle: {result['ratio']}",
        f"{burst['n']} at once: {burst['together_ms']:.0f} ms, one by one {burst['one_by_one_ms']:.0f} ms "
        f"(gain {burst['gain']})",
    ]
    emit(result, as_json=as_json, text="\n".join(rows))


@app.command()
def faults(
    runs: Annotated[int, typer.Option(min=5, help="Runs that are asked for; three of five are trainings.")] = 50,
    times: Annotated[int, typer.Option(min=1, help="How often each of the nine faults happens.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Root of everything random.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """What survives when workers, API and Neo4j are killed in the midst of runs, and processes end at the worst places.

    Exit code 1 where a run is lost, something is there twice, a lost lease still opens a door, or a training that was
    taken over ends with other states than one that was not.

    Example: fieldgraph bench faults --runs 50 --seed 0 --json
    """
    found = run(_faults(FaultsConfig(runs=runs, times=times, seed=seed)))
    result = {"name": "faults", **machine(), "seed": seed, **found}
    rows = [
        f"{found['runs']} runs, {found['trainings']} of them trainings; faults: "
        + ", ".join(f"{name} {number}" for name, number in found["by_failpoint"].items()),
        f"lost {found['lost']}, failed {found['failed']}, duplicated {found['duplicated']}",
        f"writes with a lost lease: {found['stale_writes']} of {found['stale_tried']} that were tried",
        f"{found['resumed']} trainings taken over, {found['compared_states']} states compared with undisturbed ones: "
        + ("all equal" if found["resume_bit_equal"] else f"unequal {', '.join(found['unequal']) or 'none'}"),
        *(f"missed: {name}" for name, holds in found["criteria"].items() if not holds),
    ]
    emit(result, as_json=as_json, text="\n".join(rows))
    if not found["passed"]:
        raise typer.Exit(1)


@app.command("runs")
def runs_(
    runs: Annotated[int, typer.Option(min=2, help="Runs that wait in the queue; half of them need JAX.")] = 200,
    workers: Annotated[int, typer.Option(min=2, help="Workers, each a process of its own with a child.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Root of everything random.")] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Claim and end runs in this process, without doing their work.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """How long a claim takes when many workers want runs of one queue, and whether each is executed exactly once.

    Exit code 1 where a run is lost, claimed or executed twice, or a claim takes 20 ms per run or more.

    Example: fieldgraph bench runs --json
    """
    found = run(_runs(RunsConfig(runs=runs, workers=workers, seed=seed, quick=quick)))
    result = {"name": "runs", **machine(), "seed": seed, **found}
    claim = found["claim_ms"]
    rows = [
        f"{found['n']} runs, {found['workers']} workers: {found['succeeded']} executed, lost {found['lost']}, "
        f"twice {found['duplicated']}",
        f"claim per run: mean {claim['mean']} ms, p50 {claim['p50']} ms, p95 {claim['p95']} ms "
        f"(one worker alone: {found['alone_ms']} ms)",
        f"all in {found['seconds']} s",
        *(f"missed: {name}" for name, holds in found["criteria"].items() if not holds),
    ]
    emit(result, as_json=as_json, text="\n".join(rows))
    if not found["passed"]:
        raise typer.Exit(1)


@app.command()
def ingest(
    frames: Annotated[int, typer.Option(min=1, help="Snapshots to ingest.")] = 20_000,
    scale: Annotated[int, typer.Option(min=8, help="Cells of one side of a field.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Root of everything random.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """How long fields in the store take into the graph: hashing, statistics, descriptors and links.

    Example: fieldgraph bench ingest --frames 20000 --json
    """
    found = run(_ingest(IngestConfig(frames=frames, scale=scale, seed=seed)))
    result = {"name": "ingest", **machine(), "seed": seed, "n": found["n"], "scale": scale, "results": found}
    text = (
        f"{found['n']} snapshots in {found['seconds']} s ({found['snapshots_per_second']}/s), "
        f"peak memory {found['rss_mib']['peak']} MiB\nby stage, alone: {found['stages']}\n"
        f"again: {found['rerun']['created']} created in {found['rerun']['seconds']} s"
    )
    emit(result, as_json=as_json, text=text)


@app.command()
def atlas(
    frames: Annotated[int, typer.Option(min=20, help="Frames of each of four sequences.")] = 500,
    scale: Annotated[int, typer.Option(min=8, help="Cells of one side of a field.")] = 64,
    repeats: Annotated[int, typer.Option(min=1, help="Passes over the data, of each side.")] = 7,
    seed: Annotated[int, typer.Option(min=0, help="Root of everything random.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """How fast the atlas loads shuffled windows and makes pyramids, beside plain h5py and scipy.

    Exit code 1 where the loader gives less than 0.9 of h5py's batches per second, warm or cold.

    Example: fieldgraph bench atlas --json
    """
    from resolvers.benches import atlas as bench

    try:
        config = bench.AtlasConfig(frames=frames, scale=scale, repeats=repeats, seed=seed)
        with tempfile.TemporaryDirectory(prefix="fieldgraph-bench-") as folder, Bars() as bars:
            found = bench.bench_atlas(config, Path(folder), on_progress=bars.update)
    except FieldError as error:
        fail(error)
    where = machine()
    where["versions"] |= found.pop("libraries")
    result = {"name": "atlas", **where, "seed": seed, **found}
    batches, pyramids = found["results"]["batches"], found["results"]["pyramids"]
    rows = [
        f"{kind} batches/s  atlas {batches[kind]['loader_batches_per_second']['median']}, "
        f"h5py {batches[kind]['h5py_batches_per_second']['median']}, ratio {batches[kind]['ratio']}"
        for kind in ("warm", "cold")
    ]
    rows += [
        f"{kind} maps/s  atlas {pyramids[f'{kind}_maps_per_second']['median']}, "
        f"scipy {pyramids[f'{other}_maps_per_second']['median']}, ratio {pyramids[f'{kind}_ratio']}"
        for kind, other in (("area", "scipy_uniform_filter"), ("cubic", "scipy_zoom_order_3"))
    ]
    emit(result, as_json=as_json, text="\n".join(rows))
    if found["ratio"] < bench.LEAST_RATIO:
        raise typer.Exit(1)


@app.command()
def regimes(
    sequences: Annotated[int, typer.Option(min=1, help="Sequences of each domain.")] = 4,
    steps: Annotated[int, typer.Option(min=4, help="Frames of each sequence.")] = 50,
    scale: Annotated[int, typer.Option(min=16, help="Cells of one side of a field.")] = 64,
    seeds: Annotated[int, typer.Option(min=1, help="How many rng seeds, from 0.")] = 3,
    file: Annotated[list[Path] | None, typer.Option(help="Real fields beside them; may be repeated.")] = None,
    domain: Annotated[str, typer.Option(help="Domain of the files.")] = "surface_temperature",
    as_json: JsonOption = False,
) -> None:
    """Which regimes the simulated fields have, and how well descriptors of first halves tell those of second halves.

    Exit code 1 where fewer than three regimes occur, or the agreement is below 0.8 or no better than naming one regime
    for all, be it with or without the own sequence.

    Example: fieldgraph bench regimes --file era5_t2m_uk_2019-03.nc --json
    """
    from resolvers.benches import regimes as bench

    config = bench.RegimesConfig(sequences=sequences, steps=steps, scale=scale, seeds=tuple(range(seeds)))
    try:
        requests = [IngestRequest(path=path, domain=domain, fit="crop") for path in file or ()]
        files = [part for request in requests for part in prepare(request).parts]
        with Bars() as bars:
            found = bench.bench_regimes(config, files, on_progress=bars.update)
    except (FieldError, GraphError) as error:
        fail(error)
    result = {"name": "regimes", **machine(), **found}
    rows = [f"{name:28} {one['agreement']:.3f}  {one['counts']}" for name, one in found["domains"].items()]
    said = (
        f"agreement {found['agreement']:.3f} (least {found['least']:.3f}; by other sequences {found['apart']:.3f}), "
        f"majority {found['majority']:.3f}"
    )
    emit(result, as_json=as_json, text="\n".join([*rows, f"{said}, n = {found['n']}"]))
    if not bench.passed(found):
        raise typer.Exit(1)


async def _ingest(config: IngestConfig) -> dict[str, Any]:
    async with _own_graph() as (settings, gateway):
        services = Services(settings=settings, gateway=gateway, store=ArrayStore(settings.store))
        with Bars() as bars:
            return await bench_ingest(services, config, on_progress=bars.update)


async def _runs(config: RunsConfig) -> dict[str, Any]:
    async with _own_graph() as (settings, gateway):
        services = Services(settings=settings, gateway=gateway, store=ArrayStore(settings.store))
        with Bars() as bars:
            return await bench_runs(services, config, on_progress=bars.update)


async def _faults(config: FaultsConfig) -> dict[str, Any]:
    async with _own_graph() as (settings, gateway):
        settings, points = impatient(settings), settings.home / "failpoints"
        os.environ[failpoints.VARIABLE] = str(points)  # for the processes that the service starts
        try:
            async with (
                service(settings) as url,
                Client(url, token=Tokens(settings.home).local()) as client,
            ):
                with Bars() as bars:
                    return await bench_faults(
                        gateway, settings, config, client=client, url=url, points=points, on_progress=bars.update
                    )
        finally:
            del os.environ[failpoints.VARIABLE]


async def _serving(config: ServingConfig) -> dict[str, Any]:
    async with (
        _own_graph() as (settings, _),
        service(settings) as url,
        Client(url, token=Tokens(settings.home).local()) as client,
    ):
        with Bars() as bars:
            return await bench_serving(client, config, on_progress=bars.update)


@asynccontextmanager
async def _own_graph() -> AsyncIterator[tuple[Settings, Gateway]]:
    """A new, migrated Neo4j with an empty store beside it; both end with the bench."""
    with tempfile.TemporaryDirectory(prefix="fieldgraph-bench-") as home:
        settings = Settings().model_copy(
            update={
                "home": Path(home),
                "store": Path(home) / "store",
                "neo4j_uri": None,
                "neo4j_password": None,
                "bolt_port": _free_port(),
                "http_port": _free_port(),
                "port": 0,
                "log_level": "warning",
            }
        )
        try:
            async with supervisor.neo4j(settings) as gateway:
                await migrate(gateway)
                yield settings, gateway
        finally:
            server.stop(settings)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
