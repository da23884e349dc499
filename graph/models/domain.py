"""Domain: what is true of a kind of field, whoever supplies it."""

from __future__ import annotations

from neomodel import AsyncStructuredNode, BooleanProperty, FloatProperty, StringProperty


class Domain(AsyncStructuredNode):
    """One kind of field: whether energy can enter or leave, what its edges mean, its units."""

    name = StringProperty(required=True, unique_index=True)
    title = StringProperty(required=True)
    closed = BooleanProperty(required=True)
    second_law = BooleanProperty(required=True)
    boundary_x = StringProperty(required=True)
    boundary_y = StringProperty(required=True)
    units = StringProperty(required=True)
    dx = FloatProperty(required=True)
    dy = FloatProperty(required=True)
    dt = FloatProperty(required=True)
    source_model = StringProperty(required=True)
    signed = BooleanProperty(default=False)
    reference = StringProperty()
