"""Submission: from a request to a QUEUED run, checked against the graph before anything is queued.

The API and the command line call the same four functions. They return at once and import no JAX. The same request
again, over the same data and with the same code, is the same run, unless the request says `force`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal

import numpy as np

from graph.errors import GraphError
from graph.identity import digest
from graph.queries import runs, splits, timeline, training
from graph.queries.runs import RunRow
from graph.queries.splits import Part
from graph.queries.timeline import SequenceRow
from nvp.atlas.time_axis import step_of
from nvp.dynamics.domain import domain as registered_domain
from nvp.dynamics.kinds import configure_kind
from nvp.prediction.windows import WELL_WINDOWS, window_of
from resolvers.parallel.pool import wish
from resolvers.poke import poke
from resolvers.services import client_keys
from resolvers.services.context import Services
from resolvers.services.requests import EvaluationRequest, GenerationRequest, PredictionRequest, TrainingRequest, Wanted
from resolvers.services.settings import training_settings
from resolvers.services.splitting import Kind, split
from resolvers.services.version import code_version

__all__ = [
    "DAY_SECONDS",
    "MAX_SEQUENCES",
    "EvaluationRequest",
    "GenerationRequest",
    "PredictionRequest",
    "TrainingRequest",
    "check_training",
    "split_name",
    "submit",
    "submit_evaluation",
    "submit_generation",
    "submit_prediction",
    "submit_training",
    "t_index",
    "training_config",
]

ModelSize = Literal["ridge", "tiny", "small", "base", "literal"]
MODELS: tuple[ModelSize, ...] = ("ridge", "tiny", "small", "base", "literal")
MAX_STEPS = 1000  # of one prediction: each is a node and a file
MAX_STARTS = 1000  # of one prediction run, and states over all of them
MAX_STATES = 10_000
MAX_MEMBERS = 16  # checkpoints of an ensemble
MAX_HISTORY = 4  # frames that a model sees
MAX_SEQUENCES = 10_000  # of one generation
MAX_SEED = 2**63 - 1  # what Neo4j holds
DAY_SECONDS = 86_400.0


async def submit_training(services: Services, request: TrainingRequest, *, client_key: str | None = None) -> RunRow:
    """Queue a training; raises GraphError or FieldError where sequences are missing, differ or are too short."""
    settings = check_training(request)
    rows = await _sequences(services, request)
    gap = await _default_gap(services, rows[0]) if request.gap is None else request.gap
    kind, parts = split(rows, kind=request.split, gap=gap)
    name = split_name(rows[0].domain, kind, len(rows))
    made = await splits.create_split(services.gateway, name=name, kind=kind, gap=gap, parts=parts)
    config = training_config(request, settings, domain=rows[0].domain, split=made.uid)
    inputs = [(made.uid, "split"), *((row.uid, "sequence") for row in rows)]
    return await submit(
        services,
        kind="training",
        capability="batch",
        config=config,
        data=_digests(rows),
        rng_seed=request.seed,
        inputs=inputs,
        force=request.force,
        client_key=client_key,
        request=request,
    )


def check_training(request: TrainingRequest) -> dict[str, Any]:
    """The settings as the training will have them; raises GraphError or FieldError for what no training can have."""
    _one_of("model", request.model, MODELS)
    _between("seed", request.seed, 0, MAX_SEED)
    _at_least("epochs", request.epochs, 1)
    if request.history is not None:
        _between("history", request.history, 1, MAX_HISTORY)
    if request.seconds is not None and not 0 < request.seconds < float("inf"):
        raise GraphError("BAD_REQUEST", f"expected seconds above 0, got {request.seconds}.")
    _at_least("gap", request.gap, 0)
    if not isinstance(request.settings, Mapping):
        raise GraphError("BAD_REQUEST", f"expected settings by name, got {str(request.settings)[:80]}.")
    return training_settings(request.model, request.settings)


def training_config(
    request: TrainingRequest, settings: Mapping[str, Any], *, domain: str, split: str
) -> dict[str, Any]:
    """The config of a training run, with a graph or without."""
    return {
        "model": request.model,
        "domain": domain,
        "split": split,
        "epochs": request.epochs,
        "seconds": request.seconds,
        "history": request.history,
        "settings": dict(settings),
    }


def split_name(domain: str, kind: Kind, sequences: int) -> str:
    """For people."""
    return f"{domain} by {kind}, {sequences} sequence{'s' if sequences > 1 else ''}"


async def submit_prediction(services: Services, request: PredictionRequest, *, client_key: str | None = None) -> RunRow:
    """Queue a prediction; raises GraphError where a checkpoint or snapshot is missing or they do not fit together."""
    _between("steps", request.steps, 1, MAX_STEPS)
    _one_of("forcing", request.forcing, ("frozen", "recorded"))
    wanted, starts = tuple(dict.fromkeys(request.checkpoints)), tuple(dict.fromkeys(request.starts))
    _between("number of checkpoints", len(wanted), 1, MAX_MEMBERS)
    _between("number of starts", len(starts), 1, MAX_STARTS)
    if len(starts) * request.steps > MAX_STATES:
        raise GraphError(
            "BAD_REQUEST",
            f"expected at most {MAX_STATES} states of one prediction run, got {len(starts)} starts × {request.steps} "
            "steps.",
            next_step="Ask for them in several runs.",
        )
    checkpoints = [await training.checkpoint(services.gateway, uid) for uid in wanted]
    for other in checkpoints[1:]:
        _same(
            "domain", checkpoints[0].model.domain, other.model.domain, next_step="Ensemble checkpoints of one domain."
        )
    if len(checkpoints) > 1 and (alone := {one.model.architecture for one in checkpoints} & {"ridge", "literal"}):
        said = f"expected networks in an ensemble, got {min(alone)}."
        raise GraphError("BAD_ENSEMBLE", said, next_step="Leave it out.")
    snapshots = await timeline.snapshots(services.gateway, starts)
    for snapshot in snapshots:
        if snapshot.sequence is None:
            raise GraphError(
                "NOT_IN_SEQUENCE",
                f"expected a snapshot of a sequence, got {snapshot.uid}, which is itself predicted.",
                next_step="Start from an observed or simulated snapshot and ask for more steps.",
            )
        _same("domain", checkpoints[0].model.domain, snapshot.domain, next_step="Choose a checkpoint of this domain.")
    config = {
        "checkpoints": [checkpoint.uid for checkpoint in checkpoints],
        "starts": [snapshot.uid for snapshot in snapshots],
        "steps": request.steps,
        "forcing": request.forcing,
        "members": request.members,
    }
    return await submit(
        services,
        kind="prediction",
        capability="interactive",
        config=config,
        data=[snapshot.sha256 for snapshot in snapshots],
        rng_seed=0,
        inputs=[
            *((checkpoint.uid, "checkpoint") for checkpoint in checkpoints),
            *((snapshot.uid, "start") for snapshot in snapshots),
        ],
        force=request.force,
        client_key=client_key,
        request=request,
    )


async def submit_evaluation(services: Services, request: EvaluationRequest, *, client_key: str | None = None) -> RunRow:
    """Queue an evaluation; raises GraphError where nothing would be scored or the checkpoints do not fit together."""
    if not request.checkpoints:
        raise GraphError("BAD_REQUEST", "expected at least one checkpoint, got none.")
    _at_least("stride", request.stride, 1)
    _between("horizon", request.horizon, 1, MAX_STEPS)
    _between("drift", request.drift, 0, MAX_STEPS)
    _at_least("rollouts", request.rollouts, 1)
    if request.forcing is not None:
        _one_of("forcing", request.forcing, ("frozen", "recorded"))
    windows = [window_of(text) for text in request.windows]
    checkpoints = [await training.checkpoint(services.gateway, uid) for uid in dict.fromkeys(request.checkpoints)]
    model = checkpoints[0].model
    for other in checkpoints[1:]:
        _same("split", model.split, other.model.split, next_step="Evaluate checkpoints of different splits apart.")
    parts = await _evaluated_parts(services, request, model.split)
    rows = [await timeline.sequence(services.gateway, uid) for uid in dict.fromkeys(part.sequence for part in parts)]
    for row in rows:
        _same("domain", model.domain, row.domain, next_step="Choose sequences of this domain.")
    config = {
        "checkpoints": [checkpoint.uid for checkpoint in checkpoints],
        "parts": [{"sequence": part.sequence, "first": part.first, "last": part.last} for part in parts],
        "stride": request.stride,
        "horizon": max(request.horizon, *(last for _, last in windows), 1),
        "windows": [list(window) for window in windows or WELL_WINDOWS],
        "forcing": request.forcing,
        "rollouts": request.rollouts,
        "drift": request.drift,
        **({"left_out": model.domain} if request.left_out else {}),
    }
    return await submit(
        services,
        kind="evaluation",
        capability="batch",
        config=config,
        data=_digests(rows),
        rng_seed=0,
        inputs=[
            *((checkpoint.uid, "checkpoint") for checkpoint in checkpoints),
            *((row.uid, "sequence") for row in rows),
        ],
        force=request.force,
        client_key=client_key,
        request=request,
    )


async def submit_generation(services: Services, request: GenerationRequest, *, client_key: str | None = None) -> RunRow:
    """Queue a generation; raises FieldError for a domain without simulator and for settings that it cannot take."""
    _between("sequences", request.sequences, 1, MAX_SEQUENCES)
    _between("seed", request.seed, 0, MAX_SEED)
    if not isinstance(request.settings, Mapping):
        raise GraphError("BAD_REQUEST", f"expected settings by name, got {str(request.settings)[:80]}.")
    configure_kind(request.kind, registered_domain(request.domain).name, request.settings, request.preset)
    config = {
        "domain": request.domain,
        "kind": request.kind,
        "preset": request.preset,
        "sequences": request.sequences,
        "settings": dict(request.settings),
    }
    return await submit(
        services,
        kind="generation",
        capability="batch",
        config=config,
        data=[],
        rng_seed=request.seed,
        inputs=[],
        force=request.force,
        client_key=client_key,
        request=request,
    )


async def submit(
    services: Services,
    *,
    kind: str,
    capability: str,
    config: Mapping[str, Any],
    data: Sequence[str],
    rng_seed: int,
    inputs: Sequence[tuple[str, str]],
    force: bool,
    client_key: str | None = None,
    request: Wanted | None = None,
) -> RunRow:
    """Queue, and poke. `data` are digests of what the inputs contain: a sequence that has grown makes another run, but
    not under a `client_key`: there the same `request` is the same run. Where it is worked makes no other run of it."""
    code = code_version()
    key = digest({"kind": kind, "config": config, "data": list(data), "rng_seed": rng_seed, "code": code})
    asked = None if request is None else asdict(request)
    if client_key is not None:
        key = client_keys.dedup_key(kind, client_key)
        config = {**config, client_keys.REQUEST: digest(asked)}
    run = await runs.submit(
        services.gateway,
        kind=kind,
        config={**config, **wish(request)},
        capability=capability,
        dedup_key=key,
        rng_seed=rng_seed,
        inputs=inputs,
        force=force and client_key is None,
        code_version=code,
    )
    poke(services.settings, capability)
    return run if client_key is None else client_keys.told(run, client_key, asked)


async def _sequences(services: Services, request: TrainingRequest) -> list[SequenceRow]:
    """The sequences to train on: all of one domain, grid and time step."""
    if request.sequences:
        rows = [await timeline.sequence(services.gateway, uid) for uid in dict.fromkeys(request.sequences)]
    elif request.domain is not None:
        name = registered_domain(request.domain).name
        rows = await timeline.sequences_of_domain(services.gateway, name, to_learn=True)
    else:
        raise GraphError("BAD_REQUEST", "expected a domain or sequences to train on, got neither.")
    if not rows:
        raise GraphError(
            "NO_SEQUENCES",
            f"expected sequences of domain {request.domain!r}, got none.",
            next_step="Ingest a file (`fieldgraph ingest`) or simulate some (`fieldgraph generate`).",
        )
    head = rows[0]
    if not request.sequences and len({row.origin for row in rows}) > 1:
        raise GraphError(
            "MIXED_ORIGINS",
            f"expected observed or simulated sequences of {head.domain}, got both.",
            next_step="Name the sequences, or say `--fallback simulate`: it takes the ones or the others.",
        )
    if request.domain is not None:
        _same("domain", request.domain, head.domain, next_step="Name the sequences alone, or those of this domain.")
    for row in rows:
        if (row.domain, row.height, row.width, row.dt) != (head.domain, head.height, head.width, head.dt):
            raise GraphError(
                "SEQUENCES_DIFFER",
                f"expected {head.domain} of {head.height}×{head.width} with dt {head.dt:g} as in {head.uid}, got "
                f"{row.domain} of {row.height}×{row.width} with dt {row.dt:g} in {row.uid}.",
                next_step="Name the sequences that belong together.",
            )
    return rows


async def _default_gap(services: Services, row: SequenceRow) -> int:
    """A day's frames where the sequence has a calendar: the weather of an evening knows that of the noon."""
    frame = (await timeline.frames(services.gateway, row.uid, row.first, row.first))[0]
    return 0 if frame.valid_time is None else round(DAY_SECONDS / row.dt)


async def _evaluated_parts(services: Services, request: EvaluationRequest, split_uid: str) -> list[Part]:
    """The stretches to score: parts of the split in the wanted role or whole sequences, cut to begin … end."""
    role = request.split_role or (None if request.sequences else "test")
    if role is None:
        rows = [await timeline.sequence(services.gateway, uid) for uid in dict.fromkeys(request.sequences)]
        parts = [Part("test", row.uid, row.first, row.last) for row in rows]
    else:
        _one_of("split role", role, ("train", "val", "test"))
        parts = [
            part
            for part in (await splits.split(services.gateway, split_uid)).of(role)
            if not request.sequences or part.sequence in request.sequences
        ]
    cut = [await _cut(services, part, request.begin, request.end) for part in parts]
    kept = [part for part in cut if part.last > part.first]
    if not kept:
        raise GraphError(
            "NOTHING_TO_SCORE",
            f"expected frames from {request.begin or 'the first'} to {request.end or 'the last'}, got none.",
            next_step="Widen the range or name another sequence.",
        )
    return kept


async def _cut(services: Services, part: Part, begin: str | None, end: str | None) -> Part:
    row = await timeline.sequence(services.gateway, part.sequence)
    return replace(
        part,
        first=part.first if begin is None else max(part.first, t_index(row, begin)),
        last=part.last if end is None else min(part.last, t_index(row, end)),
    )


def t_index(row: SequenceRow, text: str) -> int:
    """A t_index as it is, an ISO time by the sequence's calendar (UTC)."""
    if re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    try:
        # NumPy takes any other text for a time as well, and wraps around years that nanoseconds do not reach
        if not re.match(r"[0-9]{4}(-|$)", text) or not 1678 <= int(text[:4]) <= 2261:
            raise ValueError(text)
        return step_of(np.datetime64(text.removesuffix("Z"), "ns"), row.dt) - row.anchor
    except ValueError:
        raise GraphError(
            "BAD_TIME", f"expected a t_index or an ISO time such as 2019-03-25T00:00, got {text[:80]!r}."
        ) from None


def _digests(rows: Sequence[SequenceRow]) -> list[str]:
    return [row.digest for row in sorted(rows, key=lambda row: row.uid)]


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise GraphError("BAD_REQUEST", f"expected {name} out of {', '.join(known)}, got {value!r}.")


def _at_least(name: str, value: float | None, low: float) -> None:
    if value is not None and not value >= low:
        raise GraphError("BAD_REQUEST", f"expected {name} of at least {low}, got {value}.")


def _between(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise GraphError("BAD_REQUEST", f"expected {name} within {low} … {high}, got {value}.")


def _same(name: str, expected: object, got: object, *, next_step: str) -> None:
    if expected != got:
        raise GraphError("MISMATCH", f"expected {name} {expected}, got {got}.", next_step=next_step)
