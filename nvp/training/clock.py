"""What a training has used: wall seconds, and CPU seconds of this process with compilation left out."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from nvp.training.config import TrainingConfig


class Clock:
    """Runs from its making on; earlier attempts of the same training are added."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        # of earlier attempts
        self.before = (0.0, 0.0)
        # wall seconds of this attempt before its first step was compiled
        self.compiled = 0.0

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return self.before[0] + time.perf_counter() - self._wall

    @property
    def cpu_seconds(self) -> float:
        """Time of all threads of this process so far, less what ran `apart`."""
        return self.before[1] + time.process_time() - self._cpu

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What runs inside costs no CPU time: compilation, and whatever is waited for with it."""
        began = time.process_time()
        try:
            yield
        finally:
            self._cpu += time.process_time() - began

    def first_step_done(self) -> None:
        """From here on the schedule of the learning rate runs."""
        self.compiled = self.seconds - self.before[0]
        self._cpu = time.process_time()

    def share(self, config: TrainingConfig) -> float:
        """Share of the time that is used, by the budget that is nearest to its end; 0 without one."""
        shares = [0.0]
        if config.seconds is not None:
            shares.append((self.seconds - self.compiled) / max(config.seconds - self.compiled, 1e-9))
        if config.cpu_seconds is not None:
            shares.append(self.cpu_seconds / config.cpu_seconds)
        return max(shares)

    def left(self, config: TrainingConfig) -> float:
        """Wall seconds until a budget is used up, at the pace of CPU time so far; infinite without one."""
        left = [math.inf]
        if config.seconds is not None:
            left.append(max(0.0, config.seconds - self.seconds))
        if config.cpu_seconds is not None:
            pace = max(self.cpu_seconds, 1e-9) / max(self.seconds - self.compiled, 1e-9)
            left.append(max(0.0, config.cpu_seconds - self.cpu_seconds) / pace)
        return min(left)

    def over(self, config: TrainingConfig) -> str | None:
        """Which budget is used up."""
        if config.seconds is not None and self.seconds >= config.seconds:
            return "seconds"
        if config.cpu_seconds is not None and self.cpu_seconds >= config.cpu_seconds:
            return "cpu_seconds"
        return None
