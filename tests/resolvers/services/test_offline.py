"""A training without a graph leaves a bundle, and the same one wherever it was killed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nvp.atlas.maps.loader import EnergyAtlasLoader
from nvp.dynamics.samples import save_sample
from nvp.errors import FieldError
from nvp.training.events import EpochDone
from resolvers.services import offline_data
from resolvers.services.bundle import CHECKPOINT, MANIFEST, METRICS, TRAINING, read_bundle
from resolvers.services.offline import OfflineTraining
from resolvers.services.offline_data import from_folder
from resolvers.services.submission import TrainingRequest
from tests.resolvers.bundles import RIDGE, files, quiet, read
from tests.resolvers.carried import carried


def test_a_bundle_is_whole(finished: Path, data: list[Path]) -> None:
    manifest = read_bundle(finished)
    assert sorted(manifest.files) == ["checkpoint/config.json", "checkpoint/weights.npz", "config.json", METRICS]
    assert not (finished / TRAINING).exists()
    assert len(manifest.data["sequences"]) == 3
    assert {part["role"] for part in manifest.split["parts"]} == {"train", "val", "test"}
    lines = (finished / METRICS).read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1]
    # no path of this machine
    assert str(data[0].parent) not in (finished / MANIFEST).read_text()


def test_the_same_again_finds_it_and_another_is_refused(bundle: Path, data: list[Path]) -> None:
    before = (bundle / MANIFEST).read_bytes()
    again = OfflineTraining(RIDGE, read(data), bundle).run(quiet)
    assert ((bundle / MANIFEST).read_bytes(), again) == (before, read_bundle(bundle))
    for request, paths in ((replace(RIDGE, seed=4), data), (replace(RIDGE, history=2), data), (RIDGE, data[::-1])):
        other = OfflineTraining(request, read(paths), bundle)
        if paths is data:
            with pytest.raises(FieldError, match="another request, other data or other code"):
                other.run(quiet)
        else:
            assert other.run(quiet) == again  # their order does not matter
    with pytest.raises(FieldError, match="empty folder"):
        OfflineTraining(RIDGE, read(data), data[0].parent).run(quiet)


class Killed(BaseException):
    """What ends the process here."""


def test_killed_anywhere_it_goes_on(data: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network: killed in its epochs and while the bundle is completed, it ends as one that never was."""
    request = TrainingRequest(domain="fluid_dynamics", epochs=3, settings={"batch": 4, "checkpoint_seconds": 1e-3})
    sequences = read(data)
    whole = OfflineTraining(request, sequences, tmp_path / "whole").run(quiet)
    assert whole.attempts == 1

    folder = tmp_path / "killed"
    seen: list[int] = []

    def stop_after_the_second(event: object) -> None:
        if isinstance(event, EpochDone):
            seen.append(event.epoch)
            if event.epoch == 2:
                raise Killed

    with pytest.raises(Killed):
        OfflineTraining(request, sequences, folder).run(stop_after_the_second)
    with pytest.raises(FieldError, match=r"one under way.*Run the same"):
        read_bundle(folder)
    with pytest.raises(FieldError, match="another request"):
        OfflineTraining(replace(request, epochs=4), sequences, folder).run(quiet)
    import resolvers.services.offline as offline

    for name in ("write_manifest", "model_uid"):
        with monkeypatch.context() as patched:
            patched.setattr(offline, name, lambda *_: (_ for _ in ()).throw(Killed))
            with pytest.raises(Killed):
                OfflineTraining(request, sequences, folder).run(lambda event: seen.append(getattr(event, "epoch", 0)))
    trained = len(seen)
    made = OfflineTraining(request, sequences, folder).run(lambda event: seen.append(getattr(event, "epoch", 0)))
    assert len(seen) == trained  # it was finished: nothing is trained again
    assert read_bundle(folder) == made
    assert made.checkpoint["sha256"] == whole.checkpoint["sha256"]
    assert made.model == whole.model
    assert (made.attempts, made.run != whole.run) == (4, True)
    epochs = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    expected = [json.loads(line) for line in (tmp_path / "whole" / METRICS).read_text().splitlines()]
    assert [(one["epoch"], one["val_fidelity"]) for one in epochs] == [
        (one["epoch"], one["val_fidelity"]) for one in expected
    ]
    assert (folder / CHECKPOINT / "config.json").is_file()


def test_a_folder_atlas_and_simulated_sequences(tmp_path: Path) -> None:
    atlas = EnergyAtlasLoader(tmp_path / "atlas")
    for seed in range(3):
        save_sample(atlas, carried(side=8, frames=8, seed=seed), name=f"wave-{seed}", seed=seed)
    found = from_folder(tmp_path / "atlas", "fluid_dynamics")
    assert [(one.sequence.source, one.first, one.last, one.origin) for one in found] == [
        (f"wave-{seed}", 0, 7, "Simulated") for seed in range(3)
    ]
    made = OfflineTraining(replace(RIDGE, history=1), found, tmp_path / "bundle").run(quiet)
    assert made.checkpoint["epoch"] == 1


def test_data_that_no_training_can_have(data: list[Path], tmp_path: Path) -> None:
    larger = files(tmp_path / "larger", count=1, side=16)
    cases = [([], "got none"), (read([*data, *larger]), "fluid_dynamics of 16×16"), (read([data[0], data[0]]), "once")]
    for sequences, expected in cases:
        with pytest.raises(FieldError, match=expected):
            OfflineTraining(RIDGE, sequences, tmp_path / "none")
    mixed = [replace(one, origin="Simulated") if number else one for number, one in enumerate(read(data))]
    with pytest.raises(FieldError, match="observed or simulated"):
        OfflineTraining(RIDGE, mixed, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_content_tells_frames_steps_and_context_apart() -> None:
    frames = [(4, "a", None), (5, "b", "c")]
    same = offline_data.content(1.0, [(0, "a", None), (1, "b", "c")])
    assert offline_data.content(1.0, frames) == same
    others = [(1.0, [(0, "a", None), (2, "b", "c")]), (2.0, frames), (1.0, [(0, "a", None), (1, "b", None)])]
    assert len({same, *(offline_data.content(dt, rows) for dt, rows in others)}) == 4
