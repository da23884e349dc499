"""What several domains have in common is what one network for all of them is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nvp.dynamics.domain import DOMAINS, domain
from nvp.errors import FieldError
from nvp.model.config import config_for
from nvp.training.common_ground import on_common_ground, teachers
from nvp.training.data import TrainingData
from tests.nvp.fields import fluid_series

SIMULATED = [
    domain(name)
    for name in ("active_matter", "astrophysics", "fluid_dynamics", "plasma_physics", "turbulent_radiative_layer")
]


@pytest.mark.parametrize("spec", SIMULATED, ids=lambda spec: spec.name)
def test_teachers_are_other_domains_with_one_kind_of_edges(spec: object) -> None:
    found = teachers(spec, list(DOMAINS.values()))  # type: ignore[arg-type]
    assert spec not in found
    assert {(one.boundary_x, one.boundary_y) for one in found} == {("periodic", "periodic")}
    assert not any(one.signed for one in found)
    assert len(found) >= 3


def test_a_domain_without_others_of_its_kind_has_no_teachers() -> None:
    with pytest.raises(FieldError, match="to learn from instead of surface_temperature"):
        teachers(domain("surface_temperature"), SIMULATED)


def test_only_what_all_know_is_told() -> None:
    # the noise that was drawn is known afterwards: no network is told, though all of them have it
    fluid, unseen = (
        replace(one, parameters={**one.parameters, "irreducible": 0.1})
        for one in (fluid_series(), fluid_series(seed=1))
    )
    heated = replace(
        fluid,
        domain="plasma_physics",
        context={**fluid.context, "source": fluid.energy},
        parameters={"diffusivity": 0.3, "eta": 1.0, "irreducible": 0.5},
    )
    made = on_common_ground(TrainingData(train=[heated, fluid], validation=[fluid]), unseen)
    for one in (*made.train, *made.validation):
        assert set(one.context) == {"velocity"}
        assert set(one.parameters) == {"diffusivity"}
    assert made.train[0].parameters["diffusivity"] == 0.3
    networks = {config_for(domain(one.domain), one) for one in made.train}
    assert len(networks) == 1, "one network serves all"


def test_what_the_unseen_domain_lacks_is_not_told_either() -> None:
    fluid = fluid_series()
    made = on_common_ground(
        TrainingData(train=[fluid], validation=[fluid]), replace(fluid, context={}, parameters={"other": 1.0})
    )
    assert (dict(made.train[0].context), dict(made.train[0].parameters)) == ({}, {})


def test_a_squeezing_flow_comes_first() -> None:
    fluid = fluid_series()
    y, x = np.mgrid[:16, :16] * (2 * np.pi / 16)
    squeezing = np.broadcast_to(np.stack([np.cos(x), np.cos(y)], -1), (len(fluid), 16, 16, 2)).astype(np.float32)
    gas = replace(fluid, domain="astrophysics", context={"velocity": squeezing})
    for train in ([fluid, gas], [gas, fluid]):
        made = on_common_ground(TrainingData(train=train, validation=[fluid]), fluid)
        assert [one.domain for one in made.train] == ["astrophysics", "fluid_dynamics"]
