"""The log of energy vectors: one JSON line per predicted field whose truth is known, to learn from later.

A line says what was predicted and what came (means, errors, normalised entropies), where it belongs (domain, regime of
the truth) and who said it (model, version, checkpoint, agent). Its three fidelities have keys of their own, for they
mean different things (see `nvp.thermo.scores`):

    fidelity                 1 − ‖P − T‖/‖T − O‖   of the change; persistence scores 0; null without O or change
    total_energy_fidelity    1 − |ΣT − ΣP|/|ΣT|    of the total; blind to where the energy is
    field_fidelity           1 − ‖P − T‖/‖T‖       of the field; near 1 for persistence on slow fields

Many processes append to one file: each line is a single write to a file opened for appending, under a lock that also
guards the rotation. Nothing that JSON has no number for is ever written. Reading and adding up need memory for one line
and for one sum per group, whatever the length of the log.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock
from jaxtyping import Float

from nvp.atlas.statistics import frame_statistics
from nvp.dynamics.domain import domain as registered
from nvp.errors import FieldError
from nvp.thermo.scores import field_fidelity, finite, pair_errors, total_energy_fidelity

# below FIELDGRAPH_HOME
PLACE = Path("logs") / "vectors.jsonl"
MAX_BYTES = 64 * 2**20
# between two tries of a process that finds the lock taken
_POLL_SECONDS = 0.002
# lines between two reports of progress
_TOLD_EVERY = 4096

By = Literal["domain", "regime"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line; null where a value does not apply or was not said."""

    # when it was predicted, or what time it is about: ISO 8601, UTC
    timestamp: str
    domain: str
    # of the truth, see `nvp.atlas.regime`
    regime: str
    # per cell, units of the field
    predicted_mean: float
    observed_mean: float
    rmse: float
    # of predicting no change
    persistence_rmse: float | None = None
    # the three fidelities
    fidelity: float | None = None
    total_energy_fidelity: float | None = None
    field_fidelity: float | None = None
    # spatial entropy of E/ΣE in nats, and as a share of ln N; null where the field is signed
    entropy_pred: float | None = None
    entropy_obs: float | None = None
    entropy_share_pred: float | None = None
    entropy_share_obs: float | None = None
    # who said it: architecture or name, version of the code, sha256 of the parameters; and uid of the run that asked
    model: str | None = None
    version: str | None = None
    checkpoint: str | None = None
    agent: str | None = None
    # t_index of the truth, and how many steps ahead it was said
    step: int | None = None
    lead: int | None = None
    # in the graph: uid of the Prediction and of the true EnergySnapshot
    prediction: str | None = None
    snapshot: str | None = None


@dataclass(slots=True)
class Sums:
    """What a group of entries adds up to."""

    n: int = 0
    # entries that have a fidelity, its sum, and the sums of squares of their errors and changes
    moving: int = 0
    fidelity: float = 0.0
    error: float = 0.0
    change: float = 0.0
    # over all entries
    square: float = 0.0
    # sum of squares of persistence, and of how many it is known
    still: list[float] = field(default_factory=lambda: [0.0, 0.0])
    totals: list[float] = field(default_factory=lambda: [0.0, 0.0])
    of_field: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def add(self, entry: Entry) -> None:
        """Count one more."""
        self.n += 1
        self.square += entry.rmse**2
        if entry.fidelity is not None and entry.persistence_rmse is not None:
            self.moving += 1
            self.fidelity += entry.fidelity
            self.error += entry.rmse**2
            self.change += entry.persistence_rmse**2
        still = None if entry.persistence_rmse is None else entry.persistence_rmse**2
        for sums, value in (
            (self.still, still),
            (self.totals, entry.total_energy_fidelity),
            (self.of_field, entry.field_fidelity),
        ):
            if value is not None:
                sums[0] += value
                sums[1] += 1

    def to_json(self) -> dict[str, Any]:
        """`fidelity` as a score object; its median would need all values, its interval the sequences."""
        pooled = 1 - math.sqrt(self.error / self.change) if self.change > 0 else None
        return {
            "n": self.n,
            "fidelity": {
                "mean": self.fidelity / self.moving if self.moving else None,
                "median": None,
                "pooled": pooled,
                "n": self.moving,
                "ci95": [None, None],
            },
            "mean_total_energy_fidelity": self.totals[0] / self.totals[1] if self.totals[1] else None,
            "mean_field_fidelity": self.of_field[0] / self.of_field[1] if self.of_field[1] else None,
            "rmse": math.sqrt(self.square / self.n) if self.n else None,
            "persistence_rmse": math.sqrt(self.still[0] / self.still[1]) if self.still[1] else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorLog:
    """A log at `path`; full parts lie beside it as `NAME.1.jsonl`, `NAME.2.jsonl`, … in order of time."""

    path: Path
    # a file that would grow beyond is put aside
    max_bytes: int = MAX_BYTES
    # full parts that are kept, the latest; None: all
    keep: int | None = None

    def append(self, entries: Sequence[Entry]) -> None:
        """Add lines, all or none of them; raises `FieldError` for a number that JSON has not."""
        lines = b"".join(_line(entry) for entry in entries)
        if not lines:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock():
            self._rotate(len(lines))
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                # a writer that was killed may have left half a line: it stays alone in it
                size = os.fstat(handle).st_size
                torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
                _write(handle, b"\n" * torn + lines)
            finally:
                os.close(handle)

    def read(
        self,
        *,
        domain: str | None = None,
        regime: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[Entry]:
        """The entries in the order in which they came, of one domain or regime where named.

        What is appended meanwhile is not read; a damaged line is told to the log of this process and passed over.
        `progress(bytes, of)` is called now and then.
        """
        done = 0
        with ExitStack() as stack:
            with self._lock() if self.path.parent.is_dir() else ExitStack():
                # opened together, so that no part is moved on while it is read
                files = [(part, stack.enter_context(part.open("rb"))) for part in self.parts()]
                ends = [os.fstat(lines.fileno()).st_size for _, lines in files]
            for (part, lines), end in zip(files, ends, strict=True):
                place = 0
                for number, line in enumerate(lines, start=1):
                    if place >= end:
                        break
                    place += len(line)
                    done += len(line)
                    if progress is not None and (number % _TOLD_EVERY == 0 or place >= end):
                        progress(done, sum(ends))
                    entry = _entry(line)
                    if entry is None:
                        _log.warning("%s:%d is no entry of a vector log; it is left out.", part, number)
                    elif domain in (None, entry.domain) and regime in (None, entry.regime):
                        yield entry

    def summary(
        self, by: Sequence[By] = ("domain", "regime"), *, domain: str | None = None, regime: str | None = None
    ) -> list[dict[str, Any]]:
        """What the entries add up to in each group; see `summary`."""
        return summary(self.read(domain=domain, regime=regime), by)

    def parts(self) -> list[Path]:
        """The files of this log, oldest first."""
        full = sorted((number, path) for path in self._siblings() if (number := self._number(path)) is not None)
        return [path for _, path in full] + ([self.path] if self.path.is_file() else [])

    def _rotate(self, more: int) -> None:
        if not self.path.is_file() or self.path.stat().st_size + more <= self.max_bytes or not self.path.stat().st_size:
            return
        full = self.parts()[:-1]
        last = self._number(full[-1]) if full else 0
        self.path.rename(self.path.with_suffix(f".{(last or 0) + 1}{self.path.suffix}"))
        if self.keep is not None:
            for part in self.parts()[: -self.keep or None]:
                part.unlink()

    def _siblings(self) -> Iterable[Path]:
        return self.path.parent.glob(f"{self.path.stem}.*{self.path.suffix}")

    def _number(self, path: Path) -> int | None:
        middle = path.name.removeprefix(f"{self.path.stem}.").removesuffix(self.path.suffix)
        return int(middle) if middle.isdecimal() else None

    def _lock(self) -> FileLock:
        return FileLock(self.path.with_suffix(".lock"), poll_interval=_POLL_SECONDS)


def summary(entries: Iterable[Entry], by: Sequence[By] = ("domain", "regime")) -> list[dict[str, Any]]:
    """What entries add up to by domain, by regime or by both, in order of these names."""
    groups: defaultdict[tuple[str, ...], Sums] = defaultdict(Sums)
    for entry in entries:
        groups[tuple(getattr(entry, name) for name in by)].add(entry)
    return [dict(zip(by, group, strict=True)) | groups[group].to_json() for group in sorted(groups)]


def default_path() -> Path:
    """Below FIELDGRAPH_HOME of the environment, or where fieldgraph keeps its files without it."""
    home = os.environ.get("FIELDGRAPH_HOME")
    return (Path(home) if home else Path.home() / ".local/share/fieldgraph").absolute() / PLACE


def log_energy_vector(
    E_pred: Any,
    E_obs: Any,
    domain: str,
    timestamp: datetime | np.datetime64 | str,
    *,
    origin: Any = None,
    path: Path | None = None,
    **who: Any,
) -> Entry:
    """Append one line about a prediction and what came; see `energy_vector`.

    Raises `FieldError` for fields that are not finite, and for all else that the log refuses.
    """
    entry = energy_vector(E_pred, E_obs, domain, timestamp, origin=origin, **who)
    VectorLog(path=path or default_path()).append([entry])
    return entry


def energy_vector(
    E_pred: Any,
    E_obs: Any,
    domain: str,
    timestamp: datetime | np.datetime64 | str,
    *,
    origin: Any = None,
    **who: Any,
) -> Entry:
    """The entry of a predicted field, its truth and, for the fidelity of the change, the field they started from.

    Fields are (H, W) or (H, W, C); `who` are the last fields of `Entry`, from `model` on.
    """
    spec = registered(domain)
    predicted, truth = _field(E_pred, "E_pred", spec.signed), _field(E_obs, "E_obs", spec.signed)
    start = None if origin is None else _field(origin, "origin", spec.signed)
    for other in (predicted, start):
        if other is not None and other.shape != truth.shape:
            raise FieldError("BAD_SHAPE", f"expected fields of shape {truth.shape[1:]}, got {other.shape[1:]}.")
    unknown = sorted(who.keys() - _WHO)
    if unknown:
        raise FieldError("BAD_ENTRY", f"expected {', '.join(sorted(_WHO))} beside the fields, got {unknown[0]!r}.")
    pair = pair_errors(predicted, truth, truth if start is None else start)
    seen, said = (frame_statistics(values, signed=spec.signed) for values in (truth, predicted))
    most = math.log(truth.size)

    def entropy(values: Float[np.ndarray, "1"] | None, scale: float = 1.0) -> float | None:
        return None if values is None else float(values[0]) / scale

    return Entry(
        timestamp=_utc(timestamp),
        domain=spec.name,
        regime=str(seen.regime[0]),
        predicted_mean=float(said.mean[0]),
        observed_mean=float(seen.mean[0]),
        rmse=math.sqrt(float(pair.error[0]) / truth.size),
        persistence_rmse=None if start is None else math.sqrt(float(pair.change[0]) / truth.size),
        fidelity=None if start is None else finite(float(pair.fidelity[0])),
        total_energy_fidelity=finite(float(total_energy_fidelity(predicted, truth)[0])),
        field_fidelity=finite(float(field_fidelity(predicted, truth)[0])),
        entropy_pred=entropy(said.entropy),
        entropy_obs=entropy(seen.entropy),
        entropy_share_pred=entropy(said.entropy, most),
        entropy_share_obs=entropy(seen.entropy, most),
        **who,
    )


_NAMES = {entry.name for entry in fields(Entry)}
_WHO = {"model", "version", "checkpoint", "agent", "step", "lead", "prediction", "snapshot"}


def _field(values: Any, name: str, signed: bool) -> Float[np.ndarray, "1 h w c"]:
    array = np.asarray(values, np.float64)
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim != 3 or array.size < 2:
        raise FieldError("BAD_SHAPE", f"expected {name} as (H, W) or (H, W, C), got shape {array.shape}.")
    if count := int((~np.isfinite(array)).sum()):
        raise FieldError(
            "NOT_FINITE",
            f"expected finite cells in {name}, got {count} others.",
            next_step="A log to learn from keeps no NaN: find where it comes from.",
        )
    if not signed and array.min() < 0:
        raise FieldError("NEGATIVE", f"expected cells >= 0 in {name}, got {array.min():.3g}.")
    return array[None]


def _utc(time: datetime | np.datetime64 | str) -> str:
    """ISO 8601 with microseconds; a time without a zone is UTC, as everywhere in the graph."""
    try:
        parsed = time if isinstance(time, datetime) else datetime.fromisoformat(str(time)[:32])
    except ValueError:
        raise FieldError("BAD_TIME", f"expected a time such as 2019-03-25T00:00Z, got {str(time)[:40]!r}.") from None
    aware = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    return aware.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _line(entry: Entry) -> bytes:
    try:
        return json.dumps(asdict(entry), allow_nan=False, separators=(",", ":")).encode() + b"\n"
    except (ValueError, TypeError) as error:
        raise FieldError("BAD_ENTRY", f"expected values that JSON has in the log, got: {error}.") from None


def _entry(line: bytes) -> Entry | None:
    try:
        said = json.loads(line)
        # a later version may say more
        return Entry(**{name: value for name, value in said.items() if name in _NAMES})
    except (ValueError, TypeError, AttributeError):
        return None


def _write(handle: int, data: bytes) -> None:
    """All of it: a disk that fills up may take a part only."""
    while data:
        data = data[os.write(handle, data) :]
