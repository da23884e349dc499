"""Evidence is what a model has not learnt, and that it has not is proved."""

from __future__ import annotations

import pytest

from graph.errors import GraphError, NotFound
from graph.gateway import Gateway
from graph.queries import unlearnt
from graph.queries.evaluation import Stretch
from tests.graph.queries import builders
from tests.graph.queries.experiments import sequence

pytestmark = pytest.mark.db

FIRST = builders.new_sequence().uid


@pytest.fixture
async def checkpoint(gateway: Gateway) -> str:
    """A checkpoint whose split trains on 0 … 9 and tests on 12 … 19 of the first sequence."""
    return (await builders.trained(gateway))[2]


async def test_evidence_is_what_the_model_has_not_learnt(gateway: Gateway, checkpoint: str) -> None:
    unseen = await sequence(gateway, "unseen", 0, 6, variant="other")
    found = await unlearnt.stretches(gateway, checkpoint=checkpoint, domain="plasma")
    assert found == [Stretch(FIRST, 12, 19), Stretch(unseen, 0, 5)]
    assert await unlearnt.leaked(gateway, checkpoint=checkpoint, stretches=found) == 0
    some = await unlearnt.stretches(gateway, checkpoint=checkpoint, domain="plasma", horizon=6)
    assert some == [Stretch(FIRST, 12, 19)]
    some = await unlearnt.stretches(gateway, checkpoint=checkpoint, domain="plasma", limit=1)
    assert some == [Stretch(FIRST, 12, 19)]
    assert await unlearnt.stretches(gateway, checkpoint=checkpoint, domain="another") == []
    with pytest.raises(NotFound, match="Checkpoint"):
        await unlearnt.stretches(gateway, checkpoint="nowhere", domain="plasma")


async def test_evidence_of_one_regime_has_no_gap(gateway: Gateway, checkpoint: str) -> None:
    calm = await sequence(gateway, "calm", 0, 4, variant="a", regime="localised")
    await sequence(gateway, "calm", 6, 12, variant="a", regime="localised")  # frames 4 and 5 are missing
    await sequence(gateway, "wild", 0, 9, variant="b", regime="homogeneous")
    found = await unlearnt.stretches(gateway, checkpoint=checkpoint, domain="plasma", regime="localised", horizon=2)
    assert found == [Stretch(calm, 0, 3), Stretch(calm, 6, 11)]
    await gateway.write("MATCH (e:EnergySnapshot {sequence: $uid, t_index: 8}) SET e.regime = 'other'", uid=calm)
    found = await unlearnt.stretches(gateway, checkpoint=checkpoint, domain="plasma", regime="localised", horizon=2)
    assert found == [Stretch(calm, 0, 3), Stretch(calm, 9, 11)]


async def test_leaks_into_the_evidence_are_counted(gateway: Gateway, checkpoint: str) -> None:
    # the frames that train, under another name, and more
    copy = await sequence(gateway, "copy", 7, 12, variant="")
    parts = [Stretch(FIRST, 0, 19), Stretch(FIRST, 10, 19), Stretch(copy, 0, 4), Stretch(copy, 3, 4)]
    counts = [await unlearnt.leaked(gateway, checkpoint=checkpoint, stretches=[part]) for part in parts]
    assert counts == [10, 0, 3, 0]
    found = await unlearnt.stretches(gateway, checkpoint=checkpoint, domain="plasma")
    assert found == [Stretch(FIRST, 12, 19), Stretch(copy, 3, 4)]
    assert await unlearnt.leaked(gateway, checkpoint=checkpoint, stretches=parts) == 13
    assert await unlearnt.leaked(gateway, checkpoint=checkpoint, stretches=[]) == 0


async def test_what_shares_its_draw_with_training_is_no_evidence(gateway: Gateway, checkpoint: str) -> None:
    drawn = await sequence(gateway, "drawn", 0, 4, variant="d", seed=3, number=1)
    whole = Stretch(drawn, 0, 3)
    assert whole in await unlearnt.stretches(gateway, checkpoint=checkpoint, domain="plasma")
    assert await unlearnt.leaked(gateway, checkpoint=checkpoint, stretches=[whole]) == 0
    await gateway.write(
        "MATCH (a:Sequence {uid: $drawn}) MATCH (b:Sequence {uid: $first}) SET b.draw = a.draw",
        drawn=drawn,
        first=FIRST,
    )
    assert whole not in await unlearnt.stretches(gateway, checkpoint=checkpoint, domain="plasma")
    assert await unlearnt.leaked(gateway, checkpoint=checkpoint, stretches=[whole]) == 4


async def test_a_proof_about_nothing_is_none(gateway: Gateway, checkpoint: str) -> None:
    with pytest.raises(NotFound, match="Checkpoint"):
        await unlearnt.leaked(gateway, checkpoint="nowhere", stretches=[Stretch(FIRST, 12, 19)])
    with pytest.raises(NotFound, match="frames of Sequence"):
        await unlearnt.leaked(
            gateway, checkpoint=checkpoint, stretches=[Stretch(FIRST, 12, 19), Stretch("nowhere", 0, 3)]
        )


async def test_a_model_whose_training_data_are_not_all_there_has_no_evidence(gateway: Gateway, checkpoint: str) -> None:
    """As an import leaves it: the graph knows the split by its uid, and not all of its parts."""
    unseen = await sequence(gateway, "unseen", 0, 6, variant="other")

    async def asked() -> list[Stretch]:
        found = await unlearnt.stretches(gateway, checkpoint=checkpoint, domain="plasma")
        assert await unlearnt.leaked(gateway, checkpoint=checkpoint, stretches=found) == 0
        return found

    assert Stretch(unseen, 0, 5) in await asked()
    await gateway.write("MATCH (:Split)-[part:HAS_PART {role: 'train'}]->() DELETE part")
    for absent, told in ((None, "got some missing"), (1, "got 1 missing")):
        await gateway.write("MATCH (p:Split) SET p.absent = $absent", absent=absent)
        for ask in (
            unlearnt.stretches(gateway, checkpoint=checkpoint, domain="plasma"),
            unlearnt.leaked(gateway, checkpoint=checkpoint, stretches=[Stretch(unseen, 0, 5)]),
        ):
            with pytest.raises(GraphError, match=told) as refused:
                await ask
            assert refused.value.code == "UNKNOWN_TRAINING"
    # an import that found them all, be it under other names
    await gateway.write("MATCH (p:Split) SET p.absent = 0")
    assert Stretch(unseen, 0, 5) in await asked()
