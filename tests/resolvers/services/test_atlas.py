"""An atlas with a graph: it knows what is saved, gives what only it has, and may stay away."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graph.gateway import Gateway
from graph.settings import Settings
from nvp.atlas.maps.errors import NotInAtlas
from nvp.atlas.maps.loader import AtlasWarning, EnergyAtlasLoader
from nvp.atlas.maps.metadata import EnergyMapMetadata
from nvp.atlas.maps.port import AtlasGraph
from resolvers.services.atlas import GraphAtlas
from tests.conftest import free_port

FLUID = "fluid_dynamics"


@pytest.fixture
def graph(settings: Settings, gateway: Gateway) -> Iterator[GraphAtlas]:
    with GraphAtlas(settings) as graph:
        yield graph


def maps(length: int, seed: int = 0) -> tuple[np.ndarray, list[EnergyMapMetadata]]:
    energy = np.random.default_rng(seed).random((length, 16, 24), dtype=np.float32)
    said = [
        EnergyMapMetadata.of(
            e, domain=FLUID, sequence="run", step=3 + k, source="synthetic", seed=seed, source_total=0.5
        )
        for k, e in enumerate(energy)
    ]
    return energy, said


async def count(gateway: Gateway) -> tuple[int, int, int]:
    rows = await gateway.read(
        "MATCH (:Sequence {source: 'run', generator: 'atlas'})-[:HAS_SNAPSHOT]->(e:Simulated) "
        "OPTIONAL MATCH (e)-[n:NEXT]->() RETURN count(DISTINCT e) AS e, count(n) AS n, count(DISTINCT e.sequence) AS s"
    )
    return rows[0]["e"], rows[0]["n"], rows[0]["s"]


async def test_what_is_saved_is_in_the_graph_once(tmp_path: Path, graph: GraphAtlas, gateway: Gateway) -> None:
    assert isinstance(graph, AtlasGraph)
    atlas = EnergyAtlasLoader(tmp_path, FLUID, graph=graph)
    energy, said = maps(4)
    for _ in range(2):
        atlas.save_sequence(energy, said)
        assert await count(gateway) == (4, 3, 1)
    atlas.save_map(energy[0], None, "run/7", EnergyMapMetadata.of(energy[0], **_place(7)))
    assert await count(gateway) == (5, 4, 1)
    # it is the folder's sequence, and not a second one
    assert [one.name for one in atlas.sequences()] == ["run"]


async def test_the_graphs_own_sequences_are_loaded_by_uid(tmp_path: Path, graph: GraphAtlas, gateway: Gateway) -> None:
    energy, said = maps(4)
    EnergyAtlasLoader(tmp_path / "a", FLUID, graph=graph).save_sequence(energy, said)
    elsewhere = EnergyAtlasLoader(tmp_path / "b", FLUID, graph=graph)
    (sequence,) = elsewhere.sequences()
    assert sequence.steps.tolist() == [3, 4, 5, 6]
    loaded, metadata = elsewhere.load_map(None, f"{sequence.name}/5")
    np.testing.assert_array_equal(loaded, energy[2])
    # the graph says what the sidecar says, but for its own name of the sequence
    assert replace(metadata, sequence="run", t=said[2].t) == said[2]
    # which counts time from the first frame that it was given
    assert metadata.t == pytest.approx(2 * 2.1)
    batch, _ = elsewhere.load_batch(window=2, stride=1)
    np.testing.assert_array_equal(batch, np.stack([energy[k : k + 2] for k in range(3)]))
    assert elsewhere.get_domain_stats()["count"] == 4
    with pytest.raises(NotInAtlas):
        elsewhere.load_map("surface_temperature", f"{sequence.name}/5")


async def test_a_map_that_is_saved_anew_is_replaced_in_the_graph(
    tmp_path: Path, graph: GraphAtlas, gateway: Gateway
) -> None:
    energy, said = maps(4)
    atlas = EnergyAtlasLoader(tmp_path / "a", FLUID, graph=graph)
    atlas.save_sequence(energy, said)
    other = maps(1, seed=1)[0][0]
    atlas.save_map(other, None, "run/5", said[2])
    assert await count(gateway) == (4, 3, 1)
    elsewhere = EnergyAtlasLoader(tmp_path / "b", FLUID, graph=graph)
    (sequence,) = elsewhere.sequences()
    np.testing.assert_array_equal(elsewhere.load_map(None, f"{sequence.name}/5")[0], other)
    np.testing.assert_array_equal(elsewhere.windows(window=4)[0], [energy[0], energy[1], other, energy[3]])


def test_a_graph_that_does_not_answer_costs_one_warning(tmp_path: Path, settings: Settings) -> None:
    nobody = settings.model_copy(update={"neo4j_uri": f"bolt://127.0.0.1:{free_port()}", "neo4j_password": None})
    with GraphAtlas(nobody) as graph:
        atlas = EnergyAtlasLoader(tmp_path, FLUID, graph=graph)
        energy, said = maps(4)
        with pytest.warns(AtlasWarning, match="does not answer") as caught:
            atlas.save_sequence(energy, said)
        assert len(caught) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(atlas.load_map(None, "run/4")[0], energy[1])
            assert len(atlas.load_batch(window=2)[0]) == 2
            atlas.save_map(energy[0], None, "run/9")
        later = EnergyAtlasLoader(tmp_path, FLUID, graph=graph)
        with pytest.warns(AtlasWarning):
            assert len(later.load_batch(window=2)[0]) == 2


def _place(step: int) -> dict[str, Any]:
    return {"domain": FLUID, "sequence": "run", "step": step, "source": "synthetic", "seed": 0, "source_total": 0.5}
