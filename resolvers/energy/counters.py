"""Counters of energy that hardware keeps: the processor's (RAPL) and the accelerator's (NVML).

Both only ever grow. RAPL's are files under /sys/class/powercap, in microjoules, that begin again at 0 beyond
`max_energy_range_uj` (some 260 kJ: under an hour at 100 W), so they must be read more often than that. We add the
packages and, where they have one of its own, the memory beside them; cores and uncore are parts of a package, `psys`
is more than it.
References: Intel, "Software Developer's Manual" 3B, 16.10 (RAPL); Linux, Documentation/power/powercap; NVIDIA, "NVML
API Reference", nvmlDeviceGetTotalEnergyConsumption.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

POWERCAP = Path("/sys/class/powercap")


class Counter(Protocol):
    """Joules since it was made."""

    def joules(self) -> float:
        """So many, and never fewer than before."""
        ...


class Rapl:
    """The packages' counters together, from the moment of its making; call `joules` before they wrap around twice."""

    def __init__(self, zones: list[Path]) -> None:
        self._zones = zones
        self._ranges = [_number(zone / "max_energy_range_uj") for zone in zones]
        self._last = [_number(zone / "energy_uj") for zone in zones]
        self._microjoules = 0

    def joules(self) -> float:
        """What all zones have counted since the beginning."""
        for at, zone in enumerate(self._zones):
            now = _number(zone / "energy_uj")
            # the counter takes the values 0 … range
            self._microjoules += (now - self._last[at]) % (self._ranges[at] + 1)
            self._last[at] = now
        return self._microjoules / 1e6


def rapl(folder: Path = POWERCAP) -> Rapl | None:
    """The processor's counter; None where there is none or we may not read it (root's, since CVE-2020-8694)."""
    try:
        zones = list(_zones(folder))
        return Rapl(zones) if zones else None
    except (OSError, ValueError):
        return None


def _zones(folder: Path) -> Iterator[Path]:
    for zone in sorted(folder.glob("intel-rapl:*")):  # AMD's have the same name
        name = (zone / "name").read_text("utf-8").strip()
        if name.startswith("package") or name == "dram":
            yield zone


def _number(path: Path) -> int:
    return int(path.read_text("utf-8"))


class Nvml:
    """The counters of the accelerators that this process sees, from the moment of its making.

    They count all that a device does: work of another process at the same time is in it.
    """

    def __init__(self, library: Any, handles: list[Any]) -> None:
        self._library = library
        self._handles = handles
        self._first = self._millijoules()

    def joules(self) -> float:
        """What all devices have counted since the beginning."""
        return (self._millijoules() - self._first) / 1e3

    def _millijoules(self) -> int:
        return sum(int(self._library.nvmlDeviceGetTotalEnergyConsumption(handle)) for handle in self._handles)


def nvml(library: Any = None, visible: str | None = None) -> Nvml | None:
    """The accelerators' counters; None without the library, a driver, or a device that has one (Volta and later).

    `visible`: as CUDA_VISIBLE_DEVICES has it, indices or the beginnings of device uuids; None reads the environment.
    """
    try:
        library = import_module("pynvml") if library is None else library
        library.nvmlInit()
        handles = _handles(library, os.environ.get("CUDA_VISIBLE_DEVICES") if visible is None else visible)
        return Nvml(library, handles) if handles else None
    except Exception:  # the library has an error class of its own, and may not be there
        return None


def _handles(library: Any, visible: str | None) -> list[Any]:
    every = [library.nvmlDeviceGetHandleByIndex(at) for at in range(library.nvmlDeviceGetCount())]
    if visible is None:
        return every
    names = [name.strip() for name in visible.split(",") if name.strip()]
    found = []
    for name in names:
        if name.isdecimal():
            if int(name) >= len(every):  # CUDA ends its list at the first that is not there
                break
            found.append(every[int(name)])
        else:
            uuids = [library.nvmlDeviceGetUUID(handle) for handle in every]
            found += [handle for handle, uuid in zip(every, uuids, strict=True) if str(uuid).startswith(name)]
    return found
