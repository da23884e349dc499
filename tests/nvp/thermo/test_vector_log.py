"""The log of energy vectors: whole lines whoever writes, no NaN, three fidelities apart, sums in one pass."""

from __future__ import annotations

import json
import logging
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from graph.settings import Settings
from nvp.errors import FieldError
from nvp.thermo import vector_log
from nvp.thermo.vector_log import Entry, VectorLog, default_path, energy_vector, log_energy_vector

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DOMAIN = "fluid_dynamics"
PLAIN = Entry(
    timestamp="2026-03-01T12:00:00.000000Z", domain=DOMAIN, regime="smooth", predicted_mean=1.0, observed_mean=1.0,
    rmse=0.5,
)  # fmt: skip

# imports once, then is eight processes
WRITERS = """
import os, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from nvp.thermo.vector_log import VectorLog, log_energy_vector
path = Path(sys.argv[1])
children = []
for who in range(8):
    if child := os.fork():
        children.append(child)
        continue
    field = 1 + np.random.default_rng(who).random((8, 8))
    made = log_energy_vector(
        field, field[::-1], "plasma_physics", "2026-03-01T00:00", origin=field.T, path=path, agent=str(who), step=0
    )
    for step in range(1, 200):
        VectorLog(path=path, max_bytes=100_000).append([replace(made, step=step)])
    os._exit(0)
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""


def field(seed: int = 0, side: int = 8) -> np.ndarray:
    return 0.5 + np.random.default_rng(seed).random((side, side))


@pytest.fixture
def log(tmp_path: Path) -> VectorLog:
    return VectorLog(path=tmp_path / "logs" / "vectors.jsonl")


def test_eight_processes_append_whole_lines(log: VectorLog) -> None:
    """Across rotations too: 1600 lines, each of them somebody's, none twice."""
    subprocess.run([sys.executable, "-c", WRITERS, str(log.path)], check=True)
    assert len(log.parts()) > 3
    lines = [json.loads(line) for part in log.parts() for line in part.read_bytes().splitlines()]
    assert len(lines) == 1600
    assert {(line["agent"], line["step"]) for line in lines} == {(str(a), k) for a in range(8) for k in range(200)}
    assert {line["domain"] for line in lines} == {"plasma_physics"}
    assert all(
        line["regime"] and line.keys() >= {"fidelity", "total_energy_fidelity", "field_fidelity"} for line in lines
    )
    # each writer's own are in its order
    for who in range(8):
        assert [line["step"] for line in lines if line["agent"] == str(who)] == list(range(200))
    assert sum(group["n"] for group in log.summary()) == 1600


def test_the_literal_call_writes_below_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIELDGRAPH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    entry = log_energy_vector(field(0), field(1), DOMAIN, NOW)
    assert list(VectorLog(path=tmp_path / "home/logs/vectors.jsonl").read()) == [entry]
    assert default_path() == Settings(_env_file=None).home / vector_log.PLACE
    monkeypatch.delenv("FIELDGRAPH_HOME")
    assert default_path() == Settings(_env_file=None).home / vector_log.PLACE
    assert default_path().is_absolute()


def test_the_fidelities_are_three_things() -> None:
    origin, truth = field(0), field(1)
    still = energy_vector(origin, truth, DOMAIN, NOW, origin=origin)
    assert still.fidelity == 0
    assert still.rmse == still.persistence_rmse
    assert still.field_fidelity is not None
    assert still.field_fidelity > 0.5
    # the right total in the wrong places
    shuffled = np.random.default_rng(2).permutation(truth.ravel()).reshape(truth.shape)
    blind = energy_vector(shuffled, truth, DOMAIN, NOW, origin=0.99 * truth)
    assert blind.total_energy_fidelity == pytest.approx(1.0)
    assert blind.fidelity is not None
    assert blind.fidelity < 0
    exact = energy_vector(truth, truth, DOMAIN, NOW, origin=origin)
    assert (exact.fidelity, exact.total_energy_fidelity, exact.field_fidelity) == (1, 1, 1)


def test_what_does_not_apply_is_null() -> None:
    truth = field(1)
    # nobody says from where, nothing changes, nothing is there
    assert energy_vector(truth, truth, DOMAIN, NOW).fidelity is None
    assert energy_vector(truth, truth, DOMAIN, NOW, origin=truth).fidelity is None
    empty = energy_vector(truth, 0 * truth, DOMAIN, NOW)
    assert (empty.total_energy_fidelity, empty.field_fidelity, empty.entropy_obs) == (None, None, 0)
    signed = energy_vector(-truth, truth, "surface_temperature", NOW)
    assert (signed.entropy_pred, signed.entropy_share_obs) == (None, None)


def test_entropies_are_of_normalised_fields() -> None:
    entry = energy_vector(7e3 * np.ones((8, 16)), np.eye(8, 16), DOMAIN, NOW)
    assert (entry.entropy_pred, entry.entropy_share_pred) == (pytest.approx(math.log(128)), pytest.approx(1))
    assert entry.entropy_obs == pytest.approx(math.log(8))
    assert entry.entropy_share_obs == pytest.approx(math.log(8) / math.log(128))
    # the regime is the truth's
    assert entry.regime != "uniform"
    assert energy_vector(np.eye(8, 16), np.ones((8, 16)), DOMAIN, NOW).regime == "uniform"


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (NOW, "2026-03-01T12:00:00.000000Z"),
        (NOW.replace(tzinfo=None), "2026-03-01T12:00:00.000000Z"),
        (NOW.astimezone(timezone(timedelta(hours=5))), "2026-03-01T12:00:00.000000Z"),
        (np.datetime64("2026-03-01T12:00:00.5", "ns"), "2026-03-01T12:00:00.500000Z"),
        ("2026-03-01T14:00+02:00", "2026-03-01T12:00:00.000000Z"),
    ],
)
def test_times_are_utc(time: object, said: str) -> None:
    assert energy_vector(field(), field(), DOMAIN, time).timestamp == said  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", [np.nan, np.inf])
@pytest.mark.parametrize("which", ["E_pred", "E_obs", "origin"])
def test_no_nan_is_logged(log: VectorLog, cell: float, which: str) -> None:
    fields = {"E_pred": field(), "E_obs": field(), "origin": field()}
    fields[which][2, 3] = cell
    with pytest.raises(FieldError, match=f"finite cells in {which}, got 1 others") as caught:
        log_energy_vector(domain=DOMAIN, timestamp=NOW, path=log.path, **fields)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not log.path.exists()


@pytest.mark.parametrize("bad", [math.nan, -math.inf])
def test_no_line_is_written_that_json_has_not(log: VectorLog, bad: float) -> None:
    log.append([PLAIN])
    with pytest.raises(FieldError, match="values that JSON has"):
        log.append([PLAIN, replace(PLAIN, rmse=bad)])
    assert log.path.read_bytes().count(b"\n") == 1, "all of them or none"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"E_pred": -field()}, "cells >= 0 in E_pred"),
        ({"E_pred": field(side=16)}, r"shape \(8, 8, 1\), got \(16, 16, 1\)"),
        ({"E_obs": np.ones(8)}, r"E_obs as \(H, W\)"),
        ({"domain": "soup"}, "expected a domain out of"),
        ({"timestamp": "noon"}, "expected a time such as"),
        ({"timestamp": np.datetime64("NaT")}, "expected a time such as"),
        ({"colour": "red"}, "agent, checkpoint, lead, .* got 'colour'"),
    ],
)
def test_what_is_no_pair_of_fields_is_refused(change: dict[str, object], says: str) -> None:
    values = {"E_pred": field(), "E_obs": field(1), "domain": DOMAIN, "timestamp": NOW} | change
    with pytest.raises(FieldError, match=says):
        energy_vector(**values)  # type: ignore[arg-type]


@given(
    arrays.arrays(np.float32, (3, 4, 4), elements=st.floats(0, 1e6, width=32, allow_subnormal=False)),
    st.text(max_size=20),
    st.none() | st.integers(-(2**40), 2**40),
)
@settings(max_examples=25, deadline=None)
def test_any_entry_comes_back_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, fields: np.ndarray, agent: str, step: int | None
) -> None:
    log = VectorLog(path=tmp_path_factory.mktemp("log") / "v.jsonl")
    entry = energy_vector(*fields[:2], DOMAIN, NOW, origin=fields[2], agent=agent, step=step)
    log.append([entry, entry])
    assert list(log.read()) == [entry, entry]
    for line in log.path.read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def entries() -> Iterator[Entry]:
    """Pairs of two domains."""
    for seed in range(12):
        domain = "plasma_physics" if seed % 3 else DOMAIN
        base = field(seed) if seed % 2 else np.pad(field(seed, 2), 3) + 0.01
        start, truth = base, np.roll(base, 1, axis=0)
        yield energy_vector(0.3 * start + 0.7 * truth, truth, domain, NOW, origin=start, lead=1 + seed % 2)


def test_sums_by_domain_and_regime(log: VectorLog) -> None:
    made = list(entries())
    log.append(made)
    both = log.summary()
    assert [(row["domain"], row["regime"]) for row in both] == sorted({(one.domain, one.regime) for one in made})
    assert len(both) > 2
    for row in both:
        group = [one for one in made if (one.domain, one.regime) == (row["domain"], row["regime"])]
        assert row["n"] == len(group)
        assert row["fidelity"]["mean"] == pytest.approx(np.mean([one.fidelity for one in group]))
        error = np.sum([one.rmse**2 for one in group])
        change = np.sum([one.persistence_rmse**2 for one in group])  # type: ignore[operator]
        assert row["fidelity"]["pooled"] == pytest.approx(1 - np.sqrt(error / change))
        assert row["rmse"] == pytest.approx(np.sqrt(error / len(group)))
        assert row["persistence_rmse"] == pytest.approx(np.sqrt(change / len(group)))
        assert row["mean_field_fidelity"] == pytest.approx(np.mean([one.field_fidelity for one in group]))
    assert [row["n"] for row in log.summary(["domain"])] == [4, 8]
    assert log.summary(["domain"], domain=DOMAIN) == log.summary(["domain"])[:1]
    assert sum(row["n"] for row in log.summary(["regime"], regime=made[0].regime)) == sum(
        one.regime == made[0].regime for one in made
    )
    assert log.summary([]) == [{} | row for row in log.summary([])]
    assert log.summary([])[0]["n"] == 12
    assert log.summary(domain="nowhere") == []


def test_a_static_pair_has_no_fidelity_to_add_up(log: VectorLog) -> None:
    log.append([energy_vector(field(), field(), DOMAIN, NOW, origin=field())])
    (row,) = log.summary()
    assert row["n"] == 1
    assert row["fidelity"] == {"mean": None, "median": None, "pooled": None, "n": 0, "ci95": [None, None]}


def test_a_torn_line_stays_alone(log: VectorLog, caplog: pytest.LogCaptureFixture) -> None:
    log.append([PLAIN])
    with log.path.open("ab") as file:
        file.write(b'{"timestamp":"2026')
    log.append([replace(PLAIN, step=2)])
    with caplog.at_level(logging.WARNING):
        assert [entry.step for entry in log.read()] == [None, 2]
    assert "vectors.jsonl:2 is no entry" in caplog.text


def test_a_reader_sees_what_was_there_when_it_came(log: VectorLog) -> None:
    small = replace(log, max_bytes=2000)
    for step in range(10):
        small.append([replace(PLAIN, step=step)])
    reader = small.read()
    first = next(reader)
    for step in range(10, 30):
        small.append([replace(PLAIN, step=step)])
    assert [entry.step for entry in (first, *reader)] == list(range(10))
    assert [entry.step for entry in small.read()] == list(range(30))


def test_parts_are_put_aside_by_size_and_the_oldest_go(log: VectorLog) -> None:
    small = replace(log, max_bytes=1500, keep=2)
    for step in range(40):
        small.append([replace(PLAIN, step=step)])
    assert len(small.parts()) == 3
    assert all(part.stat().st_size <= 1500 for part in small.parts())
    steps = [entry.step for entry in small.read()]
    assert steps == list(range(40))[-len(steps) :]
    # a single line that is larger than a part is written all the same
    replace(log, path=log.path.with_name("one.jsonl"), max_bytes=10).append([PLAIN])
    assert len(list(replace(log, path=log.path.with_name("one.jsonl")).read())) == 1


def test_nothing_is_read_where_nothing_was_written(log: VectorLog) -> None:
    log.append([])
    assert list(log.read()) == []
    assert log.summary() == []
    assert not log.path.parent.exists()


def test_a_disk_that_takes_a_part_only_gets_the_rest(log: VectorLog, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:7]))
    log.append([PLAIN, PLAIN])
    monkeypatch.undo()
    assert list(log.read()) == [PLAIN, PLAIN]
