"""What becomes of predictions: the laws that they violate, and, once the truth is known, their energy vectors.

Violations are recorded, never raised: a prediction that breaks a law is an answer too, of which the graph says so.
Energy vectors go to the graph first, which knows what it has; what is new there becomes a line of the log below
FIELDGRAPH_HOME.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from graph.queries import vector_logs
from graph.queries.vector_logs import NewLog, Unlogged
from graph.queries.violations import NewViolation
from nvp.atlas.series import Series, join
from nvp.atlas.store import ArrayStore
from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from nvp.prediction.accounts import told
from nvp.prediction.forecaster import Forcing, Forecast, Forecaster
from nvp.thermo.vector_log import PLACE, Entry, VectorLog, energy_vector
from nvp.thermo.violations import check_prediction
from resolvers.services.context import Services

# of an entry, what the node has as links or under names of its own
_LINKED = ("timestamp", "prediction", "snapshot")

_log = logging.getLogger(__name__)


def violations_of(
    forecaster: Forecaster, forecast: Forecast, number: int, *, past: Series, later: Series | None, forcing: Forcing
) -> list[NewViolation]:
    """What start `number` of a forecast violates: its mean, and each of its members where it has some.

    `past` ends at the start, `later` is what recorded forcing was taken from.
    """
    spec, mean = domain(past.domain), forecast.mean[number]
    known = past if later is None else join([past, later])
    heat = told(forecaster, known, np.array([len(past) - 1]), spec=spec, steps=len(mean), forcing=forcing)
    heat = None if heat is None else heat[0]
    start, outflow = past.energy[-1], forecast.outflow[number].astype(np.float64)
    found = list(check_prediction(start, heat, outflow, mean, spec))
    if "open" in (spec.boundary_x, spec.boundary_y):
        # what leaves is known of the mean only, so that its members have no account
        spec, heat = replace(spec, closed=False, source_model="unknown"), None
    for member, states in enumerate(() if forecast.members is None else forecast.members[number]):
        found += check_prediction(start, heat, outflow, states, spec, member=member)
    return [
        NewViolation(law=one.kind, lead=one.lead or 1, member=one.member, value=one.value, limit=one.limit)
        for one in found
    ]


async def log_outcomes(services: Services, states: Sequence[Unlogged]) -> int:
    """Log the energy vectors of states whose truth is known by now; how many were new."""
    entries = await asyncio.to_thread(_entries, services.store, states)
    logs = [
        NewLog(
            prediction=state.prediction,
            predicted=state.predicted,
            snapshot=state.snapshot,
            timestamp=entry.timestamp,
            properties={name: value for name, value in asdict(entry).items() if name not in _LINKED},
        )
        for state, entry in entries
    ]
    new = await vector_logs.record_logs(services.gateway, logs)
    lines = [entry for state, entry in entries if state.predicted in new]
    try:
        await asyncio.to_thread(vector_log(services).append, lines)
    except OSError as error:
        _log.warning("%d energy vectors are in the graph, but not in the log: %s.", len(lines), error)
    return len(new)


def vector_log(services: Services) -> VectorLog:
    """The log of this home."""
    return VectorLog(path=services.settings.home.absolute() / PLACE)


def _entries(store: ArrayStore, states: Sequence[Unlogged]) -> list[tuple[Unlogged, Entry]]:
    made = []
    for state in states:
        try:
            entry = energy_vector(
                store.read_array(state.predicted_uri),
                store.read_array(state.truth_uri),
                state.domain,
                state.timestamp,
                origin=store.read_array(state.start_uri),
                model=state.model,
                version=state.version,
                checkpoint=state.checkpoint,
                agent=state.agent,
                step=state.step,
                lead=state.lead,
                prediction=state.prediction,
                snapshot=state.snapshot,
            )
        except FieldError as error:  # no energy: its violations say so
            _log.warning("lead %d of prediction %s is not logged: %s", state.lead, state.prediction, error)
        else:
            made.append((state, entry))
    return made
