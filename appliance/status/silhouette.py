"""The silhouette: where a picture was blacked out, in cells too coarse to read a letter by.

A cell's side is an 18th of the picture's height or a 32nd of its width, whichever is more: at least 5.6 % of the height. Overlay text is
1.6 to 4.7 % of the height (design.md), so the tallest letter met touches two rows of cells at most; the smallest letters that can be read
have three columns and five rows. And a cell is white as soon as any of it was removed, which joins strokes, letters and lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from appliance.types import Mask

MOST_ROWS, MOST_COLUMNS = 18, 32


@dataclass(frozen=True)
class Silhouette:
    """cells : rows * columns bits in reading order, 1 = something of it was removed, as hexadecimal digits"""

    rows: int
    columns: int
    cells: str


def silhouette(mask: Mask) -> Silhouette:
    """A mask in few square cells; the last row and column may reach beyond the picture."""
    height, width = mask.size
    side = max(-(-height // MOST_ROWS), -(-width // MOST_COLUMNS), *mask.cell)
    coarse = np.zeros((-(-height // side), -(-width // side)), bool)
    fine_rows, fine_columns = np.nonzero(mask.cells)
    # a fine cell is not larger than a coarse one, so it touches no more than those its corners lie in
    for last_row in (0, 1):
        rows = np.minimum((fine_rows + last_row) * mask.cell[0] - last_row, height - 1) // side
        for last_column in (0, 1):
            columns = np.minimum((fine_columns + last_column) * mask.cell[1] - last_column, width - 1) // side
            coarse[rows, columns] = True
    return Silhouette(*coarse.shape, np.packbits(coarse).tobytes().hex())


def bits(shape: Silhouette) -> list[str]:
    """One string of "0" and "1" a row. Raises ValueError when the digits do not fit the size."""
    size = shape.rows * shape.columns
    row = f"{int(shape.cells or '0', 16):0{4 * len(shape.cells)}b}"
    if not 0 <= len(row) - size < 8:
        raise ValueError(f"silhouette of {shape.rows} x {shape.columns} cells has {len(row)} bits")
    return [row[start : start + shape.columns] for start in range(0, size, shape.columns)]
