"""A certificate is what was signed: nothing in it can be changed, and nothing that may not be certified passes."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.errors import GraphError
from resolvers.certificates.canonical import canonical
from resolvers.certificates.signing import PLACE, check, follows, key_of, known_key, public_key, sign, verify
from resolvers.certificates.statement import Accounting, Budget, Invalid, Laws, Refused, Vote, quorum, refusal
from tests.resolvers.certificates.statements import KEY, OTHER, signed, statement, votes

DOCUMENT = signed().document()


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each value that has no parts is, an empty list among them."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = False
    for key, part in parts:
        found = True
        yield from leaves(part, (*path, key))
    if not found:
        yield path


LEAVES = list(leaves(json.loads(DOCUMENT)))


def changed(path: tuple[Any, ...], to: Any) -> bytes | None:
    """The document with another value there; None where that says the same."""
    whole = json.loads(DOCUMENT)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    if canonical(inner[path[-1]]) == canonical(to):
        return None
    inner[path[-1]] = to
    return json.dumps(whole).encode()


def other(value: Any) -> Any:
    """A value of the same type that says something else."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str() if value:
            return value[:-1] + ("0" if value[-1] != "0" else "1")
    return "x"


def test_what_was_signed_is_verified() -> None:
    found = verify(DOCUMENT)
    assert found.statement == statement()
    assert verify(DOCUMENT, key=public_key(KEY)).digest == found.digest
    # nothing depends on how it is laid out
    assert verify(json.dumps(json.loads(DOCUMENT), sort_keys=True)).digest == found.digest


@pytest.mark.parametrize("path", LEAVES, ids=lambda path: ".".join(map(str, path)))
def test_each_changed_field_fails(path: tuple[Any, ...]) -> None:
    value = json.loads(DOCUMENT)
    for key in path:
        value = value[key]
    for to in (other(value), None if value is not None else 0, [], {}):
        document = changed(path, to)
        if document is not None:
            with pytest.raises(Invalid):
                verify(document)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(LEAVES), st.none() | st.booleans() | st.integers() | st.floats() | st.text())
def test_whatever_it_is_changed_to_fails(path: tuple[Any, ...], to: Any) -> None:
    try:
        document = changed(path, to)
    except (ValueError, UnicodeEncodeError):
        return  # nothing that a file could say
    if document is not None:
        with pytest.raises(Invalid):
            verify(document)


@pytest.mark.parametrize("key", [None, *json.loads(DOCUMENT)["statement"]])
def test_each_field_left_out_or_added_fails(key: str | None) -> None:
    whole = json.loads(DOCUMENT)
    if key is None:
        whole["statement"]["more"] = 1
    else:
        del whole["statement"][key]
    with pytest.raises(Invalid) as caught:
        verify(json.dumps(whole))
    assert caught.value.code == "DIGEST_MISMATCH"


def test_a_new_digest_does_not_help_without_the_key() -> None:
    whole = json.loads(DOCUMENT)
    whole["statement"]["accounting"]["energy_joules"] = 1
    text = canonical(whole["statement"])
    again = sign(replace(statement(), run=replace(statement().run, attempt=2)), OTHER)
    with pytest.raises(Invalid, match="signature"):
        check(text, digest=hashlib.sha256(text).hexdigest(), signature=whole["signature"])
    # signed by another in the name of KEY
    with pytest.raises(Invalid, match="signature"):
        verify(again.document())


def test_another_signer_is_told_by_the_key() -> None:
    theirs = sign(statement(public_key=public_key(OTHER)), OTHER)
    assert verify(theirs.document()).statement.public_key == public_key(OTHER)
    with pytest.raises(Invalid) as caught:
        verify(theirs.document(), key=public_key(KEY))
    assert caught.value.code == "OTHER_KEY"


@pytest.mark.parametrize(
    "document",
    [b"", b"\x00\xff", b"[]", b"{}", b"null", b"[" * 100_000, b'{"statement": NaN}', DOCUMENT[:-40], DOCUMENT * 2],
)
def test_what_is_no_certificate(document: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        verify(document)
    assert caught.value.code == "NOT_A_CERTIFICATE"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spoil", ["upper", "blank", "wide"])
def test_a_signature_is_written_in_one_way(spoil: str) -> None:
    whole = json.loads(DOCUMENT)
    signature = whole["signature"]
    whole["signature"] = {"upper": signature.upper(), "blank": signature + " ", "wide": signature + "00"}[spoil]
    with pytest.raises(Invalid):
        verify(json.dumps(whole))


def test_what_is_signed_but_says_something_else() -> None:
    text = canonical({"format": "fieldgraph-certificate-2"})
    with pytest.raises(Invalid) as caught:
        check(text, digest=hashlib.sha256(text).hexdigest(), signature=KEY.sign(text).hex())
    assert caught.value.code == "NOT_A_CERTIFICATE"


def accounted(**changes: Any) -> Accounting:
    return replace(statement().accounting, **changes)


BROKEN = {
    "RUN_NOT_SUCCEEDED": [{"run": replace(statement().run, state=state)} for state in ("FAILED", "RUNNING", "")],
    "ACCOUNTING_MISSING": [
        {"accounting": accounted(energy_source="")},
        {"accounting": accounted(energy_joules=-1.0)},
        {"accounting": accounted(seconds=-1.0)},
        {"laws": Laws(predictions=2, unchecked=1, violations=0)},
    ],
    "BUDGET_EXCEEDED": [
        {"accounting": accounted(energy_joules=500.001)},
        {"accounting": accounted(budget=Budget(amount=0.0, unit="J"), energy_joules=0.0)},
        {"accounting": accounted(budget=Budget(amount=11.0, unit="s"))},
    ],
    "LAWS_VIOLATED": [{"laws": Laws(predictions=2, unchecked=0, violations=1)}],
    "NO_QUORUM": [
        {"votes": ()},
        {"votes": votes(True)},
        {"votes": votes(True, False, False)},
        {"votes": votes(True, True, False, False)},
        # three clones are one member
        {"votes": tuple(Vote(member=n, parameters_sha256="ab", agrees=True) for n in range(3))},
    ],
}


@pytest.mark.parametrize(("code", "changes"), [(code, each) for code, many in BROKEN.items() for each in many])
def test_what_may_not_be_certified(code: str, changes: dict[str, Any]) -> None:
    broken = statement(**changes)
    refused = refusal(broken)
    assert refused is not None
    assert (refused.code, refused.exit_code) == (code, 1)
    assert "\n" not in str(refused)
    # nor by whoever signs it all the same
    with pytest.raises(Refused) as caught:
        verify(sign(broken, KEY).document())
    assert caught.value.code == code


def test_what_may_be_certified() -> None:
    assert refusal(statement()) is None
    assert refusal(statement(accounting=accounted(energy_joules=500.0))) is None
    assert refusal(statement(accounting=accounted(budget=Budget(amount=12.0, unit="s")))) is None
    assert refusal(statement(votes=votes(True, True, True, False))) is None
    # members vote in ACE runs only
    assert refusal(statement(run=replace(statement().run, kind="training"), votes=())) is None
    assert [quorum(n) for n in range(1, 8)] == [1, 2, 2, 3, 4, 4, 5]


def test_certificates_follow_each_other() -> None:
    first = signed()
    second = signed(number=2, previous_digest=first.digest)
    follows(second, first)
    for wrong in (signed(number=3, previous_digest=first.digest), signed(number=2, previous_digest=second.digest)):
        with pytest.raises(Invalid, match="to follow"):
            follows(wrong, first)


def test_the_key_is_made_once_and_its_owners_alone(tmp_path: Path) -> None:
    assert known_key(tmp_path) is None
    key = key_of(tmp_path)
    assert (tmp_path / PLACE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / PLACE).parent.iterdir()] == [PLACE.name]
    assert known_key(tmp_path) == public_key(key) == public_key(key_of(tmp_path))
    (tmp_path / PLACE).chmod(0o640)
    with pytest.raises(GraphError) as caught:
        key_of(tmp_path)
    assert caught.value.code == "KEY_EXPOSED"
    (tmp_path / PLACE).chmod(0o600)
    (tmp_path / PLACE).write_text("-----BEGIN PRIVATE KEY-----\nnone\n")
    with pytest.raises(GraphError) as caught:
        key_of(tmp_path)
    assert caught.value.code == "KEY_UNREADABLE"


def _asked(home: Path, answers: Any) -> None:
    answers.put(public_key(key_of(home)))


def test_processes_that_make_a_key_at_once_have_the_same(tmp_path: Path) -> None:
    # spawned: a process in which JAX has run must not fork
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    asking = [context.Process(target=_asked, args=(tmp_path, answers)) for _ in range(4)]
    for process in asking:
        process.start()
    assert len({answers.get() for _ in asking}) == 1
    for process in asking:
        process.join()
    assert [path.name for path in (tmp_path / PLACE).parent.iterdir()] == [PLACE.name]
