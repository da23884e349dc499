"""Residuals: a stored prediction drawn as a coupling graph, each predicted state measured against the laws."""

from __future__ import annotations

import math

from graph.queries import residuals
from graph.queries.drawing import Drawn
from graph.queries.residuals import Course
from nvp.coordinator.measures import compliance
from nvp.coordinator.residuals import LAWS, Residual, key_of, residual_graph
from nvp.errors import FieldError
from resolvers.services.context import Services

TOLERANCE = 0.01
"""A state counts as breaking a law wholly from this share on."""


async def draw_residuals(services: Services, prediction: str, name: str, *, tolerance: float = TOLERANCE) -> Drawn:
    """Write the coupling graph `name` of a prediction; each order parameter MEASURES its predicted state.

    Raises NotFound, and `FieldError` where no law can be checked.
    """
    if not 0 < tolerance <= 1:
        raise FieldError("BAD_PARAMETER", f"expected 0 < tolerance <= 1, got {tolerance}.", next_step="Use 0.01.")
    found = await residuals.course(services.gateway, prediction)
    measured = residuals_of(found)
    description = residual_graph(measured, tolerance=tolerance)
    return await residuals.draw(
        services.gateway,
        name,
        description,
        measured=[
            (key_of(law, state.lead), state.uid, compliance(value, scale=tolerance))
            for law in LAWS
            for state, residual in zip(found.states, measured, strict=True)
            if (value := getattr(residual, law)) is not None
        ],
        title=f"laws along prediction {prediction}",
    )


def residuals_of(course: Course) -> list[Residual]:
    """How far each state breaks each law.

    In a closed domain the total is to stay as it was at the start; elsewhere it is compared with what truly came.
    """
    made, entropy = [], course.entropy
    for state in course.states:
        should = course.total_energy if course.closed else state.true_energy
        lost = None
        if course.second_law and state.entropy is not None and entropy is not None:
            lost = max(0.0, entropy - state.entropy) / math.log(state.cells)
        made.append(
            Residual(
                lead=state.lead,
                conservation=abs(state.total_energy - should) / abs(should) if should else None,
                entropy=lost,
            )
        )
        entropy = state.entropy
    return made
