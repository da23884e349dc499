"""Plotting: from a sequence, a file or a prediction to pictures on disk.

What is shown is read first (`from_sequence`, `from_file`, `from_prediction`), then drawn (`draw`), so that a file needs
no graph and a drawing needs no file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from graph.errors import GraphError
from graph.queries import prediction, timeline
from nvp.atlas.checks import check_values
from nvp.atlas.formats.importers import Wanted, read_file
from nvp.atlas.series import Series
from nvp.dynamics.domain import DOMAINS, DomainSpec, domain
from nvp.errors import FieldError
from nvp.pictures import animation, budget, entropy, files, film, spectrum, strip
from nvp.pictures.film import Film
from nvp.pictures.times import stamp, times
from resolvers.services.context import Services
from resolvers.services.loading import load_stretches

What = Literal["film", "spectrum", "budget", "entropy"]
WHAT: tuple[What, ...] = ("film", "spectrum", "budget", "entropy")
# of the frames that are read at once: 2 GiB
MOST_CELLS = 1 << 29


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Which frames: t_index from `first` to `last`, each `every`-th; None for what suits the picture."""

    first: int | None = None
    last: int | None = None
    every: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is to be drawn."""

    title: str
    # beginning of the picture's file name
    name: str
    spec: DomainSpec
    films: tuple[Film, ...]
    # time of each frame of the films, and what stands below it
    times: np.ndarray
    notes: tuple[str, ...] = ()
    # the whole evolution, where there is more to say of it than a film
    series: Series | None = None
    # frames that a film strip takes, by position; None for as many as fit
    chosen: tuple[int, ...] | None = None
    # anything that the reader should know
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture on disk."""

    what: str
    path: str
    # frames that are in it
    frames: int


async def from_sequence(services: Services, uid: str, frames: Frames, *, context: Sequence[str] = ()) -> Shown:
    """A sequence of the graph."""
    row = await timeline.sequence(services.gateway, uid)
    first = row.first if frames.first is None else max(frames.first, row.first)
    last = row.last if frames.last is None else min(frames.last, row.last)
    _fits(last - first + 1, row.height * row.width)
    stretches = await load_stretches(services, uid, first, last)
    if not stretches:
        raise GraphError(
            "NO_FRAME",
            f"expected t_index from {row.first} to {row.last} in {uid}, got {frames.first} … {frames.last}.",
            next_step="Leave --first and --last out for all of them.",
        )
    spec = domain(row.domain)
    return _shown(
        stretches, spec, frames, title=f"{spec.title} · {row.source}", name=f"{row.domain}-{uid[:8]}", context=context
    )


def from_file(
    path: Path, frames: Frames, *, wanted: Wanted | None = None, name: str | None = None, context: Sequence[str] = ()
) -> Shown:
    """A file that `fieldgraph ingest` would take; t_index counts its frames from 0.

    `name` is that of a domain: of the one that the file declares, where it is left out.
    """
    wanted = wanted or Wanted()
    spec = None if name is None else domain(name)
    field = read_file(path, wanted=wanted, default_dt=1.0 if spec is None else spec.dt)
    # what the file does not hand over by itself is asked for
    if lacking := tuple(each for each in context if each not in field.context):
        field = read_file(path, wanted=replace(wanted, context=lacking), default_dt=field.time.dt)
    if spec is None and field.domain in DOMAINS:
        spec = domain(str(field.domain))
    if spec is None:
        signed = field.values.shape[-1] > 1 or bool(np.nanmin(field.values, initial=0.0) < 0)
        spec = _unknown(path.name, field.units, signed=signed)
    check_values(field, spec)
    parts = field.series(domain=spec.name)
    stretches = [cut for part in parts if (cut := _cut(part, frames, origin=parts[0].first)) is not None]
    if not stretches:
        raise FieldError(
            "NO_FRAME",
            f"expected frames of {path.name} from 0 to {len(field.values) - 1}, got {frames.first} … {frames.last}.",
            next_step="Leave --first and --last out for all of them.",
        )
    label = field.variable if spec.name == path.name else ""
    context = [each.rpartition("/")[2] for each in context]
    return _shown(stretches, spec, frames, title=path.name, name=path.stem, label=label, context=context)


async def from_prediction(services: Services, uid: str, frames: Frames) -> Shown:
    """A prediction beside the truth, where that is known, by lead."""
    row = await prediction.prediction(services.gateway, uid)
    states = [state for state in row.states if state.member is None]
    known = [state for state in states if state.truth is not None]
    shown = [
        state
        for state in known or states
        if (frames.first or 1) <= state.lead <= (row.steps if frames.last is None else frames.last)
    ]
    if not shown:
        raise GraphError(
            "NO_FRAME",
            f"expected leads of {uid} from 1 to {row.steps}, got {frames.first} … {frames.last}.",
            next_step="Leave --first and --last out for all of them.",
        )
    start = await timeline.snapshot(services.gateway, row.start)
    _fits(len(shown), start.height * start.width)
    spec = domain(row.domain)
    read = services.store.read_array
    predicted = np.stack([read(state.uri)[..., 0] for state in shown])
    films: tuple[Film, ...] = (film.film("prediction", predicted, quantity=film.quantity(spec)),)
    if known:
        uris = [(await timeline.snapshot(services.gateway, str(state.truth))).uri for state in shown]
        films = film.comparison(np.stack([read(uri)[..., 0] for uri in uris]), predicted, spec)
    fidelity = [state.scores.get("fidelity") for state in shown]
    calendar = all(state.valid_time is not None for state in shown)
    return Shown(
        title=f"{spec.title} · predicted from {_of(start.valid_time, start.t)}",
        name=f"prediction-{uid[:8]}",
        spec=spec,
        films=films,
        times=np.array(
            [np.datetime64(state.valid_time.replace(tzinfo=None), "ms") for state in shown if state.valid_time]
            if calendar
            else [state.t for state in shown]
        ),
        notes=tuple(
            f"lead {state.lead}" if score is None else f"lead {state.lead} · fidelity {score:.3f}"
            for state, score in zip(shown, fidelity, strict=True)
        ),
        chosen=_chosen(len(shown), frames.every),
        said=_unknown_leads(len(known), len(states)),
    )


def draw(
    shown: Shown, what: Sequence[What], out: Path | None, *, fps: float, progress: Callable[[int, int], None]
) -> list[Picture]:
    """Draw each of `what` to a file: `out`, or with several of them `out`'s name with theirs."""
    out = Path(f"{shown.name}.png" if len(what) > 1 else f"{shown.name}-{what[0]}.png") if out is None else out
    made = []
    for one in what:
        path = out.with_stem(f"{out.stem}-{one}") if len(what) > 1 else out
        if path.suffix == ".png":
            frames = _draw_png(shown, one, path)
        else:
            frames = _draw_moving(shown, path, fps=fps, progress=progress)
        made.append(Picture(what=one, path=str(path), frames=frames))
    return made


def suited(shown: Shown, what: Sequence[What]) -> Sequence[What]:
    """Of several kinds those that there is something to say of; one kind alone is drawn or refused by itself."""
    if len(what) == 1:
        return what
    if shown.series is None:
        return ("film",)
    return [one for one in what if not shown.spec.signed or one in ("film", "spectrum")]


def check_output(out: Path | None, what: Sequence[What]) -> None:
    """Raise `FieldError` where no picture can come of it, before anything is read."""
    if out is None:
        return
    if out.suffix not in files.SUFFIXES:
        raise FieldError(
            "BAD_OPTIONS",
            f"expected a picture that ends in {', '.join(files.SUFFIXES)}, got {out.name!r}.",
            next_step="Name it so.",
        )
    if out.suffix != ".png" and tuple(what) != ("film",):
        raise FieldError(
            "BAD_OPTIONS", f"expected a .png of {', '.join(what)}, got {out.name!r}.", next_step="Only films move."
        )
    if not out.parent.is_dir():
        raise FieldError("BAD_OPTIONS", f"expected a folder at {out.parent}, found none.", next_step="Make it first.")
    if out.suffix == ".mp4":
        animation.require_video()


def _shown(
    stretches: Sequence[Series],
    spec: DomainSpec,
    frames: Frames,
    *,
    title: str,
    name: str,
    context: Sequence[str],
    label: str = "",
) -> Shown:
    """The longest stretch without gaps, as films."""
    series = max(stretches, key=len)
    total = sum(map(len, stretches))
    _fits(len(series), series.energy.shape[1] * series.energy.shape[2])
    return Shown(
        title=title,
        name=name,
        spec=spec,
        films=(film.energy_film(series, spec, label=label), *(film.context_film(series, each) for each in context)),
        times=times(series),
        series=series,
        chosen=_chosen(len(series), frames.every),
        said=() if len(series) == total else (f"Frames are missing: the longest of {len(stretches)} parts is drawn.",),
    )


def _draw_png(shown: Shown, what: What, path: Path) -> int:
    stamps = [stamp(time) for time in shown.times]
    series = shown.series
    if what == "film":
        shape = shown.films[0].frames.shape
        chosen = strip.spread(shape[0], shape[1:]).tolist() if shown.chosen is None else list(shown.chosen)
        made = strip.film_strip(
            [film.part(chosen) for film in shown.films],
            [stamps[i] for i in chosen],
            title=shown.title,
            notes=[shown.notes[i] for i in chosen] if shown.notes else (),
        )
        frames = len(chosen)
    else:
        if series is None:
            raise FieldError("BAD_OPTIONS", f"expected a sequence to draw the {what} of.", next_step="Draw its film.")
        frames = len(series)
        if what == "spectrum":
            chosen = list(range(frames) if shown.chosen is None else shown.chosen)
            made = spectrum.spectrum_figure(
                series.energy[chosen, ..., 0], [stamps[i] for i in chosen], shown.spec, title=shown.title
            )
            frames = min(len(chosen), spectrum.MOST)
        elif what == "budget":
            made = budget.budget_figure(budget.energy_budget(series, shown.spec), shown.times, title=shown.title)
        else:
            made = entropy.entropy_figure(series, shown.times, shown.spec, title=shown.title)
    files.write_figure(path, made)
    return frames


def _draw_moving(shown: Shown, path: Path, *, fps: float, progress: Callable[[int, int], None]) -> int:
    chosen = list(range(len(shown.times)) if shown.chosen is None else shown.chosen)
    films = [film.part(chosen) for film in shown.films]
    stamps = [stamp(shown.times[i]) + (f" · {shown.notes[i]}" if shown.notes else "") for i in chosen]
    write = animation.write_gif if path.suffix == ".gif" else animation.write_mp4
    pixels = animation.frames(films, stamps, title=shown.title)
    files.place(path, lambda temporary: write(temporary, pixels, films, fps=fps, progress=progress))
    return len(chosen)


def _chosen(length: int, every: int | None) -> tuple[int, ...] | None:
    return None if every is None else tuple(range(0, length, every))


def _cut(part: Series, frames: Frames, *, origin: int) -> Series | None:
    """Frames first … last of a part of a file whose first frame has the absolute step `origin`."""
    before = part.first - origin
    start = max(0, (frames.first or 0) - before)
    stop = len(part) if frames.last is None else min(len(part), frames.last + 1 - before)
    return part.part(start, stop) if start < stop else None


def _fits(frames: int, cells: int) -> None:
    if frames * cells > MOST_CELLS:
        raise FieldError(
            "TOO_MANY_FRAMES",
            f"expected at most {MOST_CELLS // cells} frames of this size, got {frames}.",
            next_step="Draw a part by --first and --last.",
        )


def _unknown(name: str, units: str, *, signed: bool) -> DomainSpec:
    """What can be said of a field of which only the file is known."""
    return DomainSpec(
        name=name,
        title=name,
        closed=False,
        second_law=False,
        boundary_x="open",
        boundary_y="open",
        units=units,
        dx=1.0,
        dy=1.0,
        dt=1.0,
        signed=signed,
    )


def _unknown_leads(known: int, states: int) -> tuple[str, ...]:
    if known == 0:
        return ("The truth is not known yet: the prediction is drawn alone.",)
    return (f"The truth is known of {known} of {states} leads: these are drawn.",) if known < states else ()


def _of(valid_time: object, t: float) -> str:
    return f"{valid_time:%Y-%m-%d %H:%M}" if valid_time is not None else f"t = {t:g}"
