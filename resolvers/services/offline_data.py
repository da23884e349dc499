"""Data of a training without a graph: sequences out of files, out of a folder atlas, or simulated on the spot.

Each has the identity that an ingest of the same data would give it, so that a model trained here is the very model
that would be trained there; `content` is what tells whether a graph has the same frames, under whatever name.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from graph.identity import canonical_json, digest
from graph.queries.frames import Origin
from graph.queries.sequences import NewSequence
from nvp.atlas.maps.loader import EnergyAtlasLoader
from nvp.atlas.maps.sequence import AtlasSequence
from nvp.atlas.regrid import Fit
from nvp.atlas.segment_file import frame_digests
from nvp.atlas.series import Series
from nvp.dynamics.domain import domain as registered_domain
from nvp.errors import FieldError
from resolvers.services.atlas import GENERATOR, as_series, stretches
from resolvers.services.importing import IngestRequest, each, prepare
from resolvers.services.ingest import sequence_of
from resolvers.services.material import first_step
from resolvers.services.recipes import plan
from resolvers.services.submission import GenerationRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineSequence:
    """One sequence with its frames in memory."""

    sequence: NewSequence
    origin: Origin
    # stretches without gaps, in order of time; `first` is a t_index counted from the first frame
    parts: tuple[Series, ...]
    # absolute step of the first frame
    anchor: int
    # the command that brings it into a graph
    ingest: str

    # as a row of the graph says it
    @property
    def uid(self) -> str:
        return self.sequence.uid

    @property
    def first(self) -> int:
        return 0

    @property
    def last(self) -> int:
        return self.parts[-1].first + len(self.parts[-1]) - 1

    def cut(self, first: int, last: int) -> list[Series]:
        """The frames with t_index first … last, one series per stretch."""
        found = []
        for part in self.parts:
            low, high = max(first, part.first), min(last, part.first + len(part) - 1)
            if low <= high:
                found.append(part.part(low - part.first, high + 1 - part.first))
        return found

    def facts(self) -> dict[str, Any]:
        """What a bundle says of it."""
        frames = [frame for part in self.parts for frame in _frames(part)]
        return {
            "uid": self.uid,
            "domain": self.sequence.domain,
            "source": self.sequence.source,
            "generator": self.sequence.generator,
            "recipe": dict(self.sequence.recipe),
            "rng_seed": self.sequence.rng_seed,
            "origin": self.origin,
            "height": self.sequence.height,
            "width": self.sequence.width,
            "dt": self.sequence.dt,
            "anchor": self.anchor,
            "length": sum(map(len, self.parts)),
            "last": self.last,
            "parameters": {name: float(value) for name, value in sorted(self.parts[0].parameters.items())},
            "first_frame": frames[0][1],
            "sha256": content(self.sequence.dt, frames),
            "ingest": self.ingest,
        }


def content(dt: float, frames: Sequence[tuple[int, str, str | None]]) -> str:
    """sha256 over what was learnt from: the step, and of each frame (t_index from the first, field, context)."""
    head = frames[0][0] if frames else 0
    state = hashlib.sha256(canonical_json({"dt": dt}))
    for t_index, energy, context in frames:
        state.update(f"\n{t_index - head} {energy} {context or '-'}".encode())
    return state.hexdigest()


def data_digest(facts: Sequence[dict[str, Any]]) -> str:
    """sha256 over all sequences, in order of uid; how to ingest them does not count."""
    return digest([{name: value for name, value in one.items() if name != "ingest"} for one in facts])


def from_file(request: IngestRequest) -> list[OfflineSequence]:
    """The sequences of a file, as an ingest reads and checks it; raises `FieldError`."""
    return [_of_file(one) for one in each(request)]


def from_folder(root: Path, domain: str, progress: Callable[[int, int], None] | None = None) -> list[OfflineSequence]:
    """All sequences of a domain in a folder atlas; raises `FieldError` where there is none."""
    found = EnergyAtlasLoader(root, domain).sequences(domain)
    made = []
    for number, one in enumerate(found, start=1):
        made.append(_of_atlas(one))
        if progress is not None:
            progress(number, len(found))
    return made


def simulated(request: GenerationRequest, progress: Callable[[int, int], None] | None = None) -> list[OfflineSequence]:
    """Sequences of a domain's simulator: those that `fieldgraph generate` makes of the same request."""
    from resolvers.services.generated import made

    ingest = f"fieldgraph generate --domain {request.domain} --sequences {request.sequences} --seed {request.seed}"
    ingest += "".join(f" --set {name}={_listed(value)}" for name, value in sorted(request.settings.items()))
    found = []
    for number, (sequence, (series, _)) in enumerate(zip(plan(request), made(request), strict=True), start=1):
        found.append(_sequence(sequence, "Simulated", (series,), ingest))
        if progress is not None:
            progress(number, request.sequences)
    return found


def is_atlas(path: Path, domain: str) -> bool:
    """Whether a path is a folder atlas with this domain, and not a Zarr store, which is a folder as well."""
    return path.is_dir() and (path / registered_domain(domain).name).is_dir()


def _of_file(request: IngestRequest) -> OfflineSequence:
    prepared = prepare(request)
    label: Origin = "Simulated" if prepared.simulated else "Observed"
    return _sequence(sequence_of(prepared), label, prepared.parts, _command(request))


def _of_atlas(found: AtlasSequence) -> OfflineSequence:
    metadata = [found.metadata(position) for position in range(len(found.steps))]
    head = metadata[0]
    energy = np.empty((len(metadata), *head.shape, 1), np.float32)
    found.read(0, energy)
    parts = tuple(
        as_series(energy[start:stop], metadata[start:stop]) for start, stop in stretches([one.step for one in metadata])
    )
    sequence = NewSequence(
        domain=head.domain,
        source=head.sequence,
        recipe={"atlas": "folder"},
        height=head.shape[0],
        width=head.shape[1],
        dt=parts[0].dt,
        generator=GENERATOR,
        rng_seed=head.seed,
    )
    ingest = f"EnergyAtlasLoader(folder, {head.domain!r}, graph=GraphAtlas(Settings())) and save {head.sequence} there"
    return _sequence(sequence, "Observed" if head.source == "real" else "Simulated", parts, ingest)


def _sequence(sequence: NewSequence, origin: Origin, parts: Sequence[Series], ingest: str) -> OfflineSequence:
    """Frames numbered from the sequence's first, as a graph numbers those of a first ingest."""
    steps = [first_step(part) for part in parts]
    numbered = tuple(
        replace(part, first=step - steps[0], uid=sequence.uid) for part, step in zip(parts, steps, strict=True)
    )
    return OfflineSequence(sequence=sequence, origin=origin, parts=numbered, anchor=steps[0], ingest=ingest)


def _frames(series: Series) -> list[tuple[int, str, str | None]]:
    hashed = frame_digests(series)
    contexts = hashed.stacked or (None,) * len(series)
    return [
        (series.first + k, energy, context)
        for k, (energy, context) in enumerate(zip(hashed.energy, contexts, strict=True))
    ]


def _command(request: IngestRequest) -> str:
    """The `fieldgraph ingest` that reads the same out of the same file."""
    fits: dict[Fit, str] = {"crop": "--crop", "regrid": "--regrid"}
    words = ["fieldgraph", "ingest", request.path.name, "--domain", request.domain]
    for option, value in (
        ("--variable", request.variable),
        ("--source", None if request.source in (None, request.path.stem) else request.source),
        ("--units", request.units),
        ("--dt", request.dt),
        ("--trajectory", request.trajectory),
    ):
        if value is not None:
            words += [option, str(value)]
    return shlex.join([*words, *([] if request.fit is None else [fits[request.fit]])])


def _listed(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def same_kind(sequences: Sequence[OfflineSequence]) -> None:
    """Refuse sequences of several grids or steps, and observed beside simulated ones, as a training in a graph does."""
    if not sequences:
        raise FieldError("NO_DATA", "expected data to train on, got none.", next_step="Name files by --data.")
    head = sequences[0].sequence
    for one in sequences:
        other = one.sequence
        if (other.domain, other.height, other.width, other.dt) != (head.domain, head.height, head.width, head.dt):
            raise FieldError(
                "SEQUENCES_DIFFER",
                f"expected {head.domain} of {head.height}×{head.width} with dt {head.dt:g} as in {head.source}, got "
                f"{other.domain} of {other.height}×{other.width} with dt {other.dt:g} in {other.source}.",
                next_step="Name the data that belong together.",
            )
    if len({one.origin for one in sequences}) > 1:
        raise FieldError(
            "MIXED_ORIGINS",
            "expected observed or simulated sequences, got both.",
            next_step="Train on the ones or on the others.",
        )
    if len({one.uid for one in sequences}) < len(sequences):
        raise FieldError(
            "SEQUENCE_TWICE",
            "expected each sequence once, got one of the same source twice.",
            next_step="Name each file once; two files of one name are told apart by their folder in a graph only.",
        )
