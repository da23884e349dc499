"""The committed SDL is what the API says today, so that a change of the API is seen in review."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from graphql import DocumentNode, build_schema, parse, print_ast, validate

import schema as schema_package
from graph.queries import catalog, listings
from resolvers.graphql import present
from resolvers.graphql.api import schema
from schema import ports
from schema.ports import Listing, Relation

SDL = Path(schema_package.__file__).with_name("schema.graphql")


def test_the_committed_schema_is_current() -> None:
    assert SDL.read_text("utf-8").rstrip() == schema.as_str().rstrip(), "run `make schema` and commit the result"


def test_every_name_of_the_ports_is_answered() -> None:
    """A relation or listing that the types ask for has a query and a way to be shown."""
    relations = {value.name for value in vars(ports).values() if isinstance(value, Relation)}
    assert relations == present.RELATIONS.keys() == catalog.RELATIONS.keys() | {"next"}
    lists = {value.name for value in vars(ports).values() if isinstance(value, Listing)}
    assert lists == present.LISTINGS.keys() == listings.LISTS.keys() | {"snapshots"}
    assert {label for label, _ in present.NODES.values()} == catalog.NODES.keys()


def test_the_api_starts_without_an_accelerator() -> None:
    """Importing the app, drawing and all, leaves JAX and pyplot alone."""
    code = (
        "import sys, resolvers.app, resolvers.web.images\n"
        "resolvers.app.create_app(); resolvers.web.images.palette('inferno')\n"
        "print([name for name in ('jax', 'flax', 'matplotlib.pyplot') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_prints_the_schema() -> None:
    code = "from resolvers.cli import main; import sys; sys.argv = ['fieldgraph', 'schema']; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip() == SDL.read_text("utf-8").rstrip()


def test_the_documented_operations_are_valid() -> None:
    """Each operation of docs/api.md by itself: a reader can paste it."""
    text = (SDL.parents[1] / "docs/api.md").read_text("utf-8")
    (block,) = re.findall(r"```graphql\n(.*?)```", text, re.DOTALL)
    operations = parse(block).definitions
    assert len(operations) > 9
    for operation in operations:
        document = DocumentNode(definitions=(operation,))
        assert validate(build_schema(SDL.read_text("utf-8")), document) == [], print_ast(operation)
