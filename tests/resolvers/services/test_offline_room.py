"""A bundle needs room and a folder to itself: without, one line says so, and the same again comes to its end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from graph.errors import GraphError
from nvp.errors import FieldError
from nvp.training.events import TrainingEvent
from resolvers.services.bundle import MANIFEST, TRAINING, read_bundle
from resolvers.services.offline import OfflineTraining, check_folder
from tests.full_disk import full_disk
from tests.resolvers.bundles import RIDGE, files, quiet, read


def test_a_full_disk_is_one_line_and_the_same_again_ends(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    sequences = read(files(tmp_path / "fields"))
    with full_disk(100), pytest.raises(FieldError, match="expected to write") as refused:
        OfflineTraining(RIDGE, sequences, folder).run(quiet)
    assert refused.value.code == "UNWRITABLE"
    assert "\n" not in str(refused.value)
    assert not (folder / MANIFEST).exists()
    OfflineTraining(RIDGE, sequences, folder).run(quiet)
    assert read_bundle(folder).checkpoint["step"] >= 0


def test_a_folder_is_refused_before_there_are_data(tmp_path: Path) -> None:
    request, folder = replace(RIDGE, domain="fluid_dynamics"), tmp_path / "bundle"
    (tmp_path / "file").touch()
    with pytest.raises(FieldError, match=r"expected to write in .* Name a folder that can be written") as refused:
        check_folder(tmp_path / "file" / "bundle", request)
    assert refused.value.code == "UNWRITABLE"
    with pytest.raises(FieldError, match="expected an empty folder"):
        check_folder(tmp_path, request)

    class Stopped(Exception):
        pass

    def stop(_: TrainingEvent) -> None:
        raise Stopped

    training = OfflineTraining(request, read(files(tmp_path / "fields")), folder)
    with pytest.raises(Stopped):
        training.run(stop)
    for _ in ("unfinished", "finished"):
        check_folder(folder, request)
        for other in (replace(request, seed=4), replace(request, history=2), replace(request, model="tiny")):
            with pytest.raises(FieldError, match="another request"):
                check_folder(folder, other)
        training.run(quiet)


def test_two_trainings_have_no_folder_in_common(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    training = OfflineTraining(RIDGE, read(files(tmp_path / "fields")), folder)
    (folder / TRAINING).mkdir(parents=True)
    with (
        FileLock(folder / TRAINING / "lock", is_singleton=False),
        pytest.raises(FieldError, match="for this training alone, got another process"),
    ):
        training.run(quiet)
    assert not (folder / MANIFEST).exists()
    training.run(quiet)
    assert read_bundle(folder)


def test_a_seed_is_one_that_the_graph_holds(tmp_path: Path) -> None:
    sequences = read(files(tmp_path / "fields"))
    for seed in (-1, 2**63):
        with pytest.raises(GraphError, match="expected seed within 0"):
            OfflineTraining(replace(RIDGE, seed=seed), sequences, tmp_path / "bundle")
