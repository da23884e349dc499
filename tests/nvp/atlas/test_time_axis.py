"""Time axes: uniform, with gaps, or refused with the index."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvp.atlas.time_axis import from_times, step_of, without_times
from nvp.errors import FieldError

START = np.datetime64("2019-03-01T00", "ns")
HOUR = np.timedelta64(3600, "s")


def test_calendar_time() -> None:
    axis = from_times(START + np.arange(5) * HOUR, dt=1.0, file="f")
    step = int((START - np.datetime64("1970-01-01")) / HOUR)
    assert axis.dt == 3600.0
    assert axis.stretches == ((0, 5, step),)
    assert axis.valid_time is not None
    assert axis.valid_time.dtype == "datetime64[ns]"


def test_gaps_make_stretches_that_keep_their_place_in_time() -> None:
    hours = np.array([0, 1, 2, 5, 6, 9])
    axis = from_times(START + hours * HOUR, dt=1.0, file="f")
    step = axis.stretches[0][2]
    assert axis.stretches == ((0, 3, step), (3, 5, step + 5), (5, 6, step + 9))


@given(offset=st.integers(-(10**4), 10**4), length=st.integers(2, 30), cut=st.integers(0, 28), dt=st.integers(1, 10**5))
def test_steps_do_not_depend_on_where_a_file_begins(offset: int, length: int, cut: int, dt: int) -> None:
    cut = min(cut, length - 2)
    # phase: daily means at noon, hours at half past, …
    times = START + (np.timedelta64(dt, "s") // 2) + (offset + np.arange(length)) * np.timedelta64(dt, "s")
    whole = from_times(times, dt=1.0, file="f")
    rest = from_times(times[cut:], dt=1.0, file="f")
    assert rest.stretches[0][2] == whole.stretches[0][2] + cut
    assert rest.dt == whole.dt == dt


def test_times_rounded_in_the_file() -> None:
    # hours kept as float32 days since 1970 are minutes off: refused; as float64 they are microseconds off: accepted
    days = 17_956 + np.arange(100) / 24
    with pytest.raises(FieldError, match="index"):
        from_times(days.astype(np.float32) * 86_400.0, dt=1.0, file="f")
    axis = from_times(np.round(days, 6) * 86_400.0, dt=1.0, file="f")
    assert axis.dt == pytest.approx(3600.0, rel=1e-6)
    assert len(axis.stretches) == 1


def test_numbers_without_a_calendar() -> None:
    axis = from_times(np.array([1.5, 2.0, 2.5]), dt=9.0, file="f")
    assert (axis.dt, axis.stretches, axis.valid_time) == (0.5, ((0, 3, 3),), None)


def test_one_frame_takes_the_default() -> None:
    assert from_times(np.array([START]), dt=3600.0, file="f").dt == 3600.0
    assert without_times(7, dt=2.1).stretches == ((0, 7, 0),)
    assert step_of(np.float64(3.0), 0.5) == 6


@pytest.mark.parametrize(
    ("hours", "index"),
    [([0, 1, 2, 2, 3], 3), ([0, 1, 0.5], 2), ([0, 1, 2, 3.4, 4.4], 3), ([2, 1], 1)],
    ids=["twice", "back", "off the step", "falling"],
)
def test_what_is_not_uniform_is_refused_with_its_index(hours: list[float], index: int) -> None:
    times = START + (np.array(hours) * 3600).astype("timedelta64[s]")
    for given_times in (times, np.array(hours)):
        with pytest.raises(FieldError, match=f"storm.nc.* at index {index}") as caught:
            from_times(given_times, dt=1.0, file="storm.nc")
        assert caught.value.code == "TIME_NOT_UNIFORM"


def test_a_missing_time_is_refused() -> None:
    with pytest.raises(FieldError, match="index 1"):
        from_times(np.array([START, np.datetime64("NaT")]), dt=1.0, file="f")
    with pytest.raises(FieldError, match="index 0"):
        from_times(np.array([np.nan, 1.0]), dt=1.0, file="f")


def test_a_time_that_misses_its_step_by_rounding_is_on_it() -> None:
    hour = np.datetime64("2019-03-01T05", "ns")
    step = step_of(hour, 3600.0)
    assert step_of(hour - np.timedelta64(1, "s"), 3600.0) == step
    assert step_of(hour - np.timedelta64(10, "s"), 3600.0) == step - 1
    assert step_of(np.float64(0.3), 0.1) == 3
