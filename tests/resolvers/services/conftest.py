"""A bundle, as a training without a graph leaves it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from resolvers.services.offline import OfflineTraining
from tests.resolvers.bundles import RIDGE, files, quiet, read


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return files(tmp_path_factory.mktemp("fields"))


@pytest.fixture(scope="module")
def finished(data: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, not to be changed."""
    folder = tmp_path_factory.mktemp("offline") / "bundle"
    OfflineTraining(RIDGE, read(data), folder).run(quiet)
    return folder


@pytest.fixture
def bundle(finished: Path, tmp_path: Path) -> Path:
    """A bundle of the test's own."""
    return shutil.copytree(finished, tmp_path / "bundle")
