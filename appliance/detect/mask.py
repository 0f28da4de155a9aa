"""From where the detector sees text to the cells of the picture that are removed: rounding outwards only, in whole numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from appliance.detect.scale import EIGHTHS, STRIDE, Scale, View
from appliance.types import Cells, Mask, Pixels, grid


def map_shape(reduced: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of the score map over a reduced picture."""
    return -(-reduced[0] // STRIDE), -(-reduced[1] // STRIDE)


def from_hot(hot: Cells, scale: Scale, size: tuple[int, int], cell: tuple[int, int]) -> Mask:
    """The mask of every cell that a hot element of the score map touches, and of no other.

    hot : (ceil(h / 4), ceil(w / 4)) bool over the whole reduced picture of (h, w) detector pixels
    size : (height, width) of the picture; cell : (height, width) of its cells, picture pixels
    """
    expected = map_shape(scale.reduced(size))
    if hot.shape != expected:
        raise ValueError(f"the map has {hot.shape} elements, a picture of {size} px at {scale.num}/8 has {expected}")
    rows, columns = grid(size, cell)
    top, bottom = _touching(rows, cell[0], scale.num, hot.shape[0])
    left, right = _touching(columns, cell[1], scale.num, hot.shape[1])
    total = np.zeros((hot.shape[0] + 1, hot.shape[1] + 1), np.int64)  # an integral image: the sum over any window in four looks
    total[1:, 1:] = hot.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
    inside = total[np.ix_(bottom, right)] - total[np.ix_(top, right)] - total[np.ix_(bottom, left)] + total[np.ix_(top, left)]
    return Mask(inside > 0, cell, size)


def _touching(cells: int, side: int, num: int, limit: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each cell the first map element it overlaps and the one after the last; an element is STRIDE * 8 / num picture pixels."""
    edges = np.arange(cells + 1, dtype=np.int64) * side * num
    first = edges[:-1] // (EIGHTHS * STRIDE)
    after = -(-edges[1:] // (EIGHTHS * STRIDE))
    return np.minimum(first, limit), np.minimum(after, limit)


def darken(pixels: Pixels, mask: Mask, scale: Scale) -> None:
    """Make the mask's cells black in the reduced picture.

    pixels : (h, w, 3) uint8, the mask's picture at this scale, at which its cells have whole pixels
    Raises ValueError where they have not.
    """
    height, width = (side * scale.num // EIGHTHS for side in mask.cell)
    if (height * EIGHTHS, width * EIGHTHS) != (mask.cell[0] * scale.num, mask.cell[1] * scale.num):
        raise ValueError(f"cells of {mask.cell} px are no whole pixels at {scale.num}/8")
    for row, column in np.argwhere(mask.cells).tolist():
        pixels[row * height : (row + 1) * height, column * width : (column + 1) * width] = 0


def stitch(parts: Sequence[tuple[View, Cells]], reduced: tuple[int, int]) -> Cells:
    """One map over the reduced picture: hot where any tile says so.

    parts : each view with its map, (ceil(height / 4), ceil(width / 4)) bool or larger (what lies beyond the view is ignored)
    """
    whole = np.zeros(map_shape(reduced), np.bool_)
    for view, hot in parts:
        rows, columns = map_shape((view.height, view.width))
        top, left = view.top // STRIDE, view.left // STRIDE
        whole[top : top + rows, left : left + columns] |= hot[:rows, :columns]
    return whole
