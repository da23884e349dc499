"""Real fields are cut by time, with a day between the parts, and a network must be good and better than ridge."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.atlas.series import Series
from nvp.errors import FieldError
from resolvers.benches.real import criteria, parts_of, run
from resolvers.benches.suites import SuiteConfig


def test_parts_are_in_order_with_a_day_between_them_and_the_last_fifth_is_the_test() -> None:
    hours = np.arange(504)
    series = Series(
        energy=hours[:, None, None, None] * np.ones((1, 8, 8, 1), np.float32),
        dt=3600.0,
        valid_time=np.datetime64("2019-03-01T00", "s") + 3600 * hours,
        domain="surface_temperature",
    )
    parts = parts_of([series])
    spans = {role: (int(part[0].energy.min()), int(part[0].energy.max())) for role, part in parts.items()}
    assert spans == {"train": (0, 277), "validation": (302, 377), "test": (403, 503)}


@pytest.mark.parametrize(
    ("pooled", "ridge", "passed"),
    [(0.41, 0.37, True), (0.41, 0.39, False), (0.39, 0.30, False), (0.41, None, False)],
)
def test_it_passes_where_it_is_good_and_far_enough_above_ridge(
    pooled: float, ridge: float | None, passed: bool
) -> None:
    assert all(criteria(pooled, ridge).values()) == passed


def test_it_wants_a_file() -> None:
    with pytest.raises(FieldError, match="--file"):
        run(SuiteConfig(), lambda *_: None)
