"""What is exported can be read again, and its columns say what the steps said."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from graph.queries.relaxation import StepRow
from nvp.errors import FieldError
from resolvers.services.trail_table import read_table, rows_of, terms_of, write_table


def step(index: int, energy: float, eta: list[float], *, backtracks: int = 0) -> StepRow:
    return StepRow(
        uid=f"step {index}",
        run="run",
        index=index,
        energy=energy,
        gain=0.1,
        scale=1.0,
        gradient_norm=0.5,
        step=0.05,
        backtracks=backtracks,
        noise=0.0,
        accepted=True,
        margin=None,
        eta=eta,
        term_energy=[energy - 1, 1.0],
        term_norm=[0.3, 0.4],
    )


STEPS = [step(0, 3.0, [0.0, 1.0]), step(4, 2.5, [0.25, 0.75], backtracks=2), step(5, 2.75, [0.5, 0.0], backtracks=1)]


def test_a_table_holds_what_the_trail_held(tmp_path: Path) -> None:
    path = tmp_path / "trail.csv"
    rows = rows_of("mine", STEPS, terms=["local:gating", "coup:quadratic"], keys=["a", "b"])
    write_table(path, rows)
    with path.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [float(row["delta_energy"]) for row in found] == [0, -0.5, 0.25]
    assert [float(row["redemption_gain"]) for row in found] == [0, 0.5, 0]
    assert [int(row["total_backtracks"]) for row in found] == [0, 2, 3]
    assert [(row["run_id"], float(row["eta:b"]), float(row["mean_eta"])) for row in found] == [
        ("mine", 1, 0.5),
        ("mine", 0.75, 0.5),
        ("mine", 0, 0.25),
    ]
    assert read_table(path) == terms_of(STEPS, ["local:gating", "coup:quadratic"])


def test_a_row_costs_the_steps_since_the_one_before_and_counts_what_was_refused() -> None:
    noted = [
        STEPS[0],
        replace(STEPS[1], accepted=False, events=["BACKED_OFF"], objective_version=1, weights=[2.0, 0.5]),
        replace(STEPS[2], weights=[2.5, 0.5], events=["ESCAPED", "BACKED_OFF"]),
    ]
    rows = rows_of("mine", noted, terms=["x", "y"], keys=["a", "b"], seconds=0.5, beside={"S": [0.1, 0.2, 0.3]})
    assert [row["compute_cost"] for row in rows] == [None, 2.0, 0.5]
    assert [row["redemption_rate"] for row in rows] == [None, 0.25, 0]
    assert [row["reason"] for row in rows] == ["start", "refused", "accepted"]
    assert [(row["violations"], row["homotopy_backoffs"]) for row in rows] == [(0, 0), (1, 1), (1, 2)]
    assert [row["S"] for row in rows] == [0.1, 0.2, 0.3]
    assert (rows[2]["alloc:x"], rows[2]["events"]) == (2.5, "ESCAPED BACKED_OFF")


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("step,energy:x\n0,1\n")
    cut = tmp_path / "cut.csv"
    cut.write_text("step,energy,energy:x,grad_norm:x\n0,1,1,1\n1,2\n")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\x00\xff\n")
    for wrong in (path, cut, binary, tmp_path, tmp_path / "none.csv"):
        with pytest.raises(FieldError, match="coord export") as refused:
            read_table(wrong)
        assert refused.value.code == "BAD_TABLE"
    with pytest.raises(FieldError, match=r"got: No such file or directory\. Write it by"):
        read_table(tmp_path / "nowhere.csv")
    with pytest.raises(FieldError, match="write"):
        write_table(path / "under a file.csv", [{"a": 1}])
