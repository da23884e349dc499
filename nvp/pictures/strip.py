"""The film strip: frames side by side, later ones to the right and below, under one scale of colours.

With several films (truth, prediction and error; energy and a context field) each is a row of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from nvp.errors import FieldError
from nvp.pictures.film import Film
from nvp.pictures.place import placed
from nvp.pictures.style import GRAY, SMALL, TEXT, figure, titled

# pictures in one strip at most
MOST = 48
# pictures side by side that are too few to show an evolution
_FEW = 4
# inches: area of one picture, width of all of them, and the room around and between them
_AREA, _WIDE = 3.6, 12.2
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.4, 1.0, 0.38, 0.5
_BETWEEN, _STAMP, _BLOCKS, _BAR = 0.08, 0.24, 0.12, 0.12


def spread(length: int, shape: tuple[int, int]) -> Int[np.ndarray, "n"]:
    """Positions of the frames of a strip, evenly spaced from the first to the last: one row, two of wide fields."""
    columns = _columns(shape)[1]
    wanted = columns if columns >= _FEW else 2 * columns
    return np.unique(np.linspace(0, length - 1, min(length, wanted)).round().astype(np.int64))


def film_strip(films: Sequence[Film], stamps: Sequence[str], *, title: str, notes: Sequence[str] = ()) -> Figure:
    """Draw all frames of the films; `stamps` says when each frame was, `notes` stands below each of them.

    Raises `FieldError` for more frames than anyone can see at once.
    """
    frames = len(stamps)
    if not 1 <= frames <= MOST:
        raise FieldError(
            "TOO_MANY_FRAMES",
            f"expected 1 … {MOST} frames in a film strip, got {frames}.",
            next_step="Take fewer by --first, --last and --every, or write a .gif.",
        )
    height, width = films[0].frames.shape[1:]
    (wide, high), columns = _columns((height, width))
    columns = min(columns, frames)
    blocks = ceil(frames / columns)
    tall = _STAMP + len(films) * (high + _BETWEEN) + (_STAMP if notes else _BLOCKS)
    made = figure(
        max(_LEFT + columns * (wide + _BETWEEN) + _RIGHT, 6.0), _TOP + blocks * tall + _BOTTOM - _BLOCKS - _BETWEEN
    )
    titled(made, title)
    grid = f"{height} × {width} cells; x to the right, y down"
    made.text(_LEFT / made.get_figwidth(), 0.14 / made.get_figheight(), grid, fontsize=SMALL, color=GRAY)

    for block in range(blocks):
        top = made.get_figheight() - _TOP - block * tall - _STAMP
        for row, film in enumerate(films):
            base = top - row * (high + _BETWEEN) - high
            for column, frame in enumerate(range(block * columns, min((block + 1) * columns, frames))):
                axes = placed(made, _LEFT + column * (wide + _BETWEEN), base, wide, high)
                image = paint(axes, film, frame)
                if row == 0:
                    axes.set_title(stamps[frame], fontsize=SMALL, pad=3)
                if notes and row == len(films) - 1:
                    axes.set_xlabel(notes[frame], fontsize=SMALL, labelpad=3)
                if column == 0 and len(films) > 1:
                    axes.set_ylabel(film.label, fontsize=TEXT)
            if len(films) > 1 or block == 0:
                # one scale per film; a single film has one for all its blocks
                below = base if len(films) > 1 else base - (blocks - 1) * tall
                bar = placed(made, _LEFT + columns * (wide + _BETWEEN) + 0.05, below, _BAR, base + high - below)
                colour_bar(made, image, bar, film)
    return made


def paint(axes: Axes, film: Film, frame: int) -> AxesImage:
    """One frame in its film's colours, without ticks."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)
    return axes.imshow(film.frames[frame], cmap=film.colours, vmin=film.low, vmax=film.high, origin="upper")


def colour_bar(made: Figure, image: AxesImage, axes: Axes, film: Film) -> None:
    """The scale of a film's colours, with its name."""
    bar = made.colorbar(image, cax=axes, extend=film.extend)
    bar.set_label(film.quantity, fontsize=TEXT)
    bar.ax.tick_params(labelsize=SMALL, width=0.6, length=2)
    bar.outline.set_linewidth(0.6)


def _columns(shape: tuple[int, int]) -> tuple[tuple[float, float], int]:
    """Width and height of one picture in inches, and how many stand side by side."""
    aspect = shape[1] / shape[0]
    wide = sqrt(_AREA * aspect)
    return (wide, wide / aspect), max(1, int((_WIDE + _BETWEEN) / (wide + _BETWEEN)))
