"""Identity: what makes two things the same thing, on every machine.

Content (Sequence, Segment, EnergySnapshot, Split, Model, Checkpoint) has a UUIDv5 of a canonical key, so that whoever
makes it again, anywhere, makes the same node. Events (Run, Prediction, Evaluation) happen once and have a UUIDv7,
whose order is that of time. Reference: RFC 9562 (UUID), RFC 8785 (the idea of canonical JSON).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

import uuid_utils

NAMESPACE = UUID("6f1c1d3e-7a53-5c0f-9b1e-2d8f6a40c7e5")
"""Namespace of all content of fieldgraph; changing it would rename every node."""


def sequence_uid(domain: str, source: str, recipe_digest: str) -> str:
    """One evolution: its domain, the name of its source (never a path) and the digest of how it was made."""
    return _content_uid("sequence", domain, source, recipe_digest)


def snapshot_uid(sequence_uid: str, step: int) -> str:
    """The state of a sequence at an absolute step: `floor(valid_time / dt)` since 1970, or the index else.

    Not `t_index`, which depends on the file that came first.
    """
    return _content_uid("snapshot", sequence_uid, step)


def predicted_uid(prediction_uid: str, lead: int, member: int | None = None) -> str:
    """A predicted state: `lead` steps after the start (from 1); `member` is None for the ensemble's mean."""
    return _content_uid("predicted", prediction_uid, lead, member)


def segment_uid(sequence_uid: str, first_step: int, sha256: str) -> str:
    """A stretch of a sequence that came in one immutable file; `sha256` is that of the file's frames."""
    return _content_uid("segment", sequence_uid, first_step, sha256)


def split_uid(kind: str, gap: int, parts: Sequence[tuple[str, str, int, int]]) -> str:
    """A division into roles; `parts` are (role, sequence uid, first, last), inclusive, in any order."""
    return _content_uid("split", kind, gap, sorted(list(part) for part in parts))


def model_uid(config: Mapping[str, Any], split_uid: str, rng_seed: int, code_version: str) -> str:
    """A predictor: its configuration, the data it may see, the seed of its draws and the code that made it."""
    return _content_uid("model", dict(config), split_uid, rng_seed, code_version)


def checkpoint_uid(model_uid: str, step: int, sha256: str) -> str:
    """A model's parameters after `step` updates; `sha256` is over them in path order."""
    return _content_uid("checkpoint", model_uid, step, sha256)


def epoch_uid(run_uid: str, epoch: int) -> str:
    """One pass of a training run: an attempt that repeats it writes the same node again."""
    return _content_uid("epoch", run_uid, epoch)


def coupling_graph_uid(name: str) -> str:
    """A coupling graph; its content changes, its name does not."""
    return _content_uid("coupling graph", name)


def order_parameter_uid(graph_name: str, key: str) -> str:
    """An order parameter of a coupling graph."""
    return _content_uid("order parameter", graph_name, key)


def relaxation_step_uid(run_uid: str, index: int) -> str:
    """A step of a relaxation: an attempt that repeats it writes the same node again."""
    return _content_uid("relaxation step", run_uid, index)


def sweep_point_uid(run_uid: str, index: int) -> str:
    """A point of a sweep."""
    return _content_uid("sweep point", run_uid, index)


def expansion_candidate_uid(run_uid: str, key: str) -> str:
    """A candidate that one run has weighed."""
    return _content_uid("expansion candidate", run_uid, key)


def gate_event_uid(run_uid: str, key: str) -> str:
    """What one relaxation decided of a gate."""
    return _content_uid("gate event", run_uid, key)


def stage_uid(run_uid: str, round: int, name: str) -> str:
    """A stage of an experiment in one round: an attempt that resumes it finds the same node."""
    return _content_uid("stage", run_uid, round, name)


def vote_uid(run_uid: str, round: int, member: int) -> str:
    """What one member of a shadow ensemble said in one round of an experiment."""
    return _content_uid("vote", run_uid, round, member)


def event_uid() -> str:
    """A new event; sorts after every earlier one of this machine."""
    return str(uuid_utils.uuid7())


def canonical_json(value: Any) -> bytes:
    """The one way to write a JSON value: keys sorted, no blanks, UTF-8, whole numbers without a fraction.

    `2` and `2.0` are the same number to a JSON client, hence to us. Raises ValueError on NaN and infinity and
    TypeError on what JSON does not have.
    """
    text = json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def chain(digests: Sequence[str]) -> str:
    """One digest of an ordered list of digests, each link covering all before it; "" for none."""
    link = ""
    for item in digests:
        link = hashlib.sha256(f"{link}{item}".encode()).hexdigest()
    return link


def _content_uid(kind: str, *key: Any) -> str:
    return str(uuid5(NAMESPACE, canonical_json([kind, *key]).decode()))


def _canonical(value: Any) -> Any:
    match value:
        case float() if math.isfinite(value) and value.is_integer():
            return int(value)
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise TypeError(f"expected text as keys of a JSON object, got {sorted(map(repr, value))}.")
            return {key: _canonical(item) for key, item in value.items()}
        case list() | tuple():
            return [_canonical(item) for item in value]
        case _:
            return value
