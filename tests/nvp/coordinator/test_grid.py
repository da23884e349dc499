"""Grids: which number each path names, in which order the points come, and what is no path."""

from __future__ import annotations

from typing import Any

import pytest

from nvp.coordinator.description import normal
from nvp.coordinator.grid import Axis, points, require_points
from nvp.errors import FieldError

DESCRIPTION = normal(
    {
        "modules": [
            {"key": "a.1", "kind": "gating", "params": {"a": 0.2}},
            {"key": "b", "kind": "gating"},
        ],
        "couplings": [
            {"kind": "quadratic", "from": "a.1", "to": "b", "params": {"weight": 0.7}},
            {"kind": "gate_benefit", "from": "b", "to": "a.1", "delta": "d"},
        ],
        "deltas": {"d": 0.1},
    }
)
START = {"a.1": 0.5, "b": 0.5}


def test_points_come_in_order_and_change_one_number_each() -> None:
    axes = [Axis(path="deltas.d", values=(0.0, 0.2)), Axis(path="start.a.1", values=(0.1, 0.3, 0.9))]
    made = points(DESCRIPTION, START, axes)
    assert [point.at for point in made] == [(d, s) for d in (0.0, 0.2) for s in (0.1, 0.3, 0.9)]
    assert [point.description["deltas"]["d"] for point in made] == [0.0] * 3 + [0.2] * 3
    assert [point.start for point in made][:3] == [{"a.1": s, "b": 0.5} for s in (0.1, 0.3, 0.9)]
    assert (DESCRIPTION["deltas"], START) == ({"d": 0.1}, {"a.1": 0.5, "b": 0.5})


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("gamma", lambda d: d["gamma"]),
        ("weights.coup:quadratic", lambda d: d["weights"]["coup:quadratic"]),
        ("modules.a.1.net", lambda d: d["modules"][0]["params"]["net"]),
        ("couplings.a.1>b.weight", lambda d: d["couplings"][0]["params"]["weight"]),
        ("couplings.b>a.1.weight", lambda d: d["couplings"][1]["params"]["weight"]),
    ],
)
def test_a_path_names_a_number(path: str, where: Any) -> None:
    (point,) = points(DESCRIPTION, START, [Axis(path=path, values=(0.25,))])
    assert where(point.description) == 0.25
    changed = {name for name, value in point.description.items() if value != DESCRIPTION[name]}
    assert changed == {path.partition(".")[0]}


@pytest.mark.parametrize(
    ("path", "values", "code"),
    [
        ("deltas.none", (1.0,), "BAD_GRID"),
        ("modules.a.1", (1.0,), "BAD_GRID"),
        ("modules.z.net", (1.0,), "BAD_GRID"),
        ("couplings.a.1>a.1.weight", (1.0,), "BAD_GRID"),
        ("nothing", (1.0,), "BAD_GRID"),
        ("tau", (1.0,), "BAD_GRID"),
        ("modules.b.nett", (1.0,), "BAD_PARAMETER"),
        ("couplings.a.1>b.weight", (-1.0,), "BAD_PARAMETER"),
        ("start.b", (1.5,), "BAD_STATE"),
        ("weights.coup:none", (1.0,), "UNKNOWN_TERM"),
        ("gamma", (float("nan"),), "NONFINITE"),
        ("gamma", (), "NONFINITE"),
        ("gamma", (0.0, 1e300), "NONFINITE"),
        ("couplings.a.1>b.weight", (0.0, 2.0, -1.0, 3.0), "BAD_PARAMETER"),
        ("couplings.power", (1.0, 2.0, 0.5, 0.0), "BAD_GRID"),
    ],
)
def test_what_is_no_grid_is_told(path: str, values: tuple[float, ...], code: str) -> None:
    with pytest.raises(FieldError) as caught:
        points(DESCRIPTION, START, [Axis(path=path, values=values)])
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("modules.z.net", "(modules.a.1, modules.b)"),
        ("start.c", "(start.a.1, start.b)"),
        ("deltas.e", "(deltas.d)"),
        ("couplings.a.1>c.weight", "(couplings.a.1>b, couplings.b>a.1)"),
        ("tau", "(weights, deltas, modules, couplings, start, gamma)"),
    ],
)
def test_who_mistypes_a_key_is_told_those_that_are_there(path: str, there: str) -> None:
    with pytest.raises(FieldError) as caught:
        points(DESCRIPTION, START, [Axis(path=path, values=(0.5,))])
    assert there in str(caught.value)


def test_of_many_keys_a_message_has_some() -> None:
    many = normal({"modules": [{"key": f"m{number:02}", "kind": "gating"} for number in range(11)]})
    with pytest.raises(FieldError, match=r"modules\.m09, …\)"):
        points(many, {}, [Axis(path="modules.z.net", values=(0.5,))])
    with pytest.raises(FieldError, match="no deltas"):
        points(many, {}, [Axis(path="deltas.z", values=(0.5,))])


def test_an_axis_is_named_once() -> None:
    with pytest.raises(FieldError, match="another number"):
        points(DESCRIPTION, START, [Axis(path="gamma", values=(1.0,))] * 2)
    with pytest.raises(FieldError, match="another number"):
        points(DESCRIPTION, START, [])
    many = [Axis(path=f"start.{n}", values=(0.5,)) for n in range(17)]
    with pytest.raises(FieldError, match="1 to 16 axes"):
        points(DESCRIPTION, {f"{n}": 0.5 for n in range(17)}, many)


def test_one_value_of_an_axis_that_is_wrong_is_told() -> None:
    damped = {"kind": "damped_gate_benefit", "from": "a.1", "to": "b", "delta": "d"}
    steep = normal({**DESCRIPTION, "couplings": [damped]})
    for wrong in (0.5, 0.0):
        with pytest.raises(FieldError, match=rf"power >= 1, got {wrong}"):
            require_points(steep, START, [Axis(path="couplings.a.1>b.power", values=(2.0, wrong, 1.0))])


def test_a_part_of_a_grid_is_that_part_of_the_whole() -> None:
    axes = [Axis(path="deltas.d", values=(0.0, 0.2)), Axis(path="start.b", values=(0.1, 0.3, 0.9))]
    whole = points(DESCRIPTION, START, axes)
    assert points(DESCRIPTION, START, axes, first=2, most=3) == whole[2:5]
    assert points(DESCRIPTION, START, axes, first=5, most=3) == whole[5:]
