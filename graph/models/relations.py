"""Relations that carry properties."""

from __future__ import annotations

from neomodel import AsyncStructuredRel, BooleanProperty, FloatProperty, IntegerProperty, StringProperty


class Next(AsyncStructuredRel):
    """E_t → E_{t+1}, both observed or simulated."""

    dt = FloatProperty(required=True)
    delta_energy = FloatProperty(required=True)
    # absent where a field is signed
    delta_entropy = FloatProperty()


class HasPart(AsyncStructuredRel):
    """A stretch of a sequence and what it is for; t_index, inclusive."""

    role = StringProperty(required=True, choices={"train": "train", "val": "val", "test": "test"})
    first = IntegerProperty(required=True)
    last = IntegerProperty(required=True)


class Used(AsyncStructuredRel):
    """What a run took in, and as what."""

    role = StringProperty(required=True)


class On(AsyncStructuredRel):
    """The stretch of a sequence that an evaluation looked at; t_index, inclusive."""

    first = IntegerProperty(required=True)
    last = IntegerProperty(required=True)


class Predicts(AsyncStructuredRel):
    """A prediction and one of its states."""

    lead = IntegerProperty(required=True)


class EvolvesTo(AsyncStructuredRel):
    """One predicted step: from the true start to lead 1, from there to lead 2, …"""

    prediction = StringProperty(required=True)
    lead = IntegerProperty(required=True)


class Estimates(AsyncStructuredRel):
    """A predicted state and what came true; the scores of this pair, absent where one does not apply."""

    lead = IntegerProperty(required=True)
    # 1 − ‖P − T‖ / ‖T − O‖ of this pair
    fidelity = FloatProperty()
    vrmse = FloatProperty()
    # VRMSE of persistence on the same pair
    persistence = FloatProperty()
    rmse = FloatProperty()
    # ΣP − ΣT
    energy_error = FloatProperty()


class PartOf(AsyncStructuredRel):
    """Whose part a run is."""

    # for it, which pays; one that was found was made for another
    made = BooleanProperty()
