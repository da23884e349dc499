"""The models declare, the migrations create: both must say the same. And neomodel reads what our queries write."""

from __future__ import annotations

from typing import Any

import pytest
from neomodel import AsyncStructuredNode

from graph import models
from graph.gateway import Gateway
from graph.models.indexes import COMPOSITE_INDEXES, index_name
from graph.queries import sequences
from tests.graph.queries import builders

pytestmark = pytest.mark.db

CLASSES: list[type[AsyncStructuredNode]] = [getattr(models, name) for name in models.__all__]


def declared(kind: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Name → (label, properties) of what the classes themselves declare, not what they inherit."""
    prefix = {"unique_index": "constraint_unique", "index": "index", "vector_index": "vector_index"}[kind]
    return {
        f"{prefix}_{cls.__label__}_{name}": (cls.__label__, (name,))
        for cls in CLASSES
        for name, value in vars(cls).items()
        if getattr(value, kind, None) and not callable(getattr(value, kind))
    }


async def shown(gateway: Gateway, kinds: list[str]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Name → (label, properties) of the server's own indexes of these types, without those behind constraints."""
    rows = await gateway.read(
        """SHOW INDEXES YIELD name, type, labelsOrTypes, properties, owningConstraint, state
        WHERE type IN $kinds AND owningConstraint IS NULL AND state = 'ONLINE'
        AND none(label IN labelsOrTypes WHERE label STARTS WITH '__')
        RETURN name, labelsOrTypes[0] AS label, properties""",
        kinds=kinds,
    )
    return {row["name"]: (row["label"], tuple(row["properties"])) for row in rows}


async def test_unique_properties_have_their_constraint(gateway: Gateway) -> None:
    rows = await gateway.read(
        """SHOW CONSTRAINTS YIELD name, type, labelsOrTypes, properties
        WHERE none(label IN labelsOrTypes WHERE label STARTS WITH '__')
        RETURN name, type, labelsOrTypes[0] AS label, properties"""
    )
    assert {row["name"]: (row["label"], tuple(row["properties"])) for row in rows} == declared("unique_index")
    assert all("UNIQUE" in row["type"] for row in rows)


async def test_indexed_properties_have_their_index(gateway: Gateway) -> None:
    composite = {index_name(label, names): (label, names) for label, names in COMPOSITE_INDEXES}
    assert await shown(gateway, ["RANGE"]) == declared("index") | composite


async def test_descriptors_have_a_vector_index_per_origin(gateway: Gateway) -> None:
    found = await shown(gateway, ["VECTOR"])
    assert {name: (label, properties[:1]) for name, (label, properties) in found.items()} == declared("vector_index")
    # what a search may be narrowed by
    assert {label: properties[1:] for label, properties in found.values()} == {
        "Observed": ("domain", "sequence"),
        "Simulated": ("domain", "sequence"),
        "Predicted": ("domain",),
    }
    rows = await gateway.read("SHOW VECTOR INDEXES YIELD options RETURN options.indexConfig AS config")
    assert {(row["config"]["vector.dimensions"], row["config"]["vector.similarity_function"]) for row in rows} == {
        (64, "COSINE")
    }


def test_composite_indexes_name_declared_properties() -> None:
    for label, names in COMPOSITE_INDEXES:
        known: dict[str, Any] = {}
        for cls in [getattr(models, label), *getattr(models, label).__subclasses__()]:
            known |= cls.defined_properties(aliases=False, rels=False)
        assert set(names) <= known.keys()


async def test_neomodel_reads_an_ingest_with_its_links(gateway: Gateway) -> None:
    await sequences.upsert_domain(gateway, builders.DOMAIN)
    await builders.append(gateway, 0, 3)
    await gateway.connect_models()

    sequence = await models.Sequence.nodes.get(uid=builders.new_sequence().uid)
    assert (sequence.length, sequence.origin, sequence.first, sequence.last) == (3, "Simulated", 0, 2)
    assert (await sequence.of_domain.single()).title == "Plasma"
    first = await models.Simulated.nodes.get(t_index=0)
    second = await first.next.single()
    assert type(second) is models.Simulated
    assert (await first.next.relationship(second)).delta_energy == pytest.approx(-1.0)
    assert await models.Observed.nodes.get_or_none(t_index=0) is None
    await second.save()  # every property that our queries write is one that the class declares, and valid


async def test_neomodel_reads_a_run_of_its_kind_with_its_inputs(gateway: Gateway) -> None:
    await sequences.upsert_domain(gateway, builders.DOMAIN)
    row = await builders.submit(gateway, inputs=[("plasma", "domain")])
    await gateway.connect_models()

    run = await models.Run.nodes.get(uid=row.uid)
    assert type(run) is models.TrainingRun
    assert run.state == "QUEUED"
    (domain,) = await run.used_domains.all()
    assert domain.name == "plasma"
    assert (await run.used_domains.relationship(domain)).role == "domain"
    assert await run.used_splits.all() == []


async def test_our_queries_write_declared_properties_only(gateway: Gateway) -> None:
    """After a whole path, each node's properties are those of its most specific class."""
    await builders.trained(gateway)
    rows = await gateway.read(
        "MATCH (n) WHERE NOT n:__Neo4jMigration AND NOT n:__Neo4jMigrationsLock "
        "RETURN DISTINCT labels(n) AS labels, keys(n) AS keys"
    )
    assert {label for row in rows for label in row["labels"]} >= {"Model", "Checkpoint", "Split", "TrainingRun"}
    for row in rows:
        (cls,) = [cls for cls in CLASSES if set(cls.inherited_labels()) == set(row["labels"])]
        assert set(row["keys"]) <= cls.defined_properties(aliases=False, rels=False).keys(), cls
