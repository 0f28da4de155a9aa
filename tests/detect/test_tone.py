"""The rendering of the later looks."""

from __future__ import annotations

import numpy as np

from appliance.detect.tone import FLOOR, curve, stretch


def test_highlights_gain_contrast_and_nothing_is_lost() -> None:
    values = curve().astype(int)
    assert (np.diff(values) >= 0).all() and values[0] == 0 and values[255] == 252
    assert (np.diff(values[FLOOR:]) >= 3).all()
    for gap in (20, 60, 120):  # what stood out on the dark by so much still does, by a quarter
        assert (values[gap:FLOOR] - values[: FLOOR - gap] >= gap // 4 - 1).all()


def test_every_byte_of_a_picture_follows_the_curve_in_place() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (37, 41, 3), np.uint8)
    before = picture.copy()
    part = picture[3:30, 5:40]  # a slot's corner is such a part
    stretch(part)
    assert np.array_equal(part, curve()[before[3:30, 5:40]])
    part[...] = before[3:30, 5:40]
    assert np.array_equal(picture, before)
