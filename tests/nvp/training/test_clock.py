"""A budget of CPU time counts this process's work, and nothing that is set apart or waited for."""

from __future__ import annotations

import time

import pytest

from nvp.errors import FieldError
from nvp.training.clock import Clock
from nvp.training.config import TrainingConfig


def work(seconds: float) -> None:
    """Use CPU time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_counts_work_but_neither_waiting_nor_what_is_apart() -> None:
    clock, config = Clock(), TrainingConfig(cpu_seconds=0.1)
    time.sleep(0.12)
    assert clock.over(config) is None
    with clock.apart():
        work(0.15)
    assert clock.over(config) is None
    assert clock.share(config) < 0.5
    work(0.11)
    assert clock.over(config) == "cpu_seconds"
    assert clock.share(config) >= 1


def test_the_nearest_end_of_two_budgets_counts() -> None:
    clock = Clock()
    clock.first_step_done()
    work(0.05)
    alone = clock.share(TrainingConfig(cpu_seconds=0.5))
    assert 0.05 < alone < 0.5
    assert clock.share(TrainingConfig(cpu_seconds=0.5, seconds=0.01)) >= 1
    assert clock.over(TrainingConfig(cpu_seconds=10.0, seconds=0.01)) == "seconds"
    assert clock.left(TrainingConfig(cpu_seconds=10.0, seconds=20.0)) < 20


def test_earlier_attempts_count() -> None:
    clock = Clock()
    clock.before = (5.0, 7.0)
    assert clock.seconds > 5
    assert clock.over(TrainingConfig(cpu_seconds=7.0)) == "cpu_seconds"


def test_a_budget_is_positive() -> None:
    with pytest.raises(FieldError, match="cpu_seconds > 0"):
        TrainingConfig(cpu_seconds=0.0)
