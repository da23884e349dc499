"""The shadow ensemble: who is believed, who is outvoted, and when nothing is said."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvp.errors import FieldError
from resolvers.ace.shadows import (
    ConsensusFailure,
    change_distances,
    consensus,
    error_reduction,
    project,
    quorum_of,
    require_independent,
)

SHAPE = (8, 8, 1)
RNG = np.random.default_rng(5)
ORIGIN = RNG.uniform(1, 2, SHAPE)
CHANGE = RNG.normal(0, 0.2, SHAPE)
CHANGE -= CHANGE.mean()
TRUTH = ORIGIN + CHANGE
TOTAL = float(ORIGIN.sum())


def honest(number: int, *, noise: float = 0.1) -> Any:
    """The truth, off by a tenth of the change, in the right total."""
    off = np.random.default_rng(number).normal(0, noise * 0.2, SHAPE)
    return TRUTH + off - off.mean()


def lie(size: float = 1.0) -> Any:
    """Energy moved to the wrong place, total kept: no law is broken."""
    return ORIGIN - size * CHANGE


def test_one_liar_of_three_is_outvoted() -> None:
    found = consensus(np.stack([honest(0), lie(), honest(1)]), ORIGIN, total=TOTAL)
    assert (found.agreeing, found.dissenting, found.barred) == ((0, 2), (1,), ())
    assert np.linalg.norm(found.field - TRUTH) < 0.2 * np.linalg.norm(CHANGE)
    assert found.diameter == pytest.approx(found.distances[0, 2])


def test_two_who_tell_the_same_lie_are_believed() -> None:
    """The limit of voting by three: it is no Byzantine agreement."""
    found = consensus(np.stack([lie(), honest(0), lie(1.01)]), ORIGIN, total=TOTAL)
    assert found.agreeing == (0, 2)
    assert np.linalg.norm(found.field - TRUTH) > np.linalg.norm(CHANGE)


def test_two_who_lie_differently_leave_no_quorum() -> None:
    other = ORIGIN + np.roll(CHANGE, 4, axis=0)
    with pytest.raises(ConsensusFailure, match="expected 2 of 3 members to agree, got 1") as failure:
        consensus(np.stack([lie(), honest(0), other]), ORIGIN, total=TOTAL)
    assert failure.value.code == "NO_CONSENSUS"
    assert len(failure.value.dissenting) == 2
    json.dumps(failure.value.to_json(), allow_nan=False)


def test_agreement_is_not_handed_on() -> None:
    """A agrees with B and B with C, A not with C: no clique of three."""
    step = 0.4 * CHANGE
    chain = np.stack([TRUTH - step, TRUTH, TRUTH + step])
    apart = change_distances(chain, ORIGIN)
    tau = 0.7
    assert apart[0, 1] < tau
    assert apart[1, 2] < tau
    assert apart[0, 2] > tau
    assert len(consensus(chain, ORIGIN, total=None, tau=tau).agreeing) == 2
    with pytest.raises(ConsensusFailure):
        consensus(chain, ORIGIN, total=None, tau=tau, quorum=3)


def test_who_predicts_next_to_nothing_does_not_agree_by_that() -> None:
    """‖P_i − P_j‖/‖P‖ is tiny between two that hardly change; relative to the change they are apart."""
    still = [ORIGIN + 1e-3 * np.random.default_rng(number).normal(0, 1, SHAPE) for number in range(2)]
    assert np.linalg.norm(still[0] - still[1]) / np.linalg.norm(still[0]) < 0.01
    with pytest.raises(ConsensusFailure):
        consensus(np.stack([*still, honest(0)]), ORIGIN, total=TOTAL)


def test_persistence_agrees_with_itself_alone() -> None:
    apart = change_distances(np.stack([ORIGIN, ORIGIN, TRUTH]), ORIGIN)
    assert apart[0, 1] == 0
    assert np.isinf(apart[0, 2])


def test_who_breaks_the_total_has_no_vote_but_counts_for_the_quorum() -> None:
    heavy = honest(1) * 1.06
    found = consensus(np.stack([honest(0), heavy, honest(2)]), ORIGIN, total=TOTAL)
    assert (found.agreeing, found.barred) == ((0, 2), (1,))
    # 4.9 % is within the 5 % that are allowed, and is projected away
    kept = consensus(np.stack([honest(0), honest(1) * 1.049]), ORIGIN, total=TOTAL)
    assert kept.agreeing == (0, 1)
    assert kept.field.sum() == pytest.approx(TOTAL, rel=1e-12)
    with pytest.raises(ConsensusFailure, match="have no vote"):
        consensus(np.stack([honest(0), heavy, heavy]), ORIGIN, total=TOTAL)


def test_what_is_no_number_is_outvoted() -> None:
    broken = np.full(SHAPE, np.nan)
    for total in (TOTAL, None):
        assert consensus(np.stack([broken, honest(0), honest(1)]), ORIGIN, total=total).agreeing == (1, 2)


@given(members=st.integers(2, 5), total=st.floats(10, 1000), seed=st.integers(0, 99))
def test_what_is_accepted_has_the_total_and_no_negative_energy(members: int, total: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    fields = rng.uniform(0, 1, (1, *SHAPE)) + rng.uniform(0, 0.01, (members, *SHAPE))
    fields *= total / fields.sum(axis=(1, 2, 3), keepdims=True)
    found = consensus(fields, np.zeros(SHAPE), total=total)
    assert found.field.sum() == pytest.approx(total)
    assert found.field.min() >= 0
    assert len(found.agreeing) == members


def test_the_order_of_the_members_is_of_no_account() -> None:
    fields = np.stack([honest(0), honest(1), lie(), honest(2)])
    order = [2, 0, 3, 1]
    one, other = (consensus(some, ORIGIN, total=TOTAL) for some in (fields, fields[order]))
    assert {order[index] for index in other.agreeing} == set(one.agreeing) == {0, 1, 3}
    np.testing.assert_allclose(one.field, other.field)


def test_signed_fields_are_shifted_to_the_total() -> None:
    signed = project(np.array([[[-1.0], [3.0]]]), 4.0, signed=True)
    np.testing.assert_allclose(signed, [[[0.0], [4.0]]])
    assert project(np.zeros(SHAPE), 64.0, signed=False).sum() == pytest.approx(64)


def test_energies_are_scaled_to_the_total_and_stay_energies() -> None:
    np.testing.assert_allclose(project(np.array([[[0.0], [4.0]]]), 2.0, signed=False), [[[0.0], [2.0]]])


def test_quorums() -> None:
    assert [quorum_of(n) for n in (1, 2, 3, 4, 5, 6, 7)] == [1, 2, 2, 3, 4, 4, 5]


def test_copies_are_refused() -> None:
    require_independent(["a", "b", "c"])
    with pytest.raises(FieldError, match="got copies: 0, 2") as refused:
        require_independent(["a", "b", "a"])
    assert refused.value.code == "SAME_MEMBERS"


@pytest.mark.parametrize("wrong", [{"tau": 0.0}, {"max_energy_drift": 0.0}, {"tau": float("nan")}])
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(FieldError, match="expected 1 … 12 members"):
        consensus(np.stack([honest(0), honest(1)]), ORIGIN, total=TOTAL, **wrong)
    with pytest.raises(FieldError, match="got 13"):
        consensus(np.stack([honest(0)] * 13), ORIGIN, total=TOTAL)


def test_errors_are_compared_at_equal_coverage() -> None:
    # the single member is wrong twice, where it is surest; it would be silent on the last
    found = error_reduction(
        accepted=np.array([True, True, True, False]),
        wrong=np.array([False, False, False, True]),
        single_wrong=np.array([True, True, False, False]),
        single_doubt=np.array([0.1, 0.2, 0.3, 0.9]),
    )
    assert (found.n, found.abstention, found.ensemble) == (4, 0.25, 0.0)
    assert found.single == pytest.approx(2 / 3)
    assert (found.single_always, found.reduction) == (0.5, 1.0)


def test_silence_is_no_merit() -> None:
    """Who abstains from everything makes no error, and reduces none."""
    nothing = np.zeros(4, bool)
    found = error_reduction(accepted=nothing, wrong=nothing, single_wrong=~nothing, single_doubt=np.arange(4.0))
    assert (found.abstention, found.ensemble, found.single, found.reduction) == (1.0, None, None, None)
    json.dumps(found.to_json())
