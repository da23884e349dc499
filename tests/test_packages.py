"""The five top-level names are ours, and the API process stays free of JAX."""

from __future__ import annotations

import builtins
import dis
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path
from types import CodeType

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


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def undefined(source: str) -> set[str]:
    """Names that code reads and nobody has written."""
    written, read = {*dir(builtins), "__annotations__", "__file__"}, set()
    for code in _codes(compile(source, "module", "exec")):
        for each in dis.get_instructions(code):
            if each.opname in ("STORE_NAME", "STORE_GLOBAL"):
                written.add(each.argval)
            elif each.opname in ("LOAD_NAME", "LOAD_GLOBAL"):
                read.add(each.argval)
    return read - written


def test_every_name_that_is_read_is_there() -> None:
    # the linters look away from undefined names where annotations name array axes
    assert undefined("def f():\n    return missing") == {"missing"}
    found = {str(path): undefined(path.read_text()) for path in (ROOT / "nvp").rglob("*.py")}
    assert {path: names for path, names in found.items() if names} == {}
