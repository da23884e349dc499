"""The atlas's bench measures both sides on the same data and says what it did."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvp.atlas.maps.loader import EnergyAtlasLoader
from nvp.atlas.maps.windows import Windows
from resolvers.benches.atlas import AtlasConfig, bench_atlas

SMALL = AtlasConfig(sequences=2, frames=30, scale=16, window=4, batch=4, maps=2, pyramid_scale=32, repeats=2)


def test_both_sides_read_the_same_and_are_reported(tmp_path: Path) -> None:
    shares: list[float] = []
    found = bench_atlas(SMALL, tmp_path, on_progress=lambda name, share, message: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert found["n"] == 2 * 27 // 4
    for kind in ("warm", "cold"):
        part = found["results"]["batches"][kind]
        for side in ("loader", "h5py"):
            rate = part[f"{side}_batches_per_second"]
            assert 0 < rate["min"] <= rate["median"] <= rate["max"]
    assert found["ratio"] == min(found["results"]["batches"][kind]["ratio"] for kind in ("warm", "cold"))
    assert found["results"]["pyramids"]["largest_difference_of_area_means"] < 1e-12
    assert len(EnergyAtlasLoader(tmp_path, "fluid_dynamics").sequences()) == 2


def test_a_loader_that_reads_other_frames_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Windows.batch
    monkeypatch.setattr(Windows, "batch", lambda self, numbers: right(self, numbers[::-1]))
    with pytest.raises(AssertionError):
        bench_atlas(SMALL, tmp_path, on_progress=lambda *_: None)
