"""Sequence, its Segments, and Splits of sequences into roles."""

from __future__ import annotations

from neomodel import (
    AsyncOneOrMore,
    AsyncRelationshipFrom,
    AsyncRelationshipTo,
    AsyncStructuredNode,
    AsyncZeroOrMore,
    AsyncZeroOrOne,
    DateTimeNeo4jFormatProperty,
    FloatProperty,
    IntegerProperty,
    StringProperty,
)

from graph.models.domain import Domain
from graph.models.relations import HasPart
from graph.models.run import Run
from graph.models.snapshot import EnergySnapshot


class Segment(AsyncStructuredNode):
    """Consecutive frames in one immutable file."""

    uid = StringProperty(required=True, unique_index=True)
    # t_index of its first frame
    first = IntegerProperty(required=True)
    length = IntegerProperty(required=True)
    # relative to the store
    uri = StringProperty(required=True)
    sha256 = StringProperty(required=True, index=True)


class Sequence(AsyncStructuredNode):
    """One evolution of a field; it grows by segments."""

    uid = StringProperty(required=True, unique_index=True)
    domain = StringProperty(required=True)
    source = StringProperty(required=True)
    # Observed or Simulated: the second label of its snapshots
    origin = StringProperty(required=True)
    generator = StringProperty(required=True)
    recipe_json = StringProperty(required=True)
    rng_seed = IntegerProperty()
    # what chance gave it: equal for sequences of one root and number; absent where nothing was drawn
    draw = StringProperty()
    height = IntegerProperty(required=True)
    width = IntegerProperty(required=True)
    dt = FloatProperty(required=True)
    # absolute step of t_index 0
    anchor = IntegerProperty(required=True)
    # lowest and highest t_index, and how many frames there are
    first = IntegerProperty(required=True)
    last = IntegerProperty(required=True)
    length = IntegerProperty(required=True)
    # chains the segments' sha256 in order of time
    digest = StringProperty(required=True)
    created_at = DateTimeNeo4jFormatProperty()
    updated_at = DateTimeNeo4jFormatProperty()

    of_domain = AsyncRelationshipTo(Domain, "OF_DOMAIN", cardinality=AsyncZeroOrOne)
    segments = AsyncRelationshipTo(Segment, "HAS_SEGMENT", cardinality=AsyncOneOrMore)
    snapshots = AsyncRelationshipTo(EnergySnapshot, "HAS_SNAPSHOT", cardinality=AsyncOneOrMore)
    generated_by = AsyncRelationshipTo(Run, "WAS_GENERATED_BY", cardinality=AsyncZeroOrOne)
    splits = AsyncRelationshipFrom("Split", "HAS_PART", model=HasPart, cardinality=AsyncZeroOrMore)


class Split(AsyncStructuredNode):
    """Which stretches of which sequences train, choose and test."""

    uid = StringProperty(required=True, unique_index=True)
    name = StringProperty(required=True, index=True)
    # sequence (whole sequences) or block (stretches of time)
    kind = StringProperty(required=True, choices={"sequence": "sequence", "block": "block"})
    # steps left out between roles of one sequence
    gap = IntegerProperty(required=True)
    # parts for training and validation that the graph did not have at the split's last import
    absent = IntegerProperty()
    created_at = DateTimeNeo4jFormatProperty()

    parts = AsyncRelationshipTo(Sequence, "HAS_PART", model=HasPart, cardinality=AsyncOneOrMore)
