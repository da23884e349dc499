"""Films that move: frame after frame as pixels, then as GIF (pillow) or MP4 (H.264 by imageio-ffmpeg, an extra).

Frames are drawn one by one while they are written, so that memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from nvp.errors import FieldError
from nvp.pictures.film import Film
from nvp.pictures.place import placed
from nvp.pictures.strip import colour_bar, paint
from nvp.pictures.style import TEXT, figure, titled

Pixels = UInt8[np.ndarray, "h w 3"]
Progress = Callable[[int, int], None]

DPI = 100
# grays of a GIF, for the writing and its smooth edges
_GRAYS = 24


def frames(films: Sequence[Film], stamps: Sequence[str], *, title: str) -> Iterator[Pixels]:
    """All frames of the films, which stand beside each other (below each other where they are wide), with their time.

    Height and width in pixels are even, as video wants them.
    """
    height, width = films[0].frames.shape[1:]
    stacked = width > 1.5 * height
    # inches; a picture has about the area of a square of 3.4
    wide = 3.4 * (width / height) ** 0.5
    high = wide * height / width
    rows, columns = (len(films), 1) if stacked else (1, len(films))
    left, right, top, bottom, between = 0.25, 1.0, 0.75, 0.2, 0.3
    made = figure(_even(left + columns * (wide + right)), _even(top + bottom + rows * high + (rows - 1) * between))
    made.set_dpi(DPI)
    titled(made, title)
    images = []
    for number, film in enumerate(films):
        row, column = (number, 0) if stacked else (0, number)
        across = left + column * (wide + right)
        base = bottom + (rows - 1 - row) * (high + between)
        axes = placed(made, across, base, wide, high)
        images.append(paint(axes, film, 0))
        colour_bar(made, images[-1], placed(made, across + wide + 0.07, base, 0.12, high), film)
    time = made.text(left / made.get_figwidth(), 1 - 0.52 / made.get_figheight(), "", fontsize=TEXT, va="center")
    assert isinstance(made.canvas, FigureCanvasAgg)
    for frame, said in enumerate(stamps):
        time.set_text(said)
        for image, film in zip(images, films, strict=True):
            image.set_data(film.frames[frame])
        made.canvas.draw()  # type: ignore[no-untyped-call]
        yield np.array(made.canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]


def write_gif(path: Path, pixels: Iterator[Pixels], films: Sequence[Film], *, fps: float, progress: Progress) -> None:
    """Write frames of these films as an endless GIF.

    Its 256 colours are those of the films and grays for the writing, in all frames the same, so that nothing flickers.
    """
    length = len(films[0].frames)
    palette = _palette({film.colours for film in films})

    def quantized() -> Iterator[Image.Image]:
        for number, one in enumerate(pixels):
            progress(number + 1, length)
            yield Image.fromarray(one).quantize(palette=palette, dither=Image.Dither.NONE)

    images = quantized()
    next(images).save(
        path, format="GIF", save_all=True, append_images=images, duration=round(1000 / fps), loop=0, optimize=False
    )


def write_mp4(path: Path, pixels: Iterator[Pixels], films: Sequence[Film], *, fps: float, progress: Progress) -> None:
    """Write frames of these films as H.264 that every player shows; raises `FieldError` without imageio-ffmpeg."""
    length = len(films[0].frames)
    ffmpeg = _ffmpeg()
    writer: Any = None
    try:
        for number, one in enumerate(pixels):
            if writer is None:
                size = (one.shape[1], one.shape[0])
                writer = ffmpeg.write_frames(
                    str(path), size, fps=fps, codec="libx264", quality=8, macro_block_size=2, ffmpeg_log_level="error"
                )
                writer.send(None)
            writer.send(np.ascontiguousarray(one))
            progress(number + 1, length)
    except OSError as error:
        raise FieldError(
            "PICTURE_UNWRITABLE",
            f"cannot write {path.name}: {' '.join(str(error).split())}.",
            next_step="Write a .gif.",
        ) from error
    finally:
        if writer is not None:
            writer.close()


def require_video() -> None:
    """Raises `FieldError` where MP4 cannot be written."""
    _ffmpeg()


def _ffmpeg() -> Any:
    try:
        return import_module("imageio_ffmpeg")
    except ImportError:
        raise FieldError(
            "NO_VIDEO",
            "expected imageio-ffmpeg to write MP4, which is not installed.",
            next_step="Run `pip install 'fieldgraph[video]'`, or write a .gif.",
        ) from None


def _even(inches: float) -> float:
    """Rounded up to an even number of pixels."""
    return 2 * int(np.ceil(inches * DPI / 2 - 1e-6)) / DPI


def _palette(names: set[str]) -> Image.Image:
    """An image whose palette holds evenly spaced colours of these colour maps, and grays."""
    each = (256 - _GRAYS) // len(names)
    tables = [colormaps[name](np.linspace(0, 1, each), bytes=True)[:, :3] for name in sorted(names)]
    grays = np.repeat(np.linspace(0, 255, _GRAYS).astype(np.uint8)[:, None], 3, axis=1)
    image = Image.new("P", (1, 1))
    image.putpalette(np.concatenate([*tables, grays]).astype(np.uint8).tobytes())
    return image
