"""Bench: how fast the atlas gives batches and levels, beside plain h5py and scipy on the same bytes.

Batches are shuffled windows out of HDF5 sequences (chunk = frame); both sides read the same windows in the same order
into an array (N, T, H, W). *Warm*: the files are in the page cache and open. *Cold*: before each pass the kernel is
told to drop them (`posix_fadvise`, POSIX_FADV_DONTNEED, after `fsync`) and both sides open them anew.
Both sides take turns, and which of them begins changes with each repeat.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nvp.atlas.maps import reader
from nvp.atlas.maps.gradients import Geometry
from nvp.atlas.maps.loader import EnergyAtlasLoader
from nvp.atlas.maps.metadata import EnergyMapMetadata
from nvp.atlas.maps.pyramids import level

DOMAIN = "fluid_dynamics"
COLD = "posix_fadvise(POSIX_FADV_DONTNEED) on each file after fsync, files opened anew"
# of h5py's batches per second
LEAST_RATIO = 0.9
# scales of a pyramid, by their factor
FACTORS = (1, 2, 4)

Progress = Callable[[str, float, str], None]
"""Called with what is being measured, the share done and what is being done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtlasConfig:
    """What is measured; the defaults fill some 33 MB."""

    sequences: int = 4
    frames: int = 500
    scale: int = 64
    window: int = 10
    batch: int = 16
    # maps of a pyramid, and cells of their side
    maps: int = 8
    pyramid_scale: int = 256
    repeats: int = 7
    seed: int = 0


def bench_atlas(config: AtlasConfig, folder: Path, *, on_progress: Progress) -> dict[str, Any]:
    """Figures of both parts; `ratio` is the loader's batches/s over those of h5py, warm or cold, whichever is less."""
    on_progress("atlas", 0.0, "writing")
    _fill(config, folder)
    batches = {}
    for number, kind in enumerate(("warm", "cold")):
        on_progress("atlas", 0.1 + 0.3 * number, f"batches, {kind}")
        batches[kind] = _batches(config, folder, cold=kind == "cold")
    on_progress("atlas", 0.7, "pyramids")
    pyramids = _pyramids(config)
    on_progress("atlas", 1.0, "done")
    return {
        "n": (config.frames - config.window + 1) * config.sequences // config.batch,
        "repeats": config.repeats,
        "config": {name: getattr(config, name) for name in ("sequences", "frames", "scale", "window", "batch", "maps")},
        "results": {"batches": {**batches, "cold_how": COLD}, "pyramids": pyramids},
        "ratio": min(part["ratio"] for part in batches.values()),
        "libraries": {"h5py": version("h5py"), "hdf5": h5py.version.hdf5_version, "scipy": version("scipy")},
    }


def _fill(config: AtlasConfig, folder: Path) -> None:
    atlas, rng = EnergyAtlasLoader(folder, DOMAIN), np.random.default_rng(config.seed)
    for number in range(config.sequences):
        energy = rng.random((config.frames, config.scale, config.scale), dtype=np.float32)
        # statistics are not what is measured: those of the first map stand for all
        one = EnergyMapMetadata.of(energy[0], domain=DOMAIN, sequence=f"s{number}", step=0, source="synthetic")
        said = [replace(one, step=step) for step in range(config.frames)]
        atlas.folder.write_hdf5(energy[..., None], said)


def _batches(config: AtlasConfig, folder: Path, *, cold: bool) -> dict[str, Any]:
    windows = EnergyAtlasLoader(folder, DOMAIN).windows(window=config.window, stride=1)
    paths = [folder / DOMAIN / f"s{number}.hdf5" for number in range(config.sequences)]
    order = np.random.default_rng(config.seed).permutation(len(windows))
    order = order[: len(order) // config.batch * config.batch].reshape(-1, config.batch)
    files: list[h5py.File] = []

    def opened() -> list[h5py.Dataset]:
        if not files:
            files.extend(h5py.File(path, "r", locking=False) for path in paths)
        return [file[f"{DOMAIN}/s{number}/energy"] for number, file in enumerate(files)]

    def forget() -> None:
        while files:
            files.pop().close()
        for path in paths:
            reader.close(path)
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def ours() -> float:
        return sum(float(windows.batch(numbers)[0, 0, 0, 0]) for numbers in order)

    def plain() -> float:
        values, total = opened(), 0.0
        for numbers in order:
            places = windows.index[numbers].tolist()
            batch = np.stack([values[k][start : start + config.window, :, :, 0] for k, start in places])
            total += float(batch[0, 0, 0, 0])
        return total

    if not cold:
        # the first pass opens the files and checks the values, as it does once in a training
        assert ours() == plain()
    before = forget if cold else lambda: None
    found = _turns({"loader": ours, "h5py": plain}, config.repeats, before)
    forget()
    rates = {name: _spread([len(order) / seconds for seconds in times]) for name, times in found.items()}
    return {
        **{f"{name}_batches_per_second": rate for name, rate in rates.items()},
        "ratio": round(rates["loader"]["median"] / rates["h5py"]["median"], 3),
    }


def _pyramids(config: AtlasConfig) -> dict[str, Any]:
    """A pyramid of three scales with the gradient on each, per map."""
    from scipy.ndimage import uniform_filter, zoom

    side, geometry = config.pyramid_scale, Geometry(boundary_x="periodic", boundary_y="periodic")
    maps = np.random.default_rng(config.seed).random((config.maps, side, side))
    # the way a filter of even size gives exact block means
    filtered = [uniform_filter(maps[0], f, mode="wrap")[f // 2 :: f, f // 2 :: f] for f in FACTORS]
    apart = max(
        float(np.abs(level(maps[0], (side // f, side // f), geometry).energy - one).max())
        for f, one in zip(FACTORS, filtered, strict=True)
    )
    ways: dict[str, Callable[[], object]] = {
        "area": lambda: [level(one, (side // f, side // f), geometry) for one in maps for f in FACTORS],
        "cubic": lambda: [level(one, (side // f, side // f), geometry, kind="cubic") for one in maps for f in FACTORS],
        "scipy_uniform_filter": lambda: [
            np.gradient(uniform_filter(one, f, mode="wrap")[f // 2 :: f, f // 2 :: f] if f > 1 else one)
            for one in maps
            for f in FACTORS
        ],
        "scipy_zoom_order_3": lambda: [
            np.gradient(zoom(one, 1 / f, order=3, mode="grid-wrap", grid_mode=True) if f > 1 else one)
            for one in maps
            for f in FACTORS
        ],
    }
    found = _turns(ways, config.repeats, lambda: None)
    rates = {name: _spread([config.maps / seconds for seconds in times]) for name, times in found.items()}
    return {
        "scale": side,
        "scales": [side // f for f in FACTORS],
        "scipy": "scipy.ndimage.uniform_filter sampled at block centres, or zoom(order=3), each with numpy.gradient",
        **{f"{name}_maps_per_second": rate for name, rate in rates.items()},
        "area_ratio": round(rates["area"]["median"] / rates["scipy_uniform_filter"]["median"], 3),
        "cubic_ratio": round(rates["cubic"]["median"] / rates["scipy_zoom_order_3"]["median"], 3),
        "largest_difference_of_area_means": apart,
    }


def _turns(ways: dict[str, Callable[[], object]], repeats: int, before: Callable[[], None]) -> dict[str, list[float]]:
    """Seconds of each way, by turns."""
    names = list(ways)
    times: dict[str, list[float]] = {name: [] for name in names}
    for repeat in range(repeats):
        for name in names if repeat % 2 == 0 else names[::-1]:
            before()
            began = time.perf_counter()
            ways[name]()
            times[name].append(time.perf_counter() - began)
    return times


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "min": round(min(values), 1),
        "median": round(statistics.median(values), 1),
        "max": round(max(values), 1),
    }
