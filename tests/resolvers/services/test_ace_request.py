"""What an experiment is asked to be, before anything is queued."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from graph.errors import GraphError
from resolvers.services import ace_request
from resolvers.services.ace.composing import SIZE, STEPS, ensemble_of
from resolvers.services.ace_request import SAME, SHADOW_SIZES, AceRequest


def model(config: dict[str, Any]) -> Any:
    return SimpleNamespace(config=config, name="the model")


def resolved(asked: str, config: dict[str, Any]) -> str:
    return ace_request._shadow_size(AceRequest(shadow_size=asked), model(config))


@pytest.mark.parametrize("size", SHADOW_SIZES)
def test_shadows_may_be_as_large_as_what_is_tested(size: str) -> None:
    assert resolved(SAME, {"training": {"size": size}}) == size
    assert resolved(size, {}) == size


@pytest.mark.parametrize("config", [{"training": {"size": "literal"}}, {"alpha": 0.1}, {"training": None}])
def test_where_there_is_no_such_network_it_says_so(config: dict[str, Any]) -> None:
    with pytest.raises(GraphError, match=r"shadows can have \(tiny, small, base\), got the model"):
        resolved(SAME, config)


def test_what_was_asked_before_there_were_sizes_is_what_is_the_default_now() -> None:
    assert ensemble_of({"shadows": 3}) == {"members": 3, "size": SIZE, "steps": STEPS, "batch": 4}
    assert ensemble_of({"shadows": 5, "shadow_size": "base", "shadow_steps": 7}) == {
        "members": 5, "size": "base", "steps": 7, "batch": 4,
    }  # fmt: skip
