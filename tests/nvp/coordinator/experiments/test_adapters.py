"""Adapters are compared by F with all weights 1, and what is taught is held against closed form and chance."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.coordinator.adapters.closed_form import closed_form
from nvp.coordinator.experiments import adapters, energy_wars
from nvp.coordinator.experiments.config import AdaptersConfig, EnergyWarsConfig
from nvp.coordinator.experiments.finding import Effect
from nvp.coordinator.reference import reference_energy
from nvp.coordinator.scenarios import baseline

SMALL = {"trials": 6, "steps": 30, "updates": 20, "repeats": 1, "scenarios": 1}

LIKE = {"steps": SMALL["steps"], "seed": 0, "repeats": 1}


def by_name(arm: list[Effect]) -> dict[str, float]:
    return {each.name: each.estimate for each in arm}


def test_the_measure_is_the_energy_with_all_weights_one() -> None:
    eta = np.random.default_rng(0).random((3, 2))
    found = adapters.plain_energies(baseline(), eta)
    np.testing.assert_allclose(found, [reference_energy(baseline(), each)[0] for each in eta], atol=1e-14)


def test_arms_share_their_starts_and_the_artefact_is_told_from_the_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "ADAPTERS", {"closed_form": lambda graph: closed_form()})
    monkeypatch.setattr(adapters, "CONTROLS", ())
    monkeypatch.setattr(adapters, "taught", lambda config: {})
    # held against finite differences, and learnt with, in the tests of implicit gradients
    monkeypatch.setattr(adapters, "_learnt", lambda graph, _, *given: adapters.arm_of(graph, *given, None, **LIKE))
    monkeypatch.setattr(adapters, "_gradient_error", lambda *_: 0.0)
    found = adapters.run(AdaptersConfig(**SMALL), lambda *_: None)
    assert found.passed, found.checks
    arms = {name: by_name(list(arm)) for name, arm in found.arms.items()}
    above = "F with all weights 1, above the least known"
    own = next(name for name in arms["baseline: fixed"] if name.startswith("F under its own"))
    assert all(arm[above] >= 0 for arm in arms.values())
    # relaxing the measure itself is hard to beat, and weights of 4 seem to beat it by far
    assert arms["baseline: weights of 1"][above] < 1e-6 < arms["baseline: fixed"][above]
    assert arms["baseline: closed_form"][own] < -0.004
    assert found.effects[0].n == SMALL["trials"]


def test_a_war_is_settled_or_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulls become more equal where one term is far too strong; without such a term auto-balance has nothing to do."""
    monkeypatch.setattr(energy_wars, "WAYS", {name: energy_wars.WAYS[name] for name in ("fixed", "auto-balance")})
    small = {"trials": 8, "steps": 30, "count": 8}
    found = energy_wars.run(EnergyWarsConfig(**small), lambda *_: None)
    assert found.passed, found.checks
    assert found.effects[0].ci95 is not None
    assert found.effects[0].estimate > 0
    peace = energy_wars.run(EnergyWarsConfig(**small, factor=1.0), lambda *_: None)
    assert not peace.passed
    assert peace.effects[0].estimate == pytest.approx(0, abs=1e-12)
