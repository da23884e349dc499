"""Run: a piece of work that outlives the process that does it; its second label says which kind."""

from __future__ import annotations

from neomodel import (
    AsyncRelationshipTo,
    AsyncStructuredNode,
    AsyncZeroOrMore,
    BooleanProperty,
    DateTimeNeo4jFormatProperty,
    FloatProperty,
    IntegerProperty,
    StringProperty,
)

from graph.models.relations import PartOf, Used


class Run(AsyncStructuredNode):
    """Durable, leased and resumable; changed by `graph.queries.runs` only."""

    uid = StringProperty(required=True, unique_index=True)
    kind = StringProperty(required=True)
    state = StringProperty(required=True)
    capability = StringProperty(required=True)
    config_json = StringProperty(required=True)
    # config, inputs and code version; absent once FAILED, CANCELLED or where forced
    dedup_key = StringProperty(unique_index=True)
    rng_seed = IntegerProperty(required=True)
    # higher first; its negative is what the queue is sorted by
    priority = IntegerProperty()
    rank = IntegerProperty()
    not_before = DateTimeNeo4jFormatProperty()
    attempt = IntegerProperty(required=True)
    # attempts that were lost, not handed back
    losses = IntegerProperty()
    # fences every write of a worker
    lease_token = StringProperty()
    lease_until = DateTimeNeo4jFormatProperty()
    worker = StringProperty()
    cancel_requested = BooleanProperty(required=True)
    progress = FloatProperty(required=True)
    message = StringProperty(required=True)
    seq = IntegerProperty(required=True)
    # seconds RUNNING over all attempts that have ended, and how many it may have
    seconds = FloatProperty()
    time_limit = FloatProperty()
    # over all attempts; none where their sources differ ("mixed")
    energy_joules = FloatProperty()
    energy_source = StringProperty()
    energy_measured = FloatProperty()
    energy_estimated = FloatProperty()
    unmetered = IntegerProperty()
    # of the attempt under way, up to its last sign of life
    attempt_started_at = DateTimeNeo4jFormatProperty()
    attempt_joules = FloatProperty()
    attempt_source = StringProperty()
    device = StringProperty()
    code_version = StringProperty()
    created_at = DateTimeNeo4jFormatProperty(required=True)
    touched_at = DateTimeNeo4jFormatProperty()
    started_at = DateTimeNeo4jFormatProperty()
    finished_at = DateTimeNeo4jFormatProperty()
    error_code = StringProperty()
    error_message = StringProperty()
    # when and why it was refused a certificate
    refused_at = DateTimeNeo4jFormatProperty()
    refused_code = StringProperty()
    refused_message = StringProperty()
    # happened without this graph and was imported; sha256 of the bundle's account
    offline = BooleanProperty()
    bundle_sha256 = StringProperty()

    # inputs by label: neomodel wants one per relation
    used_domains = AsyncRelationshipTo("graph.models.domain.Domain", "USED", model=Used, cardinality=AsyncZeroOrMore)
    used_sequences = AsyncRelationshipTo(
        "graph.models.sequence.Sequence", "USED", model=Used, cardinality=AsyncZeroOrMore
    )
    used_splits = AsyncRelationshipTo("graph.models.sequence.Split", "USED", model=Used, cardinality=AsyncZeroOrMore)
    used_snapshots = AsyncRelationshipTo(
        "graph.models.snapshot.EnergySnapshot", "USED", model=Used, cardinality=AsyncZeroOrMore
    )
    used_models = AsyncRelationshipTo("graph.models.model.Model", "USED", model=Used, cardinality=AsyncZeroOrMore)
    used_checkpoints = AsyncRelationshipTo(
        "graph.models.model.Checkpoint", "USED", model=Used, cardinality=AsyncZeroOrMore
    )
    informed_by = AsyncRelationshipTo("Run", "WAS_INFORMED_BY", cardinality=AsyncZeroOrMore)
    part_of = AsyncRelationshipTo("Run", "PART_OF", model=PartOf, cardinality=AsyncZeroOrMore)


class GenerationRun(Run):
    """Simulates sequences."""


class TrainingRun(Run):
    """Trains a model and keeps its checkpoints."""

    epochs = AsyncRelationshipTo("graph.models.model.Epoch", "EPOCH", cardinality=AsyncZeroOrMore)


class EvaluationRun(Run):
    """Scores a checkpoint on stretches of sequences."""


class PredictionRun(Run):
    """Rolls a checkpoint out from one state."""


class ShadowRun(Run):
    """Trains the members of a shadow ensemble, or lets them say what comes next."""
