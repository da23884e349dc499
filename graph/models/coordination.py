"""Coupling graphs: order parameters that pull at each other, and what happened to them.

An analyst may draw one by hand: parameters of a kind are flat properties of its node or link, named as the kinds name
them (`nvp.coordinator.kinds`); `key` names an order parameter within its graph, `name` the graph.
"""

from __future__ import annotations

from neomodel import (
    AsyncOneOrMore,
    AsyncRelationshipFrom,
    AsyncRelationshipTo,
    AsyncStructuredNode,
    AsyncStructuredRel,
    AsyncZeroOrMore,
    AsyncZeroOrOne,
    BooleanProperty,
    DateTimeNeo4jFormatProperty,
    FloatProperty,
    IntegerProperty,
    StringProperty,
)


class CoupledTo(AsyncStructuredRel):
    """A potential between two order parameters; of a gate coupling, the start is the gate. Other parameters: flat."""

    kind = StringProperty(required=True)
    weight = FloatProperty()
    # which benefit feeds a gate coupling
    delta_key = StringProperty()
    # under which name its energy is weighed; absent: by its kind
    term = StringProperty()


class SettledAt(AsyncStructuredRel):
    """Where a relaxation left an order parameter."""

    eta = FloatProperty(required=True)


class OrderParameter(AsyncStructuredNode):
    """A number η in 0 … 1 and its local energy."""

    uid = StringProperty(unique_index=True)
    key = StringProperty(required=True)
    kind = StringProperty(required=True)
    # counts its changes; each has a ModuleEvent
    version = IntegerProperty()
    # what a gate takes from the graph's budget if it opens
    cost = FloatProperty()
    # where it stands, and what set it: a relaxation's uid, or whoever wrote it
    eta = FloatProperty()
    eta_source = StringProperty()
    term = StringProperty()
    title = StringProperty()

    coupled_to = AsyncRelationshipTo("OrderParameter", "COUPLED_TO", model=CoupledTo, cardinality=AsyncZeroOrMore)


class Delta(AsyncStructuredNode):
    """A benefit that was measured outside and feeds gates; frozen for the length of a relaxation."""

    key = StringProperty(required=True)
    value = FloatProperty(required=True)
    source = StringProperty()
    computed_at = DateTimeNeo4jFormatProperty()

    feeds = AsyncRelationshipTo(OrderParameter, "FEEDS", cardinality=AsyncZeroOrMore)


class CouplingGraph(AsyncStructuredNode):
    """Order parameters that are relaxed together."""

    name = StringProperty(required=True, unique_index=True)
    uid = StringProperty(unique_index=True)
    title = StringProperty()
    # counts what was written through the API; a relaxation compares the content itself
    version = IntegerProperty()
    # weight by term, where it is not 1
    weights_json = StringProperty()
    gamma = FloatProperty()
    tau = FloatProperty()
    # what the gates that open may cost together; absent: no limit
    budget = FloatProperty()
    allow_missing_delta = BooleanProperty()
    created_at = DateTimeNeo4jFormatProperty()
    touched_at = DateTimeNeo4jFormatProperty()

    modules = AsyncRelationshipTo(OrderParameter, "HAS_MODULE", cardinality=AsyncOneOrMore)
    deltas = AsyncRelationshipTo(Delta, "HAS_DELTA", cardinality=AsyncZeroOrMore)
    relaxed_by = AsyncRelationshipFrom("graph.models.relaxation.RelaxationRun", "RELAXES", cardinality=AsyncZeroOrMore)


class ModuleEvent(AsyncStructuredNode):
    """An order parameter was made, changed, taken away or moved."""

    uid = StringProperty(required=True, unique_index=True)
    graph = StringProperty(required=True)
    key = StringProperty(required=True)
    # CREATED, CHANGED, REMOVED or MOVED
    event = StringProperty(required=True)
    # the order parameter's, after it; absent where it was taken away
    version = IntegerProperty()
    at = DateTimeNeo4jFormatProperty(required=True)
    # uid of a run, or who asked
    source = StringProperty(required=True)
    # what it was and is
    payload_json = StringProperty(required=True)

    happened_to = AsyncRelationshipTo(OrderParameter, "HAPPENED_TO", cardinality=AsyncZeroOrOne)
