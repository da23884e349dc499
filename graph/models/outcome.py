"""What became of predictions: the laws that they violate, and how they compared with what came."""

from __future__ import annotations

from neomodel import (
    AsyncOne,
    AsyncRelationshipFrom,
    AsyncRelationshipTo,
    AsyncStructuredNode,
    AsyncZeroOrOne,
    DateTimeNeo4jFormatProperty,
    FloatProperty,
    IntegerProperty,
    StringProperty,
)

from graph.models.prediction import Prediction
from graph.models.snapshot import EnergySnapshot, Predicted


class Violation(AsyncStructuredNode):
    """One law that one step of a prediction breaks."""

    uid = StringProperty(required=True, unique_index=True)
    # uid of the Prediction
    prediction = StringProperty(required=True)
    domain = StringProperty(required=True)
    # not finite, negative, energy, energy drift or entropy
    law = StringProperty(required=True)
    lead = IntegerProperty(required=True)
    # absent for the mean of an ensemble
    member = IntegerProperty()
    # what was measured, absent where it is infinite, and what is allowed; nats for entropies, else relative or cells
    value = FloatProperty()
    limit = FloatProperty(required=True)
    created_at = DateTimeNeo4jFormatProperty(required=True)

    violated_by = AsyncRelationshipFrom(Prediction, "VIOLATES", cardinality=AsyncOne)
    # absent for a member whose states are not kept
    at = AsyncRelationshipTo(Predicted, "AT", cardinality=AsyncZeroOrOne)


class PredictionLog(AsyncStructuredNode):
    """The energy vector of one predicted state whose truth is known, flat for whoever learns from it."""

    uid = StringProperty(required=True, unique_index=True)
    # uid of the predicted state: it is logged once, whoever finds its truth
    predicted = StringProperty(required=True, unique_index=True)
    prediction = StringProperty(required=True)
    domain = StringProperty(required=True)
    # of the truth
    regime = StringProperty(required=True)
    # when it was predicted
    timestamp = DateTimeNeo4jFormatProperty(required=True)
    lead = IntegerProperty(required=True)
    # t_index of the truth
    step = IntegerProperty(required=True)
    predicted_mean = FloatProperty(required=True)
    observed_mean = FloatProperty(required=True)
    rmse = FloatProperty(required=True)
    # of persistence
    persistence_rmse = FloatProperty()
    # of the change, of the total, of the field; absent where one does not apply
    fidelity = FloatProperty()
    total_energy_fidelity = FloatProperty()
    field_fidelity = FloatProperty()
    # nats, and shares of ln N; absent where the field is signed
    entropy_pred = FloatProperty()
    entropy_obs = FloatProperty()
    entropy_share_pred = FloatProperty()
    entropy_share_obs = FloatProperty()
    # architecture, version of the code, sha256 of the parameters, whoever asked
    model = StringProperty()
    version = StringProperty()
    checkpoint = StringProperty()
    agent = StringProperty()
    recorded_at = DateTimeNeo4jFormatProperty(required=True)

    logs = AsyncRelationshipTo(Prediction, "LOGS", cardinality=AsyncOne)
    against = AsyncRelationshipTo(EnergySnapshot, "AGAINST", cardinality=AsyncOne)
