"""Pictures as files: decoded again, whole or not there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nvp.errors import FieldError
from nvp.pictures import animation, files
from nvp.pictures.film import context_film, energy_film
from nvp.pictures.style import figure, titled
from nvp.pictures.times import stamp, times
from tests.nvp.pictures.series import OPEN, series


def quiet(done: int, total: int) -> None:
    """No bar."""


def films(frames: int = 5, height: int = 16, width: int = 16) -> tuple:
    shown = series(frames=frames, height=height, width=width)
    return (energy_film(shown, OPEN), context_film(shown, "velocity")), [stamp(time) for time in times(shown)]


@pytest.mark.parametrize("shape", [(16, 16), (16, 48), (48, 16)])
def test_a_gif_has_every_frame_in_even_sizes(tmp_path: Path, shape: tuple[int, int]) -> None:
    both, stamps = films(5, *shape)
    seen: list[tuple[int, int]] = []
    animation.write_gif(
        tmp_path / "film.gif",
        animation.frames(both, stamps, title="Title"),
        both,
        fps=10.0,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(k, 5) for k in range(1, 6)]
    with Image.open(tmp_path / "film.gif") as image:
        assert image.n_frames == 5
        assert image.info["loop"] == 0
        assert image.info["duration"] == 100
        assert all(side % 2 == 0 for side in image.size)
        if shape == (16, 48):
            # two wide fields stand below each other
            assert image.height > 0.5 * image.width


def test_the_colours_of_a_gif_are_those_of_the_field(tmp_path: Path) -> None:
    both, stamps = films(1)
    (drawn,) = animation.frames(both[:1], stamps, title="")
    animation.write_gif(tmp_path / "film.gif", iter([drawn]), both[:1], fps=8.0, progress=quiet)
    with Image.open(tmp_path / "film.gif") as image:
        kept = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(kept - drawn).max(axis=-1).mean() < 2.0


def test_frames_differ_and_are_drawn_when_asked_for() -> None:
    both, stamps = films(3)
    drawn = animation.frames(both, stamps, title="")
    one, two = next(drawn), next(drawn)
    assert one.shape == two.shape
    assert (one != two).any()


def test_an_mp4_has_every_frame(tmp_path: Path) -> None:
    if find_spec("imageio_ffmpeg") is None:
        pytest.skip("imageio-ffmpeg is not installed: pip install 'fieldgraph[video]'")
    both, stamps = films(5)
    pixels = list(animation.frames(both, stamps, title=""))
    animation.write_mp4(tmp_path / "film.mp4", iter(pixels), both, fps=10.0, progress=quiet)
    import imageio_ffmpeg

    count, seconds = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "film.mp4"))
    assert count == 5
    assert seconds == pytest.approx(0.5, abs=0.1)
    reader = imageio_ffmpeg.read_frames(str(tmp_path / "film.mp4"))
    assert next(reader)["size"] == (pixels[0].shape[1], pixels[0].shape[0])
    reader.close()


def test_without_imageio_ffmpeg_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(FieldError, match=r"pip install 'fieldgraph\[video\]'"):
        animation.require_video()


@pytest.mark.parametrize(("suffix", "begins"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_a_figure_is_what_its_name_says_and_the_same_bytes_again(tmp_path: Path, suffix: str, begins: bytes) -> None:
    for name in ("one", "two"):
        made = figure(2.0, 1.0)
        titled(made, "Title")
        files.write_figure((tmp_path / name).with_suffix(suffix), made)
    first, second = ((tmp_path / name).with_suffix(suffix).read_bytes() for name in ("one", "two"))
    assert first == second
    assert first.startswith(begins)
    if suffix != ".png":
        return
    with Image.open(tmp_path / "one.png") as image:
        assert image.size == (300, 150)


def test_a_picture_that_fails_leaves_nothing_and_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "film.gif"
    path.write_bytes(b"old")
    both, stamps = films(3)

    def broken() -> Iterator[animation.Pixels]:
        yield next(animation.frames(both, stamps, title=""))
        raise OSError(28, "No space left on device")

    with pytest.raises(FieldError, match="No space left"):
        files.place(path, lambda at: animation.write_gif(at, broken(), both, fps=8.0, progress=quiet))
    assert [each.name for each in tmp_path.iterdir()] == ["film.gif"]
    assert path.read_bytes() == b"old"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="--out"):
        files.write_figure(tmp_path / "none" / "film.png", figure(1.0, 1.0))


@pytest.mark.parametrize("name", ["film.bmp", "film", "film.PNG"])
def test_a_figure_by_another_name_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(FieldError, match=r"ends in \.png, \.pdf, \.svg, got 'film"):
        files.write_figure(tmp_path / name, figure(1.0, 1.0))
    assert not list(tmp_path.iterdir())
