"""From where the detector sees text to the cells of the picture that are removed: rounding outwards only, in whole numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
    touched = _touched(hot, rows, cell[0], scale.num)
    return Mask(_touched(touched.T, columns, cell[1], scale.num).T, cell, size)


def _touched(hot: Cells, cells: int, side: int, num: int) -> Cells:
    """(n, m) bool -> (cells, m) bool: whether a cell overlaps a hot element, along the first axis.

    side : of a cell, picture pixels; an element is STRIDE * 8 / num of them
    """
    edges = np.arange(cells + 1) * side * num
    first = np.minimum(edges[:-1] // (EIGHTHS * STRIDE), len(hot))
    after = np.minimum(-(-edges[1:] // (EIGHTHS * STRIDE)), len(hot))
    total = np.zeros((len(hot) + 1, hot.shape[1]), np.int32)  # the sum over any run in two looks
    np.cumsum(hot, axis=0, out=total[1:])
    return total[after] > total[first]


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
