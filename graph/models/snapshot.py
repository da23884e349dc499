"""EnergySnapshot: one state of a field, known by its statistics; the array itself is a file.

Its second label says where it comes from: Observed, Simulated or Predicted.
"""

from __future__ import annotations

from neomodel import (
    ArrayProperty,
    AsyncRelationshipFrom,
    AsyncRelationshipTo,
    AsyncStructuredNode,
    AsyncZeroOrMore,
    AsyncZeroOrOne,
    DateTimeNeo4jFormatProperty,
    FloatProperty,
    IntegerProperty,
    StringProperty,
    VectorIndex,
)

from graph.models.relations import Estimates, EvolvesTo, Next

DESCRIPTOR_LENGTH = 64
"""Numbers in a descriptor: log spectrum, moments, gradients."""


class EnergySnapshot(AsyncStructuredNode):
    """E at one time; energies in the domain's unit, entropy in nats."""

    uid = StringProperty(required=True, unique_index=True)
    domain = StringProperty(required=True)
    t_index = IntegerProperty(required=True)
    t = FloatProperty(required=True)
    valid_time = DateTimeNeo4jFormatProperty()
    sha256 = StringProperty(required=True, index=True)
    uri = StringProperty(required=True)
    height = IntegerProperty(required=True)
    width = IntegerProperty(required=True)
    total_energy = FloatProperty(required=True)
    mean = FloatProperty(required=True)
    variance = FloatProperty(required=True)
    minimum = FloatProperty(required=True)
    maximum = FloatProperty(required=True)
    # absent where the field is signed
    entropy = FloatProperty()
    gradient_energy = FloatProperty(required=True)
    regime = StringProperty()
    context_names = ArrayProperty(StringProperty())
    context_uri = StringProperty()
    context_sha256 = StringProperty(index=True)
    # what entered and left during the step that led here, where a simulator recorded it
    source_total = FloatProperty()
    outflow_total = FloatProperty()

    in_domain = AsyncRelationshipTo("graph.models.domain.Domain", "IN_DOMAIN", cardinality=AsyncZeroOrOne)
    evolves_to = AsyncRelationshipTo("Predicted", "EVOLVES_TO", model=EvolvesTo, cardinality=AsyncZeroOrMore)


class Observed(EnergySnapshot):
    """From an instrument, an analysis or somebody's file."""

    # uid of its Sequence
    sequence = StringProperty(required=True)
    descriptor = ArrayProperty(FloatProperty(), vector_index=VectorIndex(DESCRIPTOR_LENGTH, "cosine"))

    next = AsyncRelationshipTo("Observed", "NEXT", model=Next, cardinality=AsyncZeroOrOne)
    previous = AsyncRelationshipFrom("Observed", "NEXT", model=Next, cardinality=AsyncZeroOrOne)
    estimated_by = AsyncRelationshipFrom("Predicted", "ESTIMATES", model=Estimates, cardinality=AsyncZeroOrMore)


class Simulated(EnergySnapshot):
    """From one of our PDE solvers."""

    # uid of its Sequence
    sequence = StringProperty(required=True)
    descriptor = ArrayProperty(FloatProperty(), vector_index=VectorIndex(DESCRIPTOR_LENGTH, "cosine"))

    next = AsyncRelationshipTo("Simulated", "NEXT", model=Next, cardinality=AsyncZeroOrOne)
    previous = AsyncRelationshipFrom("Simulated", "NEXT", model=Next, cardinality=AsyncZeroOrOne)
    estimated_by = AsyncRelationshipFrom("Predicted", "ESTIMATES", model=Estimates, cardinality=AsyncZeroOrMore)


class Predicted(EnergySnapshot):
    """From a model: `lead` steps after the start of its prediction."""

    # uid of its Prediction
    prediction = StringProperty(required=True)
    lead = IntegerProperty(required=True)
    # absent for the mean of an ensemble
    member = IntegerProperty()
    # the standard deviation per cell, where the model gives one
    spread_uri = StringProperty()
    spread_sha256 = StringProperty(index=True)
    descriptor = ArrayProperty(FloatProperty(), vector_index=VectorIndex(DESCRIPTOR_LENGTH, "cosine"))

    estimates = AsyncRelationshipTo(EnergySnapshot, "ESTIMATES", model=Estimates, cardinality=AsyncZeroOrMore)
