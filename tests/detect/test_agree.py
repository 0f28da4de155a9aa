"""Masks over frames, on a grid of four cells by four."""

from __future__ import annotations

import numpy as np

from appliance.detect.agree import REACH, agree, runs
from appliance.types import Mask


def mask(*cells: int, side: int = 4) -> Mask:
    grid = np.zeros(side * side, np.bool_)
    grid[list(cells)] = True
    return Mask(grid.reshape(side, side), (8, 8), (8 * side, 8 * side))


def test_text_missed_in_one_frame_is_covered_in_it_too() -> None:
    agreed = agree([mask(1, 2), mask(1), mask(), mask(1, 2)])
    assert all(np.array_equal(each.cells, mask(1, 2).cells) for each in agreed)


def test_another_layout_is_another_run() -> None:
    masks = [mask(1, 2), mask(1, 2), mask(9, 10), mask(10)]
    assert runs(masks) == [slice(0, 2), slice(2, 4)]
    assert not agree(masks)[0].cells.ravel()[9]


def test_another_grid_is_another_run() -> None:
    assert runs([mask(1), mask(1, side=5)]) == [slice(0, 1), slice(1, 2)]


def test_text_of_one_frame_reaches_only_so_far() -> None:
    masks = [mask(5)] + [mask(5)] * 40
    masks[0] = mask(5, 6)
    agreed = [bool(each.cells.ravel()[6]) for each in agree(masks)]
    assert agreed == [True] * (REACH + 1) + [False] * (40 - REACH)


def test_nothing_agrees_on_nothing() -> None:
    assert agree([]) == [] and not agree([mask()])[0].cells.any()
