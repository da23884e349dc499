"""Expansions: modules that a coupling graph might be given, each weighed with and without."""

from __future__ import annotations

from neomodel import (
    ArrayProperty,
    AsyncOne,
    AsyncRelationshipTo,
    AsyncStructuredNode,
    AsyncZeroOrMore,
    AsyncZeroOrOne,
    BooleanProperty,
    FloatProperty,
    IntegerProperty,
    StringProperty,
)

from graph.models.coordination import CouplingGraph, OrderParameter
from graph.models.run import Run


class ExpansionCandidate(AsyncStructuredNode):
    """One module that might be added; accepted where delta + gamma < −tau."""

    uid = StringProperty(required=True, unique_index=True)
    run = StringProperty(required=True)
    key = StringProperty(required=True)
    # its place among the candidates
    index = IntegerProperty(required=True)
    energy_before = FloatProperty(required=True)
    energy_after = FloatProperty(required=True)
    delta = FloatProperty(required=True)
    accepted = BooleanProperty(required=True)
    # among the few that are kept
    survives = BooleanProperty(required=True)

    # the order parameter that gains most by it
    parent = AsyncRelationshipTo(OrderParameter, "PARENT", cardinality=AsyncZeroOrOne)
    # where it was added
    became = AsyncRelationshipTo(OrderParameter, "BECAME", cardinality=AsyncZeroOrOne)


class ExpansionRun(Run):
    """Scores candidates by relaxing a coupling graph with and without each."""

    graph_name = StringProperty()
    graph_digest = StringProperty()
    gamma = FloatProperty()
    tau = FloatProperty()
    energy = FloatProperty()
    survivors = ArrayProperty(StringProperty())
    applied = BooleanProperty()
    # of the graph, once the survivors are in it
    version = IntegerProperty()
    wall_seconds = FloatProperty()

    expands = AsyncRelationshipTo(CouplingGraph, "EXPANDS", cardinality=AsyncOne)
    weighs = AsyncRelationshipTo(ExpansionCandidate, "WEIGHS", cardinality=AsyncZeroOrMore)
