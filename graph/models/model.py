"""Model, its Checkpoints, and the Epochs of the runs that train it."""

from __future__ import annotations

from neomodel import (
    AsyncOne,
    AsyncRelationshipFrom,
    AsyncRelationshipTo,
    AsyncStructuredNode,
    AsyncZeroOrMore,
    AsyncZeroOrOne,
    DateTimeNeo4jFormatProperty,
    FloatProperty,
    IntegerProperty,
    StringProperty,
)

from graph.models.run import Run, TrainingRun


class Checkpoint(AsyncStructuredNode):
    """A model's parameters after `step` updates; the files lie in a directory under the store."""

    uid = StringProperty(required=True, unique_index=True)
    model = StringProperty(required=True)
    step = IntegerProperty(required=True)
    epoch = IntegerProperty(required=True)
    uri = StringProperty(required=True)
    # over the parameters in path order
    sha256 = StringProperty(required=True, index=True)
    val_fidelity = FloatProperty()
    metrics_json = StringProperty(required=True)
    created_at = DateTimeNeo4jFormatProperty(required=True)
    # when its files were removed: others of its training validated better, and nothing refers to it
    removed_at = DateTimeNeo4jFormatProperty()
    removed_by = StringProperty()

    of_model = AsyncRelationshipFrom("Model", "HAS_CHECKPOINT", cardinality=AsyncOne)
    derived_from = AsyncRelationshipTo("Checkpoint", "WAS_DERIVED_FROM", cardinality=AsyncZeroOrOne)
    generated_by = AsyncRelationshipTo(Run, "WAS_GENERATED_BY", cardinality=AsyncZeroOrMore)


class Model(AsyncStructuredNode):
    """A predictor: configuration, data, seed and code; what it learnt is in its checkpoints."""

    uid = StringProperty(required=True, unique_index=True)
    name = StringProperty(required=True)
    # ridge, unet, …
    architecture = StringProperty(required=True)
    domain = StringProperty(required=True)
    # uid of the Split that it may see
    split = StringProperty(required=True)
    config_json = StringProperty(required=True)
    rng_seed = IntegerProperty(required=True)
    code_version = StringProperty(required=True)
    # how it was trained where its configuration left that open: default, seeds; absent for what is solved
    recipe = StringProperty()
    # sha256 over the hashes of the training part's frames, in order
    data_digest = StringProperty(index=True)
    # how many numbers it learns
    parameter_count = IntegerProperty()
    # uid of the checkpoint that validated best, once training has finished
    best_checkpoint = StringProperty()
    created_at = DateTimeNeo4jFormatProperty(required=True)

    checkpoints = AsyncRelationshipTo(Checkpoint, "HAS_CHECKPOINT", cardinality=AsyncZeroOrMore)
    generated_by = AsyncRelationshipTo(Run, "WAS_GENERATED_BY", cardinality=AsyncZeroOrMore)


class Epoch(AsyncStructuredNode):
    """One pass over the training part; the numbers that a curve is drawn from."""

    uid = StringProperty(required=True, unique_index=True)
    epoch = IntegerProperty(required=True)
    step = IntegerProperty(required=True)
    train_loss = FloatProperty()
    val_loss = FloatProperty()
    val_fidelity = FloatProperty()
    learning_rate = FloatProperty()
    samples_per_second = FloatProperty()
    seconds = FloatProperty()
    metrics_json = StringProperty(required=True)
    recorded_at = DateTimeNeo4jFormatProperty(required=True)

    run = AsyncRelationshipFrom(TrainingRun, "EPOCH", cardinality=AsyncOne)
