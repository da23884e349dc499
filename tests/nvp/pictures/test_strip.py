"""The film strip: what is in it, and that every field keeps its shape."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nvp.errors import FieldError
from nvp.pictures.film import comparison, film
from nvp.pictures.strip import MOST, film_strip, spread
from tests.nvp.pictures.series import OPEN


def pictures(made: Figure) -> list[Axes]:
    """Axes with an image that are no colour bar."""
    return [axes for axes in made.axes if axes.images]


def noise(frames: int, height: int = 16, width: int = 16) -> np.ndarray:
    return np.random.default_rng(0).uniform(1, 2, (frames, height, width))


def test_every_frame_is_there_under_its_time() -> None:
    field = noise(9)
    stamps = [f"t = {k}" for k in range(9)]
    made = film_strip([film("E", field)], stamps, title="Title")
    shown = pictures(made)
    assert [axes.get_title() for axes in shown] == stamps
    for frame, axes in zip(field, shown, strict=True):
        np.testing.assert_array_equal(np.asarray(axes.images[0].get_array()), frame)
    (bar,) = (axes for axes in made.axes if not axes.images)
    assert bar.get_ylabel() == "E"
    said = [text.get_text() for text in made.texts]
    assert "Title" in said
    assert "16 × 16 cells; x to the right, y down" in said


@pytest.mark.parametrize("shape", [(64, 64), (128, 384), (384, 128), (16, 16)])
def test_cells_are_squares_at_any_shape_and_nothing_overlaps(shape: tuple[int, int]) -> None:
    field = noise(7, *shape)
    made = film_strip([film("E", field), film("u", field)], ["t"] * 7, title="")
    across, up = made.get_size_inches()
    boxes = []
    for axes in made.axes:
        box = axes.get_position()
        assert 0 <= box.x0 < box.x1 <= 1
        assert 0 <= box.y0 < box.y1 <= 1
        boxes.append(box)
        if axes.images:
            assert (box.width * across) / (box.height * up) == pytest.approx(shape[1] / shape[0])
    for i, one in enumerate(boxes):
        for other in boxes[i + 1 :]:
            apart = one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 or other.y1 <= one.y0
            assert apart
    assert 4 < across < 15


def test_truth_prediction_and_error_are_rows_with_notes() -> None:
    films = comparison(noise(3), noise(3) + 0.1, OPEN)
    made = film_strip(films, ["a", "b", "c"], title="", notes=["one", "two", "three"])
    shown = pictures(made)
    assert len(shown) == 9
    assert [axes.get_ylabel() for axes in shown[::3]] == ["truth", "prediction", "error"]
    assert [axes.get_xlabel() for axes in shown[-3:]] == ["one", "two", "three"]
    bars = [axes for axes in made.axes if not axes.images]
    assert [bar.get_ylabel() for bar in bars] == ["E (J)"] * 3


def test_a_default_strip_goes_from_the_first_frame_to_the_last() -> None:
    for shape, least in (((64, 64), 6), ((128, 384), 6), ((384, 128), 8)):
        chosen = spread(100, shape)
        assert (chosen[0], chosen[-1]) == (0, 99)
        assert least <= len(chosen) <= MOST
        np.testing.assert_array_equal(spread(3, shape), [0, 1, 2])


def test_more_frames_than_can_be_seen_are_refused() -> None:
    with pytest.raises(FieldError, match="--every"):
        film_strip([film("E", noise(MOST + 1))], ["t"] * (MOST + 1), title="")
