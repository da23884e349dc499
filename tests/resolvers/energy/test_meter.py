"""Counters are read as hardware keeps them; a meter says what it read, and by which."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resolvers.energy.counters import Counter, nvml, rapl
from resolvers.energy.meter import Meter, meter
from resolvers.energy.spent import ESTIMATED, Spent, knowledge

RANGE = 1_000_000
ZONES = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:0:1": "dram", "intel-rapl:1": "psys"}


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """A folder as Linux shows it: a package with its cores and memory, and the platform around it."""
    for at, (zone, name) in enumerate(ZONES.items()):
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "name").write_text(f"{name}\n")
        (tmp_path / zone / "max_energy_range_uj").write_text(f"{RANGE}\n")
        (tmp_path / zone / "energy_uj").write_text(f"{900_000 + at}\n")
    return tmp_path


def put(folder: Path, zone: str, microjoules: int) -> None:
    (folder / zone / "energy_uj").write_text(f"{microjoules}\n")


def test_packages_and_memory_count_and_wrap_around(powercap: Path) -> None:
    counter = rapl(powercap)
    assert counter is not None
    assert counter.joules() == 0.0
    put(powercap, "intel-rapl:0", 950_000)
    put(powercap, "intel-rapl:0:0", 999_000)
    put(powercap, "intel-rapl:1", 5)
    assert counter.joules() == pytest.approx(0.05)
    put(powercap, "intel-rapl:0", 49_999)  # 50 000 to the end, one more to 0, 49 999 beyond
    put(powercap, "intel-rapl:0:1", 900_102)
    assert counter.joules() == pytest.approx(0.15 + 0.0001)
    assert counter.joules() == pytest.approx(0.15 + 0.0001)


def test_no_counter_and_one_that_we_may_not_read_are_none(powercap: Path, tmp_path: Path) -> None:
    assert rapl(tmp_path / "nothing") is None
    (powercap / "intel-rapl:0" / "energy_uj").unlink()
    (powercap / "intel-rapl:0" / "energy_uj").mkdir()  # as unreadable as root's, for root too
    assert rapl(powercap) is None


def library() -> Any:
    """NVML of two devices, as far as we call it; its handles are their uuids."""
    millijoules = {"GPU-aa": 5_000, "GPU-bb": 70_000}
    return SimpleNamespace(
        millijoules=millijoules,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda at: list(millijoules)[at],
        nvmlDeviceGetUUID=lambda handle: handle,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: millijoules[handle],
    )


@pytest.mark.parametrize(
    ("visible", "joules"),
    [("0", 1.5), ("1", 20.0), ("0,1", 21.5), ("GPU-b", 20.0), ("0, 7, 1", 1.5)],
)
def test_visible_accelerators_count(visible: str, joules: float) -> None:
    found = library()
    counter = nvml(found, visible)
    assert counter is not None
    found.millijoules["GPU-aa"] += 1_500
    found.millijoules["GPU-bb"] += 20_000
    assert counter.joules() == pytest.approx(joules)


def test_without_a_driver_or_a_device_there_is_no_counter() -> None:
    assert nvml(SimpleNamespace(nvmlInit=lambda: 1 / 0)) is None
    assert nvml(library(), "") is None


class Counted:
    """A counter that stands at a number."""

    def __init__(self, joules: float) -> None:
        self._joules = joules

    def joules(self) -> float:
        return self._joules


def metered(device: str | None, **changes: Any) -> Meter:
    """A meter whose process has had 3 of 4 busy CPU seconds."""
    times = {"ours": iter([10.0, 13.0]), "everyone": iter([100.0, 104.0])}
    clocks = {name: lambda found=found: next(found) for name, found in times.items()}
    return Meter(device=lambda: device, **{"processor": None, "accelerator": None, **clocks, **changes})


@pytest.mark.parametrize(
    ("device", "processor", "accelerator", "joules", "source"),
    [
        (None, None, None, 30.0, ESTIMATED),
        ("cpu", None, Counted(99.0), 30.0, ESTIMATED),
        ("cpu", Counted(8.0), None, 6.0, "measured: RAPL"),
        ("NVIDIA H200", None, None, None, None),
        ("NVIDIA H200", Counted(8.0), None, None, None),
        ("NVIDIA H200", None, Counted(50.0), 50.0, "measured: NVML"),
        ("NVIDIA H200", Counted(8.0), Counted(50.0), 56.0, "measured: NVML + RAPL"),
    ],
)
def test_what_is_read_and_what_it_is_called(
    device: str | None, processor: Counter | None, accelerator: Counter | None, joules: float | None, source: str | None
) -> None:
    running = metered(device, processor=processor, accelerator=accelerator)
    spent = running.stop()
    assert (spent.joules, spent.source) == (joules, source)
    assert running.spent == spent  # it has stopped


def test_in_a_moment_too_short_for_the_clock_of_all_it_was_ours() -> None:
    running = metered("cpu", processor=Counted(8.0), everyone=lambda: 100.0)
    assert running.stop() == Spent(8.0, pytest.approx(0.0, abs=1.0), "measured: RAPL")


def test_this_process_is_metered() -> None:
    with meter() as running:
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
        assert running.spent.joules is None or running.spent.joules > 0
    assert running.spent.seconds >= 0.05
    if knowledge(running.spent.source) == "estimated":
        assert running.spent.joules == pytest.approx(10 * 0.05, rel=3.0)


class Lost:
    """The counter of a device that fell off its bus."""

    def joules(self) -> float:
        raise OSError("GPU is lost")


@pytest.mark.parametrize(
    ("device", "joules", "source"), [("cpu", 30.0, ESTIMATED), (None, 30.0, ESTIMATED), ("NVIDIA H200", None, None)]
)
def test_of_a_counter_that_is_lost_nothing_is_known(
    device: str | None, joules: float | None, source: str | None
) -> None:
    spent = metered(device, processor=Lost(), accelerator=Lost()).stop()
    assert (spent.joules, spent.source) == (joules, source)
