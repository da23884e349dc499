"""The array store: what goes in comes out, once, whole, and from nowhere else."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nvp.atlas.canonical import digest
from nvp.atlas.series import Series, join
from nvp.atlas.store import ArrayStore
from nvp.atlas.temporary import temporary_name
from nvp.errors import FieldError


@pytest.fixture
def store(tmp_path: Path) -> ArrayStore:
    return ArrayStore(tmp_path / "store")


def make(T: int = 5, H: int = 8, W: int = 16, seed: int = 0) -> Series:
    draw = np.random.default_rng(seed)
    return Series(
        energy=draw.random((T, H, W, 1), dtype=np.float32),
        context={
            "velocity": draw.standard_normal((T, H, W, 2)).astype(np.float32),
            "source": draw.random((T, H, W, 1), dtype=np.float32),
        },
        parameters={"viscosity": 1e-3},
        dt=0.5,
        first=7,
        valid_time=np.datetime64("2019-03-01T00", "ns") + np.arange(T) * np.timedelta64(3600, "s"),
        source_total=draw.random(T),
        outflow_total=draw.random(T),
        domain="fluid_dynamics",
        uid="a sequence",
    )


def assert_same(a: Series, b: Series) -> None:
    assert (a.dt, a.first, a.domain, a.uid, dict(a.parameters)) == (b.dt, b.first, b.domain, b.uid, dict(b.parameters))
    np.testing.assert_array_equal(a.energy, b.energy)
    assert a.energy.dtype == b.energy.dtype == np.float32
    assert sorted(a.context) == sorted(b.context)
    for name in a.context:
        np.testing.assert_array_equal(a.context[name], b.context[name])
    for name in ("valid_time", "source_total", "outflow_total"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def files(store: ArrayStore) -> list[Path]:
    return sorted(path for path in store.root.rglob("*") if path.is_file())


def test_a_segment_comes_back_as_it_was(store: ArrayStore) -> None:
    series = make()
    stored = store.write_segment(series)
    assert stored.created
    assert stored.uri == f"segments/{stored.sha256[:2]}/{stored.sha256}.h5"
    assert_same(store.read_segment(stored.uri), series)
    assert_same(store.read_segment(stored.uri, 1, 4), series.part(1, 4))
    store.verify(stored.uri)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    energy=hnp.arrays(np.float32, st.tuples(*[st.integers(1, 4)] * 4), elements=st.floats(width=32)),
    dt=st.floats(1e-6, 1e6),
    first=st.integers(-(10**9), 10**9),
)
def test_any_field_round_trips(store: ArrayStore, energy: np.ndarray, dt: float, first: int) -> None:
    series = Series(energy=energy, dt=dt, first=first, domain="d")
    stored = store.write_segment(series)
    assert_same(store.read_segment(stored.uri), series)
    store.verify(stored.uri)
    for k, frame in enumerate(stored.frames):
        array = store.read_array(frame.uri)
        np.testing.assert_array_equal(array, energy[k])
        assert digest(array) == frame.sha256
        assert frame.context_uri is None


def test_frames_and_their_context_are_arrays_of_their_own(store: ArrayStore) -> None:
    series = make()
    stored = store.write_segment(series)
    assert stored.context_names == ("source", "velocity")
    for k, frame in enumerate(stored.frames):
        assert frame.uri == f"{stored.uri}#{k}"
        np.testing.assert_array_equal(store.read_array(frame.uri), series.energy[k])
        context = store.read_array(str(frame.context_uri))
        np.testing.assert_array_equal(context[..., :1], series.context["source"][k])
        np.testing.assert_array_equal(context[..., 1:], series.context["velocity"][k])
        assert digest(context) == frame.context_sha256


def test_writing_again_writes_nothing(store: ArrayStore) -> None:
    first = store.write_segment(make())
    inodes = [(path, path.stat().st_ino) for path in files(store)]
    again = store.write_segment(make())
    assert not again.created
    assert replace(again, created=True) == first
    assert [(path, path.stat().st_ino) for path in files(store)] == inodes


@pytest.mark.parametrize(
    "change",
    [
        {"dt": 0.25}, {"first": 8}, {"uid": "another"}, {"parameters": {"viscosity": 2e-3}}, {"context": {}},
        {"valid_time": None}, {"source_total": None}, {"energy": make(seed=1).energy},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_the_hash_covers_all_that_a_series_says(store: ArrayStore, change: dict) -> None:
    assert store.write_segment(replace(make(), **change)).sha256 != store.write_segment(make()).sha256


def test_the_hash_does_not_depend_on_memory_layout(store: ArrayStore) -> None:
    series = make()
    other = replace(
        series,
        energy=np.asfortranarray(series.energy).astype(np.float64),
        context=dict(reversed(series.context.items())),
        valid_time=None if series.valid_time is None else series.valid_time.astype("datetime64[s]"),
    )
    assert store.write_segment(other).sha256 == store.write_segment(series).sha256


def test_one_frame_per_chunk_so_that_a_frame_is_read_alone(store: ArrayStore) -> None:
    stored = store.write_segment(make())
    with h5py.File(store.path(stored.uri)) as file:
        assert file["energy"].chunks == (1, 8, 16, 1)
        assert file["context/velocity"].chunks == (1, 8, 16, 2)


def test_reading_a_frame_does_not_read_the_file(store: ArrayStore) -> None:
    stored = store.write_segment(make(T=400, H=64, W=64))
    code = (
        "import sys, h5py, resource; from pathlib import Path; from nvp.atlas.store import ArrayStore\n"
        "store = ArrayStore(Path(sys.argv[1])); peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak(); store.read_array(sys.argv[2]); print(peak() - before)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, store.root, f"{stored.uri}#399"], capture_output=True, text=True, check=True
    )
    # the file has 26 MB
    assert int(run.stdout) < 8_000


def test_objects(store: ArrayStore) -> None:
    array = np.random.default_rng(0).random((8, 8, 1), dtype=np.float32)
    stored = store.write_array(array)
    assert stored.uri == f"objects/{stored.sha256[:2]}/{stored.sha256}.npy"
    assert store.write_array(array) == stored
    np.testing.assert_array_equal(store.read_array(stored.uri), array)
    np.testing.assert_array_equal(np.load(store.path(stored.uri)), array)
    assert store.path(stored.uri).read_bytes() == store.canonical_bytes(array)
    store.verify(stored.uri)


SHA = "ab" + "0" * 62


@pytest.mark.parametrize(
    "uri",
    [
        "", "/etc/passwd", "../x", "segments/../../etc/passwd", f"segments/ab/../ab/{SHA}.h5#0",
        f"segments/cd/{SHA}.h5#0",
        f"objects/ab/{SHA}.npy/../../../x", f"objects/ab/{SHA}.npy#1", f"segments/ab/{SHA}.h5#-1",
        f"segments/ab/{SHA}.h5#0/velocity", f"segments/ab/{SHA}.h5#00", f"segments/ab/{SHA}.h5#0\n", "tmp/x.npy",
        f"objects/ab/{SHA.upper()}.npy", f"file:///objects/ab/{SHA}.npy",
    ],
)  # fmt: skip
def test_nothing_outside_the_store_can_be_named(store: ArrayStore, uri: str) -> None:
    for use in (store.path, store.read_array, store.read_segment, store.verify, store.remove):
        with pytest.raises(FieldError) as caught:
            use(uri)
        assert caught.value.code == "BAD_URI"


@pytest.mark.parametrize("uri", [f"segments/ab/{SHA}.h5#0", f"objects/ab/{SHA}.npy"])
def test_a_missing_file_is_named(store: ArrayStore, uri: str) -> None:
    with pytest.raises(FieldError, match=SHA) as caught:
        store.read_array(uri)
    assert caught.value.code == "FILE_MISSING"


@pytest.mark.parametrize(("start", "stop"), [(0, 6), (3, 3), (-1, 2), (4, 2)])
def test_frames_that_are_not_there(store: ArrayStore, start: int, stop: int) -> None:
    stored = store.write_segment(make())
    with pytest.raises(FieldError) as caught:
        store.read_segment(stored.uri, start, stop)
    assert caught.value.code == "NO_FRAME"
    with pytest.raises(FieldError) as caught:
        store.read_array(f"{stored.uri}#5")
    assert caught.value.code == "NO_FRAME"


@pytest.mark.parametrize("keep", [0, 7, 100, 2000, 10_000])
def test_a_cut_off_file_is_named_and_written_anew(store: ArrayStore, keep: int) -> None:
    series = make()
    stored = store.write_segment(series)
    path = store.path(stored.uri)
    path.write_bytes(path.read_bytes()[:keep])
    for use in (store.read_segment, store.verify, lambda uri: store.read_array(f"{uri}#0")):
        with pytest.raises(FieldError) as caught:
            use(stored.uri)
        assert caught.value.code == "FILE_DAMAGED"
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert store.write_segment(series).created
    assert_same(store.read_segment(stored.uri), series)


def test_a_cut_off_object_is_named(store: ArrayStore) -> None:
    stored = store.write_array(np.ones((8, 8, 1), np.float32))
    path = store.path(stored.uri)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FieldError, match=stored.sha256):
        store.read_array(stored.uri)


def test_verify_finds_one_changed_number(store: ArrayStore) -> None:
    stored = store.write_segment(make())
    with h5py.File(store.path(stored.uri), "r+") as file:
        file["energy"][3, 2, 1, 0] += 1e-6
    with pytest.raises(FieldError) as caught:
        store.verify(f"{stored.uri}#0")
    assert caught.value.code == "FILE_CHANGED"


@pytest.mark.parametrize(
    "change",
    [
        {"energy": np.zeros((0, 8, 8, 1), np.float32), "context": {}},
        {"context": {"velocity": np.zeros((5, 8, 8, 2), np.float32)}},
        {"context": {"a/b": np.zeros((5, 8, 16, 2), np.float32)}},
        {"source_total": np.zeros(4)},
        {"valid_time": np.arange(5)},
    ],
    ids=["no frames", "another grid", "a name with a slash", "too few totals", "no calendar"],
)  # fmt: skip
def test_a_series_that_does_not_fit_itself_leaves_no_file(store: ArrayStore, change: dict) -> None:
    with pytest.raises((FieldError, TypeError)):
        store.write_segment(replace(make(), **change))
    assert not store.root.exists()


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FieldError, match="FIELDGRAPH_STORE") as caught:
        ArrayStore(tmp_path / "file").write_segment(make())
    assert caught.value.code == "STORE_UNWRITABLE"


def test_many_threads_write_and_read_one_segment(store: ArrayStore) -> None:
    def work(_: int) -> str:
        stored = store.write_segment(make(T=50))
        assert len(store.read_segment(stored.uri)) == 50
        return stored.uri

    with ThreadPoolExecutor(8) as pool:
        uris = set(pool.map(work, range(24)))
    assert len(uris) == 1
    assert len(files(store)) == 1


def test_processes_write_one_segment(store: ArrayStore) -> None:
    code = (
        "import sys, json, numpy as np; from pathlib import Path; from nvp.atlas.store import ArrayStore\n"
        "from nvp.atlas.series import Series\n"
        "store = ArrayStore(Path(sys.argv[1]))\n"
        "for k in range(20):\n"
        "    stored = store.write_segment(Series(energy=np.full((9, 8, 8, 1), k, np.float32), dt=1.0, domain='d'))\n"
        "    store.verify(stored.uri)\n"
        "print(json.dumps(stored.sha256))"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, store.root], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    shas = {json.loads(writer.communicate()[0]) for writer in writers}
    assert len(shas) == 1
    assert len(files(store)) == 20


def test_what_killed_writers_left_is_swept_when_old(store: ArrayStore) -> None:
    store.write_segment(make())
    (store.root / "tmp" / "left.h5").write_bytes(b"half")
    assert store.sweep_temporary() == 0
    assert store.sweep_temporary(older_than_s=-1.0) == 1
    assert [path.suffix for path in files(store)] == [".h5"]


def test_parts_join_to_the_whole() -> None:
    series = make(T=9)
    assert_same(join([series.part(0, 2), series.part(2, 3), series.part(3, 9)]), series)
    assert join([series]) is series
    with pytest.raises(FieldError, match="t_index 9"):
        join([series.part(0, 2), series.part(3, 9)])


def test_what_a_killed_writer_left_goes_at_the_next_sweep(tmp_path: Path) -> None:
    store, temporary = ArrayStore(tmp_path), tmp_path / "tmp"
    temporary.mkdir()
    naming = "from nvp.atlas.temporary import temporary_name as name; print(name('.h5'))"
    ended = subprocess.run([sys.executable, "-c", naming], capture_output=True, text=True, check=True).stdout.strip()
    of_others = f"{'0' * 12}{ended[12:]}"
    for name in (ended, of_others, temporary_name(".h5")):
        (temporary / name).touch()
    assert store.sweep_temporary() == 1
    assert not (temporary / ended).exists(), "the writer has ended"
    assert len(list(temporary.iterdir())) == 2, "those of living writers and of other hosts stay"


@pytest.mark.parametrize("room", [0, 100, 2_000, 50_000, 1_000_000])
def test_a_full_disk_is_one_error_and_no_crash(tmp_path: Path, room: int) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path; import numpy as np\n"
        "from nvp.atlas.store import ArrayStore; from nvp.atlas.series import Series\n"
        "from nvp.errors import FieldError\n"
        "series = Series(energy=np.ones((300, 32, 32, 1), np.float32), dt=1.0, domain='d')\n"
        f"signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n"
        "try: ArrayStore(Path(sys.argv[1])).write_segment(series)\n"
        "except FieldError as error: sys.stdout.write(error.code)"
    )
    ended = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "STORE_UNWRITABLE", "")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
