"""Identity: equal things have equal uids on every machine, different things never do."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph import identity

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)  # a loaded machine is no failure
@given(st.dictionaries(st.text(max_size=6), VALUES, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(value: dict[str, object], random: object) -> None:
    items = list(value.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert identity.canonical_json(dict(items)) == identity.canonical_json(value)


@settings(deadline=None)  # a loaded machine is no failure
@given(VALUES)
def test_what_json_reads_back_is_written_the_same(value: object) -> None:
    text = identity.canonical_json(value)
    assert identity.canonical_json(json.loads(text)) == text
    assert json.loads(text) == value


@settings(deadline=None)  # a loaded machine is no failure
@given(VALUES, VALUES)
def test_different_values_have_different_digests(one: object, other: object) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    equal = identity.canonical_json(one) == identity.canonical_json(other)
    assert (identity.digest(one) == identity.digest(other)) == equal
    assert equal or not same


def test_whole_numbers_are_one_number_however_a_client_writes_them() -> None:
    assert identity.canonical_json({"b": 2.0, "a": [-0.0, (1,)]}) == b'{"a":[0,[1]],"b":2}'


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_json_lacks_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        identity.digest({"loss": value})


def test_keys_that_json_lacks_are_refused() -> None:
    with pytest.raises(TypeError, match="expected text"):
        identity.digest({1: "one"})


def test_uids_are_those_of_every_machine() -> None:
    """Golden values: a change here renames all nodes of all graphs."""
    sequence = identity.sequence_uid("plasma", "run 7", identity.digest({}))
    assert sequence == "72b64808-39cc-53a5-a680-81cba953ac2c"
    assert identity.snapshot_uid(sequence, -3) == "7720e1f0-4e2a-523c-84fe-95c403cf0a72"


def test_each_part_of_a_key_and_each_kind_makes_another_uid() -> None:
    uids = [
        identity.sequence_uid("a", "b", "c"),
        identity.sequence_uid("ab", "", "c"),
        identity.sequence_uid("a", "bc", ""),
        identity.snapshot_uid("a", 1),
        identity.snapshot_uid("a", -1),
        identity.predicted_uid("a", 1),
        identity.predicted_uid("a", 1, 0),
        identity.segment_uid("a", 1, "f"),
        identity.checkpoint_uid("a", 1, "f"),
        identity.epoch_uid("a", 1),
        identity.model_uid({}, "s", 0, "v"),
        identity.model_uid({}, "s", 1, "v"),
    ]
    assert len(set(uids)) == len(uids)


def test_a_split_is_its_parts_in_any_order() -> None:
    parts = [("train", "s", 0, 4), ("test", "s", 6, 9)]
    assert identity.split_uid("block", 1, parts) == identity.split_uid("block", 1, parts[::-1])
    assert identity.split_uid("block", 1, parts) != identity.split_uid("block", 2, parts)


def test_events_sort_by_time() -> None:
    uids = [identity.event_uid() for _ in range(200)]
    assert uids == sorted(set(uids))


def test_a_chain_depends_on_order_and_all_links() -> None:
    assert identity.chain([]) == ""
    assert len({identity.chain(links) for links in (["a", "b"], ["b", "a"], ["a"], ["ab"], ["a", "b", ""])}) == 5
