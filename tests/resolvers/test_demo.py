"""What the demo asks the API is what the API can be asked."""

from __future__ import annotations

from importlib.resources import files

import pytest
from graphql import build_schema, parse, validate

from resolvers import demo
from resolvers.ace.grammar import parse as read_sentence

DOCUMENTS = {name: value for name, value in vars(demo).items() if name.isupper() and isinstance(value, str)}


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_the_schema_knows_what_is_asked(name: str) -> None:
    schema = build_schema(files("schema").joinpath("schema.graphql").read_text("utf-8"))
    assert validate(schema, parse(DOCUMENTS[name])) == []


def test_what_is_claimed_is_a_claim_about_that_checkpoint() -> None:
    config, uid = demo.DemoConfig(), "01997a3c-0000-7000-8000-000000000001"
    claim = read_sentence(config.claim.format(domain=config.domain, checkpoint=uid))
    assert (claim.model, claim.domain, claim.comparator) == (f"checkpoint:{uid}", config.domain, ">")
