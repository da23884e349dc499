"""Coupling graphs: order parameters that pull at each other, and how they were relaxed.

An analyst may draw one by hand: parameters of a kind are flat properties of its node or link, named as the kinds name
them (`nvp.coordinator.kinds`); `key` names an order parameter within its graph, `name` the graph.
"""

from __future__ import annotations

from neomodel import (
    ArrayProperty,
    AsyncOne,
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

from graph.models.run import Run


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
    allow_missing_delta = BooleanProperty()
    created_at = DateTimeNeo4jFormatProperty()
    touched_at = DateTimeNeo4jFormatProperty()

    modules = AsyncRelationshipTo(OrderParameter, "HAS_MODULE", cardinality=AsyncOneOrMore)
    deltas = AsyncRelationshipTo(Delta, "HAS_DELTA", cardinality=AsyncZeroOrMore)
    relaxed_by = AsyncRelationshipFrom("RelaxationRun", "RELAXES", cardinality=AsyncZeroOrMore)


class RelaxationStep(AsyncStructuredNode):
    """One kept step of a relaxation; lists are in the order of the run's `keys` and `terms`."""

    uid = StringProperty(required=True, unique_index=True)
    run = StringProperty(required=True)
    index = IntegerProperty(required=True)
    energy = FloatProperty(required=True)
    gain = FloatProperty(required=True)
    scale = FloatProperty(required=True)
    gradient_norm = FloatProperty(required=True)
    step = FloatProperty(required=True)
    backtracks = IntegerProperty(required=True)
    noise = FloatProperty(required=True)
    accepted = BooleanProperty(required=True)
    margin = FloatProperty()
    eta = ArrayProperty(FloatProperty(), required=True)
    term_energy = ArrayProperty(FloatProperty(), required=True)
    term_norm = ArrayProperty(FloatProperty(), required=True)

    then = AsyncRelationshipTo("RelaxationStep", "THEN", cardinality=AsyncZeroOrOne)


class RelaxationRun(Run):
    """Relaxes a coupling graph as it was when it was asked for; `config_json` holds a copy of it."""

    graph_name = StringProperty()
    graph_digest = StringProperty()
    # how it ended: CONVERGED, MAX_STEPS, REJECTED, LINE_SEARCH_FAILED, NONFINITE
    status = StringProperty()
    initial_energy = FloatProperty()
    energy = FloatProperty()
    residual = FloatProperty()
    steps = IntegerProperty()
    accepted = IntegerProperty()
    rejected = IntegerProperty()
    backtracks = IntegerProperty()
    # states until 90 % of the drop was done
    delta_f90 = IntegerProperty()
    wall_seconds = FloatProperty()
    written_back = BooleanProperty()
    keys = ArrayProperty(StringProperty())
    terms = ArrayProperty(StringProperty())
    eta = ArrayProperty(FloatProperty())

    relaxes = AsyncRelationshipTo(CouplingGraph, "RELAXES", cardinality=AsyncOne)
    first_step = AsyncRelationshipTo(RelaxationStep, "FIRST_STEP", cardinality=AsyncZeroOrOne)
    settled_at = AsyncRelationshipTo(OrderParameter, "SETTLED_AT", model=SettledAt, cardinality=AsyncZeroOrMore)
