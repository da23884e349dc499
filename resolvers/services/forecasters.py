"""Forecasters that stay loaded: a child predicts again and again with the same few checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

from graph.queries.training import CheckpointRow
from nvp.atlas.store import ArrayStore
from nvp.errors import FieldError
from nvp.prediction.forecaster import Forecaster
from nvp.prediction.stored import StoredForecaster


def forecaster_of_all(store: ArrayStore, checkpoints: Sequence[CheckpointRow]) -> Forecaster:
    """One checkpoint's forecaster, or the ensemble of several networks; raises FieldError as `forecaster_of`."""
    found = [forecaster_of(store, checkpoint) for checkpoint in checkpoints]
    if len(found) == 1:
        return found[0]
    from nvp.prediction.rollout import Ensemble, Rollout  # JAX: ridge does without

    members = [one for one in found if isinstance(one, Rollout)]
    if len(members) < len(found):
        raise FieldError("BAD_ENSEMBLE", "expected networks in an ensemble, got ridge.", next_step="Leave it out.")
    return Ensemble(members)


def forecaster_of(store: ArrayStore, checkpoint: CheckpointRow) -> Forecaster:
    """The checkpoint's forecaster, from memory where it was used lately.

    Raises FieldError where its files are missing or damaged.
    """
    return stored_forecaster(store, checkpoint).load()


def stored_forecaster(store: ArrayStore, checkpoint: CheckpointRow) -> StoredForecaster:
    """The same, before it is loaded."""
    return StoredForecaster(store.root / checkpoint.uri, checkpoint.sha256)
