"""Sweeps: a coupling graph relaxed at every point of a grid."""

from __future__ import annotations

from neomodel import (
    ArrayProperty,
    AsyncOne,
    AsyncRelationshipTo,
    AsyncStructuredNode,
    AsyncZeroOrMore,
    FloatProperty,
    IntegerProperty,
    StringProperty,
)

from graph.models.coordination import CouplingGraph
from graph.models.run import Run


class SweepPoint(AsyncStructuredNode):
    """Where the graph settled at one point; lists are in the order of the run's `axes` and `keys`."""

    uid = StringProperty(required=True, unique_index=True)
    run = StringProperty(required=True)
    index = IntegerProperty(required=True)
    at = ArrayProperty(FloatProperty(), required=True)
    # as of a RelaxationRun
    status = StringProperty(required=True)
    initial_energy = FloatProperty(required=True)
    energy = FloatProperty()
    residual = FloatProperty()
    steps = IntegerProperty(required=True)
    eta = ArrayProperty(FloatProperty(), required=True)


class SweepRun(Run):
    """Relaxes a coupling graph at every point of a grid; `config_json` holds a copy of the graph."""

    graph_name = StringProperty()
    graph_digest = StringProperty()
    axes = ArrayProperty(StringProperty())
    keys = ArrayProperty(StringProperty())
    points = IntegerProperty()
    # the least energy of all, and the point that has it
    energy = FloatProperty()
    best = IntegerProperty()
    wall_seconds = FloatProperty()

    sweeps = AsyncRelationshipTo(CouplingGraph, "SWEEPS", cardinality=AsyncOne)
    has_point = AsyncRelationshipTo(SweepPoint, "HAS_POINT", cardinality=AsyncZeroOrMore)
