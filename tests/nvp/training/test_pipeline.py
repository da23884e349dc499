"""Every example once per epoch, in an order that a seed decides, and from anywhere on exactly what was left."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvp.atlas.maps.loader import EnergyAtlasLoader
from nvp.atlas.maps.metadata import EnergyMapMetadata
from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from nvp.model.config import config_for
from nvp.training.data import Examples
from nvp.training.pipeline import Pipeline, PipelineConfig
from tests.nvp.fields import fluid_series


class Numbers:
    """A source whose batches are their numbers."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def batch(self, numbers: np.ndarray, /) -> list[int]:
        return numbers.tolist()  # type: ignore[no-any-return]


def drawn(length: int, **settings: Any) -> list[list[int]]:
    pipeline: Pipeline[list[int]] = Pipeline(Numbers(length), PipelineConfig(**settings))
    try:
        return list(pipeline)
    finally:
        pipeline.close()


configurations = st.fixed_dictionaries(
    {
        "length": st.integers(1, 40),
        "batch": st.integers(1, 7),
        "rng_seed": st.none() | st.integers(0, 3),
        "shards": st.integers(1, 3),
        "epochs": st.integers(1, 3),
    }
)


@settings(max_examples=40, deadline=None)
@given(chosen=configurations)
def test_shards_share_nothing_and_leave_nothing_out(chosen: dict[str, Any]) -> None:
    length, epochs, shards = chosen["length"], chosen["epochs"], min(chosen["shards"], chosen["length"])
    counts = [Counter[int]() for _ in range(epochs)]
    for shard in range(shards):
        batches = drawn(**chosen | {"shards": shards, "shard": shard})
        per_epoch = len(batches) // epochs
        assert [len(batch) for batch in batches[:per_epoch]][:-1] == [chosen["batch"]] * (per_epoch - 1)
        for epoch in range(epochs):
            counts[epoch].update(n for batch in batches[epoch * per_epoch : (epoch + 1) * per_epoch] for n in batch)
    assert counts == [Counter(range(length))] * epochs


@settings(max_examples=40, deadline=None)
@given(chosen=configurations, taken=st.integers(0, 60), prefetch=st.integers(1, 4), threads=st.integers(1, 2))
def test_a_saved_position_gives_exactly_the_rest(
    chosen: dict[str, Any], taken: int, prefetch: int, threads: int
) -> None:
    length, shards = chosen["length"], min(chosen["shards"], chosen["length"])
    whole = {name: value for name, value in chosen.items() if name != "length"} | {"shards": shards}
    config = PipelineConfig(**whole, prefetch=prefetch, threads=threads)
    first: Pipeline[list[int]] = Pipeline(Numbers(length), config)
    batches = [next(first) for _ in range(min(taken, first.batches * chosen["epochs"]))]
    state = json.loads(json.dumps(first.state()))
    # whoever goes on may make fewer batches ahead
    second: Pipeline[list[int]] = Pipeline(Numbers(length), PipelineConfig(**whole), state=state)
    rest = list(second)
    assert list(first) == rest
    assert batches + rest == drawn(length, **whole)
    first.close()
    second.close()


def test_orders_differ_by_epoch_and_seed_and_not_by_run() -> None:
    batches = drawn(64, batch=64, epochs=2)
    assert batches[0] != batches[1] != sorted(batches[1])
    assert drawn(64, batch=64, epochs=2) == batches
    assert drawn(64, batch=64, rng_seed=1)[0] != batches[0]
    assert drawn(64, batch=64, rng_seed=None)[0] == list(range(64))


def test_a_rest_may_be_left_out_and_epochs_may_go_on_for_ever() -> None:
    assert [len(batch) for batch in drawn(11, batch=4)] == [4, 4, 3]
    assert [len(batch) for batch in drawn(11, batch=4, drop_rest=True)] == [4, 4]
    endless: Pipeline[list[int]] = Pipeline(Numbers(3), PipelineConfig(batch=3, epochs=None))
    assert [sorted(next(endless)) for _ in range(10)] == [[0, 1, 2]] * 10
    endless.close()


def test_what_cannot_be_is_refused() -> None:
    bad: dict[str, Any]
    for bad in ({"batch": 0}, {"shards": 0}, {"shard": 1}, {"shard": -1}, {"epochs": 0}, {"prefetch": 0}):
        with pytest.raises(FieldError, match="shard"):
            PipelineConfig(**{"batch": 2} | bad)
    with pytest.raises(FieldError, match="examples in shard"):
        drawn(3, batch=4, drop_rest=True)
    with pytest.raises(FieldError, match="examples in shard"):
        drawn(1, batch=1, shards=2, shard=1)
    pipeline: Pipeline[list[int]] = Pipeline(Numbers(9), PipelineConfig(batch=2))
    state = pipeline.state()
    for length, batch, seed in ((8, 2, 0), (9, 3, 0), (9, 2, 1)):
        with pytest.raises(FieldError, match="position"):
            Pipeline(Numbers(length), PipelineConfig(batch=batch, rng_seed=seed), state=state)
    pipeline.close()


def test_windows_of_an_atlas_and_examples_of_series_are_sources(tmp_path: Path) -> None:
    atlas = EnergyAtlasLoader(tmp_path, "fluid_dynamics")
    for number in range(2):
        energy = np.stack([np.full((8, 8), 10 * number + step, np.float32) for step in range(5)])
        said = [
            EnergyMapMetadata.of(e, domain="fluid_dynamics", sequence=f"s{number}", step=step, source="synthetic")
            for step, e in enumerate(energy)
        ]
        atlas.save_sequence(energy, said, format="hdf5")
    batches: Pipeline[np.ndarray] = Pipeline(
        atlas.windows(window=2, stride=1), PipelineConfig(batch=3, threads=2, prefetch=4)
    )
    windows = np.concatenate([batch[:, :, 0, 0] for batch in batches])
    assert sorted(windows[:, 0].tolist()) == [0, 1, 2, 3, 10, 11, 12, 13]
    np.testing.assert_array_equal(windows[:, 1], windows[:, 0] + 1)

    series = fluid_series()
    examples = Examples(config_for(domain(series.domain), series), [series])
    inputs, truth = next(Pipeline(examples, PipelineConfig(batch=4, rng_seed=None)))
    np.testing.assert_array_equal(truth, series.energy[1:5] if examples.config.history == 1 else truth)
    np.testing.assert_array_equal(inputs.history, examples.batch(np.arange(4))[0].history)


def test_what_is_wrong_with_a_file_arrives_as_it_was_said(tmp_path: Path) -> None:
    atlas = EnergyAtlasLoader(tmp_path, "fluid_dynamics")
    for step in range(4):
        atlas.save_map(np.ones((8, 8)), None, f"run/{step}")
    windows = atlas.windows(window=2, stride=1)
    atlas.folder.npy("fluid_dynamics", "run", 2).write_bytes(b"cut off")
    pipeline: Pipeline[np.ndarray] = Pipeline(windows, PipelineConfig(batch=1, threads=2))
    with pytest.raises(FieldError, match=r"0002\.npy"):
        list(pipeline)
    pipeline.close()
