"""Prediction and Evaluation: what a checkpoint said, and how good it was."""

from __future__ import annotations

from neomodel import (
    AsyncOne,
    AsyncOneOrMore,
    AsyncRelationshipTo,
    AsyncStructuredNode,
    DateTimeNeo4jFormatProperty,
    FloatProperty,
    IntegerProperty,
    StringProperty,
)

from graph.models.model import Checkpoint
from graph.models.relations import On, Predicts
from graph.models.run import Run
from graph.models.sequence import Sequence
from graph.models.snapshot import EnergySnapshot, Predicted


class Prediction(AsyncStructuredNode):
    """One call of a checkpoint from one state, `steps` into the future."""

    uid = StringProperty(required=True, unique_index=True)
    domain = StringProperty(required=True)
    steps = IntegerProperty(required=True)
    members = IntegerProperty(required=True)
    # external inputs held (frozen) or taken from the record (recorded: an oracle)
    forcing = StringProperty(required=True, choices={"frozen": "frozen", "recorded": "recorded"})
    # scores of lead 1, where the truth is known
    fidelity = FloatProperty()
    vrmse = FloatProperty()
    persistence = FloatProperty()
    # laws that its steps break, each counted; absent where it was never checked
    violation_count = IntegerProperty()
    created_at = DateTimeNeo4jFormatProperty(required=True)

    start = AsyncRelationshipTo(EnergySnapshot, "FROM", cardinality=AsyncOne)
    by = AsyncRelationshipTo(Checkpoint, "BY", cardinality=AsyncOne)
    predicts = AsyncRelationshipTo(Predicted, "PREDICTS", model=Predicts, cardinality=AsyncOneOrMore)
    generated_by = AsyncRelationshipTo(Run, "WAS_GENERATED_BY", cardinality=AsyncOne)


class Evaluation(AsyncStructuredNode):
    """Scores of a checkpoint on stretches of sequences; the whole is in `scores_json`."""

    uid = StringProperty(required=True, unique_index=True)
    domain = StringProperty(required=True)
    # pooled fidelity, its 95 % interval, and the mean and median over pairs
    fidelity = FloatProperty()
    fidelity_low = FloatProperty()
    fidelity_high = FloatProperty()
    fidelity_mean = FloatProperty()
    fidelity_median = FloatProperty()
    n = IntegerProperty()
    vrmse = FloatProperty()
    # pooled fidelity of the strongest baselines
    linear_fidelity = FloatProperty()
    ridge_fidelity = FloatProperty()
    scores_json = StringProperty(required=True)
    created_at = DateTimeNeo4jFormatProperty(required=True)

    scores = AsyncRelationshipTo(Checkpoint, "SCORES", cardinality=AsyncOne)
    on = AsyncRelationshipTo(Sequence, "ON", model=On, cardinality=AsyncOneOrMore)
    generated_by = AsyncRelationshipTo(Run, "WAS_GENERATED_BY", cardinality=AsyncOne)
