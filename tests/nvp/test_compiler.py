"""Flags of the compiler: known to the XLA that we have, the user's own first, none for releases not measured."""

from __future__ import annotations

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from nvp import compiler

CONVOLUTION = """
from nvp.compiler import prefer_measured_flags
prefer_measured_flags()
import jax, jax.numpy as jnp
image, kernel = jnp.ones((1, 1, 8, 8)), jnp.ones((1, 1, 3, 3))
print(float(jax.jit(jax.lax.conv, static_argnums=(2, 3))(image, kernel, (1, 1), "VALID").sum()))
"""


def test_this_release_knows_the_flags() -> None:
    environment = {name: value for name, value in os.environ.items() if name != compiler.VARIABLE}
    done = subprocess.run([sys.executable, "-c", CONVOLUTION], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "324.0\n"), done.stderr


def test_they_are_set_where_nothing_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "version", lambda _: "0.10.9")
    monkeypatch.delenv(compiler.VARIABLE, raising=False)
    compiler.prefer_measured_flags()
    assert os.environ[compiler.VARIABLE] == compiler.FLAGS["0.10"]
    monkeypatch.setenv(compiler.VARIABLE, "--mine")
    compiler.prefer_measured_flags()
    assert os.environ[compiler.VARIABLE] == "--mine"


def test_a_release_that_was_not_measured_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "version", lambda _: "0.99.0")
    monkeypatch.delenv(compiler.VARIABLE, raising=False)
    compiler.prefer_measured_flags()
    assert compiler.VARIABLE not in os.environ


def test_this_release_knows_the_options_of_what_runs_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    product = jax.jit(lambda x: x @ x.T, compiler_options=compiler.brief_options("cpu"))
    assert float(product(jnp.ones((2, 3))).sum()) == 12.0
    assert len(compiler.brief_options("cpu")) == 3
    assert compiler.brief_options("gpu") == {}
    monkeypatch.setattr(compiler, "version", lambda _: "0.99.0")
    assert compiler.brief_options("cpu") == {}
