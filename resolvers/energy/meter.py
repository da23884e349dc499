"""The meter: what this process spends while it works.

    with meter() as running:
        …
    running.spent    # Spent(joules, seconds, source)

Of the processor's counter we have our share, ΔE · (our CPU seconds / the busy CPU seconds of all), of the accelerator's
the whole. What the accelerator takes counts only once JAX has loaded it; where it has no counter nothing is known.
Where the processor has none (most virtual machines) its part is an estimate, or left out beside an accelerator's.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from resolvers.energy.counters import Counter, nvml, rapl
from resolvers.energy.spent import Spent, estimated

READ_SECONDS = 60.0
"""How often counters are read in between, so that none wraps around unseen."""


class Meter:
    """Reads counters, from its making to `stop`."""

    def __init__(
        self,
        *,
        processor: Counter | None,
        accelerator: Counter | None,
        device: Callable[[], str | None],
        ours: Callable[[], float],
        everyone: Callable[[], float],
    ) -> None:
        """`device`: the accelerator's name once there is one; `ours`, `everyone`: CPU seconds so far."""
        self._processor = processor
        self._accelerator = accelerator
        self._device = device
        self._ours = ours
        self._everyone = everyone
        self._began = time.monotonic(), ours(), everyone()
        self._final: Spent | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        if processor is not None:
            threading.Thread(target=self._watch, name="energy", daemon=True).start()

    @property
    def spent(self) -> Spent:
        """So far; after `stop`, until then."""
        if self._final is not None:
            return self._final
        began, ours, everyone = self._began
        seconds, ours, everyone = time.monotonic() - began, self._ours() - ours, self._everyone() - everyone
        with self._lock:
            package, board = _read(self._processor), _read(self._accelerator)
        if package is not None:
            # the kernel's clock of all is coarser than ours: in a moment too short for it, all was ours
            package *= min(ours / everyone, 1.0) if everyone > 0 else 1.0
        device = self._device()
        if device in (None, "cpu"):
            if package is None:
                return estimated(ours, device, seconds=seconds)
            return Spent(package, seconds, "measured: RAPL")
        if board is None:
            return Spent(None, seconds, None)
        if package is None:
            return Spent(board, seconds, "measured: NVML")
        return Spent(board + package, seconds, "measured: NVML + RAPL")

    def stop(self) -> Spent:
        """End the measurement; what it came to."""
        self._final = self.spent
        self._stopped.set()
        return self._final

    def _watch(self) -> None:
        while not self._stopped.wait(READ_SECONDS):
            with self._lock:
                _read(self._processor)


@contextmanager
def meter() -> Iterator[Meter]:
    """Meter what this process spends inside the block."""
    running = Meter(processor=rapl(), accelerator=_accelerator(), device=device, ours=_ours, everyone=_everyone)
    try:
        yield running
    finally:
        running.stop()


def device() -> str | None:
    """The accelerator's name ("cpu" where JAX has none), once a service has loaded JAX; None before.

    None too where JAX cannot start on what it was told to use: then no accelerator works for us.
    """
    jax = sys.modules.get("jax")
    try:
        return None if jax is None else str(jax.devices()[0].device_kind)
    except RuntimeError:
        return None


def _read(counter: Counter | None) -> float | None:
    """Joules so far; None without a counter, or where its device is lost."""
    try:
        return None if counter is None else counter.joules()
    except Exception:  # libraries have error classes of their own; what is not known must not end the work
        return None


def _accelerator() -> Counter | None:
    """The accelerators' counters, unless JAX is known to use none."""
    return None if device() == "cpu" else nvml()


def _ours() -> float:
    """CPU seconds of this process and of those that it started and that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _everyone() -> float:
    """Busy CPU seconds of the machine."""
    now = psutil.cpu_times()
    return float(sum(now) - now.idle - getattr(now, "iowait", 0.0) - getattr(now, "guest", 0.0))
