"""The newest of a domain is found by the domain's index; a checkpoint is the best one of the newest model."""

from __future__ import annotations

from typing import LiteralString

import pytest

from graph.errors import NotFound
from graph.gateway import Gateway
from graph.queries.newest import _NEWEST_CHECKPOINT, _NEWEST_SEQUENCE, newest_checkpoint
from tests.graph.queries.plans import explain, fill

pytestmark = pytest.mark.db

MODELS: LiteralString = """
UNWIND $models AS model
CREATE (m:Model {uid: model.uid, domain: model.domain, architecture: model.architecture, created_at: model.at,
  best_checkpoint: model.best})
CREATE (m)-[:HAS_CHECKPOINT]->(:Checkpoint {uid: model.uid + ' first'})
CREATE (m)-[:HAS_CHECKPOINT]->(:Checkpoint {uid: model.uid + ' best', removed_at: model.removed})
"""


@pytest.mark.parametrize("query", [_NEWEST_SEQUENCE, _NEWEST_CHECKPOINT])
async def test_it_starts_from_an_index(gateway: Gateway, query: LiteralString) -> None:
    await fill(gateway)
    assert not {operator for operator in await explain(gateway, query) if operator.endswith("Scan")}


async def test_the_best_checkpoint_of_the_newest_model(gateway: Gateway) -> None:
    def model(uid: str, architecture: str, at: int, **more: object) -> dict[str, object]:
        return {"uid": uid, "domain": "plasma_physics", "architecture": architecture, "at": at} | more

    models = [
        model("a", "tiny", 1, best="a best"),
        model("b", "small", 2, best="b best"),
        model("c", "tiny", 3, best=None),
        model("d", "tiny", 4, best="d best", removed=1),
        {**model("e", "tiny", 5, best="e best"), "domain": "astrophysics"},
    ]
    await gateway.write(MODELS, models=models)
    assert await newest_checkpoint(gateway, "plasma_physics") == "b best"
    assert await newest_checkpoint(gateway, "plasma_physics", "tiny") == "a best", "c is in training, d was removed"
    with pytest.raises(NotFound, match="base Checkpoint of domain with name 'plasma_physics'"):
        await newest_checkpoint(gateway, "plasma_physics", "base")
