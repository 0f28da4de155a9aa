"""The counting rules on drawn pictures, and the rest of the evaluation that needs no network."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("scipy")

from engines import evaluate
from engines.scoring import Result, prepare, score

BOX = [40, 20, 80, 40]


def labelled(kind: str = "overlay"):
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[24:36, 44:76:2] = 255
    return prepare("one.png", picture, [{"box": BOX, "kind": kind}])


def mask(x0: int, y0: int, x1: int, y1: int):
    found = np.zeros((100, 200), bool)
    found[y0:y1, x0:x1] = True
    return found


def test_covered_text_is_removed():
    result = score(labelled(), mask(40, 20, 80, 40))
    assert (result.boxes, result.removed, result.clean, result.missed) == (1, 1, 1, ())
    assert result.summary()["precision"] == 1.0
    assert result.summary()["false_percent_mean"] is None


def test_four_fifths_of_the_ink_are_not_enough():
    result = score(labelled(), mask(40, 20, 69, 40))
    assert (result.removed, result.clean) == (0, 0)
    assert result.missed[0][:2] == ("one.png", (40, 20, 80, 40))


def test_other_is_neither_required_nor_punished():
    nothing, all_of_it = score(labelled("other"), mask(0, 0, 0, 0)), score(labelled("other"), mask(40, 20, 80, 40))
    assert nothing.boxes == all_of_it.boxes == 0
    assert all_of_it.summary()["false_percent_mean"] == 0


def test_removal_elsewhere_is_excess_and_bad_precision():
    result = score(labelled(), mask(120, 60, 160, 80) | mask(40, 20, 80, 40))
    assert result.summary()["precision"] == 0.5
    assert result.summary()["excess_percent"] == 4.0


def test_results_add_up():
    total = sum((score(labelled(), mask(40, 20, 80, 40)), score(labelled(), mask(0, 0, 0, 0))), Result())
    assert total.summary()["recall"] == 0.5
    assert total.summary()["pictures"] == 2


def test_map_comes_back_at_the_pictures_size():
    def look(canvas):
        assert canvas.shape == (576, 960, 3)
        return canvas[::4, ::4, 0]

    image = Image.new("RGB", (1920, 1080))
    image.paste((255, 255, 255), (960, 0, 1920, 1080))
    found = evaluate.score_map(look, image)
    assert found.shape == (1080, 1920)
    assert found[:, :950].max() == 0
    assert found[:, 970:].min() == 255
