"""Prediction and Evaluation: what a checkpoint said, and how good it was."""

from __future__ import annotations

from neomodel import (
    ArrayProperty,
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
    # several are an ensemble
    by = AsyncRelationshipTo(Checkpoint, "BY", cardinality=AsyncOneOrMore)
    predicts = AsyncRelationshipTo(Predicted, "PREDICTS", model=Predicts, cardinality=AsyncOneOrMore)
    generated_by = AsyncRelationshipTo(Run, "WAS_GENERATED_BY", cardinality=AsyncOne)


class Evaluation(AsyncStructuredNode):
    """Scores of a checkpoint on stretches of sequences: single numbers are of lead 1, the whole is in `scores_json`.

    The lists `rollout_…` run in parallel, an entry for each lead and forcing; `rollout_json` has the whole of each.
    """

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
    persistence_vrmse = FloatProperty()
    # pooled fidelity of the baselines: the last two know the physics
    linear_fidelity = FloatProperty()
    ridge_fidelity = FloatProperty()
    upwind_fidelity = FloatProperty()
    frozen_fidelity = FloatProperty()
    # of the best prediction there is, where the data's noise is known
    noise_ceiling = FloatProperty()
    rmse = FloatProperty()
    # APEBench's
    nrmse = FloatProperty()
    gradient_cosine = FloatProperty()
    change_gradient_cosine = FloatProperty()
    spectrum_error = FloatProperty()
    entropy_change_error = FloatProperty()
    # largest residual of the model's own first law; shares of falling entropy
    closure = FloatProperty()
    second_law_violations = FloatProperty()
    data_second_law_violations = FloatProperty()
    # of the model's own variance
    coverage90 = FloatProperty()
    spread_skill = FloatProperty()
    crps = FloatProperty()
    # of the total after a long rollout
    drift = FloatProperty()
    # the domain that the network never saw, where it was trained on others
    left_out = StringProperty(index=True)
    horizon = IntegerProperty()
    rollout_leads = ArrayProperty(IntegerProperty())
    rollout_forcings = ArrayProperty(StringProperty())
    rollout_fidelities = ArrayProperty(FloatProperty())
    rollout_vrmses = ArrayProperty(FloatProperty())
    rollout_persistence_vrmses = ArrayProperty(FloatProperty())
    rollout_json = ArrayProperty(StringProperty())
    scores_json = StringProperty(required=True)
    created_at = DateTimeNeo4jFormatProperty(required=True)

    scores = AsyncRelationshipTo(Checkpoint, "SCORES", cardinality=AsyncOne)
    on = AsyncRelationshipTo(Sequence, "ON", model=On, cardinality=AsyncOneOrMore)
    generated_by = AsyncRelationshipTo(Run, "WAS_GENERATED_BY", cardinality=AsyncOne)
