"""One liar of three is outvoted, two who tell the same lie are believed, and what breaks a law is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from resolvers.services.ace.ballot import count
from resolvers.services.shadows import Said

N, SIDE = 6, 8
SPEC = domain("fluid_dynamics")


def said(*members: str) -> Said:
    """Members that are right, lie together ("lie"), or each find something of their own ("wild")."""
    rng = np.random.default_rng(0)
    origin = rng.uniform(1, 2, (N, SIDE, SIDE, 1)).astype(np.float32)
    truth = np.roll(origin, 1, axis=2)
    mean = origin.mean(axis=(1, 2, 3), keepdims=True)
    heard = {"right": truth, "lie": mean + 1.9 * (np.roll(origin, 3, axis=1) - mean)}
    spoken = [heard[one] if one in heard else rng.permuted(origin, axis=1) for one in members]
    return Said(
        predicted=np.stack(spoken, axis=1)
        * (1 + 1e-4 * np.arange(len(members), dtype=np.float32))[:, None, None, None],
        origin=origin,
        truth=truth,
        total=origin.sum(axis=(1, 2, 3), dtype=np.float64),
        variance=rng.uniform(1, 2, (N, len(members))),
        hashes=tuple(f"{at:064x}" for at in range(len(members))),
    )


def test_a_liar_is_outvoted() -> None:
    found = count(said("right", "lie", "right"), SPEC, round=2)
    assert [vote.agrees for vote in found.votes] == [True, False, True]
    assert {vote.round for vote in found.votes} == {2}
    assert (found.accepted, found.violations, found.quorum) == (N, 0, True)
    assert found.report["fidelity"] > 0.99
    assert found.report["ensemble"] == 0.0


def test_two_who_lie_together_are_believed() -> None:
    found = count(said("right", "lie", "lie"), SPEC, round=1)
    assert [vote.agrees for vote in found.votes] == [False, True, True]
    assert found.report["fidelity"] < 0
    assert found.report["ensemble"] == 1.0


def test_without_a_quorum_nothing_is_said() -> None:
    found = count(said("right", "lie", "wild"), SPEC, round=1)
    assert not found.quorum
    assert not any(vote.agrees for vote in found.votes)
    assert found.report["abstention"] == 1.0
    assert len(found.report["dissent"]) == N


def test_a_liar_alone_is_worse_than_the_ensemble_at_equal_coverage() -> None:
    found = count(said("lie", "right", "right"), SPEC, round=1)
    assert (found.report["single"], found.report["ensemble"], found.report["reduction"]) == (1.0, 0.0, 1.0)


def test_what_is_accepted_and_breaks_a_law_is_counted() -> None:
    negative = said("right", "right", "right")
    broken = negative.predicted.copy()
    broken[0, :, 0, 0] = -9.0
    broken[0, :, 0, 1] += 10.0
    found = count(replace(negative, predicted=broken), SPEC, round=1)
    assert found.violations == 1


def test_clones_are_refused() -> None:
    with pytest.raises(FieldError, match="copies"):
        count(replace(said("right", "right", "right"), hashes=("a" * 64,) * 3), SPEC, round=1)
