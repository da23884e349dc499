"""The five top-level names are ours, and the API process stays free of JAX."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest

PACKAGES = ["graph", "migrations", "nvp", "resolvers", "schema"]


@pytest.mark.parametrize("package", PACKAGES)
def test_package_belongs_to_our_distribution(package: str) -> None:
    # `schema` and `migrations` also exist on the index: a stranger of that name would shadow ours
    assert packages_distributions()[package] == ["fieldgraph"]


def test_api_process_imports_no_jax() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, resolvers.app; print('jax' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "False"
