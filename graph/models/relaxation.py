"""Relaxations of a coupling graph: how one went, step by step, and what its gates then did."""

from __future__ import annotations

from neomodel import (
    ArrayProperty,
    AsyncOne,
    AsyncRelationshipTo,
    AsyncStructuredNode,
    AsyncZeroOrMore,
    AsyncZeroOrOne,
    BooleanProperty,
    DateTimeNeo4jFormatProperty,
    FloatProperty,
    IntegerProperty,
    StringProperty,
)

from graph.models.coordination import CouplingGraph, OrderParameter, SettledAt
from graph.models.run import Run


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
    # which objective it was judged by, and the weights that an adapter had given the terms
    objective_version = IntegerProperty()
    weights = ArrayProperty(FloatProperty())
    # what is noted of it
    events = ArrayProperty(StringProperty())

    then = AsyncRelationshipTo("RelaxationStep", "THEN", cardinality=AsyncZeroOrOne)


class RelaxationRun(Run):
    """Relaxes a coupling graph as it was when it was asked for; `config_json` holds a copy of it."""

    graph_name = StringProperty()
    graph_digest = StringProperty()
    # how it ended: CONVERGED, MAX_STEPS, STALLED, REJECTED, LINE_SEARCH_FAILED, NONFINITE
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
    # of `admm`, and how often `adaptive` went to coordinates
    primal_residual = FloatProperty()
    dual_residual = FloatProperty()
    switches = IntegerProperty()
    wall_seconds = FloatProperty()
    written_back = BooleanProperty()
    # what the gates that opened cost, what they may, and F with every gate at 0 or 1
    spent = FloatProperty()
    budget = FloatProperty()
    snapped_energy = FloatProperty()
    keys = ArrayProperty(StringProperty())
    terms = ArrayProperty(StringProperty())
    eta = ArrayProperty(FloatProperty())

    relaxes = AsyncRelationshipTo(CouplingGraph, "RELAXES", cardinality=AsyncOne)
    first_step = AsyncRelationshipTo(RelaxationStep, "FIRST_STEP", cardinality=AsyncZeroOrOne)
    decided = AsyncRelationshipTo("GateEvent", "DECIDED", cardinality=AsyncZeroOrMore)
    settled_at = AsyncRelationshipTo(OrderParameter, "SETTLED_AT", model=SettledAt, cardinality=AsyncZeroOrMore)


class GateEvent(AsyncStructuredNode):
    """What became of a gate after a relaxation, and what that was worth."""

    uid = StringProperty(required=True, unique_index=True)
    run = StringProperty(required=True)
    graph = StringProperty(required=True)
    key = StringProperty(required=True)
    eta = FloatProperty(required=True)
    # gain − cost, and the rate λ = softplus(k·net) at which it opens
    net = FloatProperty(required=True)
    hazard = FloatProperty(required=True)
    # expected, by the benefits that feed it
    benefit = FloatProperty(required=True)
    cost = FloatProperty(required=True)
    opened = BooleanProperty(required=True)
    # closed, order or budget; absent where it opened
    refusal = StringProperty()
    at = DateTimeNeo4jFormatProperty(required=True)
    # measured afterwards
    realised = FloatProperty()
    realised_at = DateTimeNeo4jFormatProperty()

    of_gate = AsyncRelationshipTo(OrderParameter, "OF_GATE", cardinality=AsyncZeroOrOne)
    # gates that had to open before it
    parent = AsyncRelationshipTo("GateEvent", "PARENT", cardinality=AsyncZeroOrMore)
