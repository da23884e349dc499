"""The five top-level names are ours, and the API process stays free of JAX."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ["graph", "migrations", "nvp", "resolvers", "schema"]


@pytest.mark.parametrize("package", PACKAGES)
def test_package_belongs_to_our_distribution(package: str) -> None:
    # `schema` and `migrations` also exist on the index: a stranger of that name would shadow ours. An editable
    # install names no packages; then nobody else may
    assert packages_distributions().get(package, ["fieldgraph"]) == ["fieldgraph"]
    assert Path(import_module(package).__file__ or "").parent == ROOT / package


def test_api_process_imports_no_jax() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, resolvers.app; print('jax' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "False"
