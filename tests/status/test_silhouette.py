"""The silhouette shows where something was removed, and not what stood there."""

from __future__ import annotations

import string

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from appliance.status.silhouette import MOST_COLUMNS, MOST_ROWS, Silhouette, bits, silhouette
from appliance.types import Mask, grid

TALLEST = 0.047
"""The tallest overlay text met, of the picture's height (design.md)."""


def mask(size: tuple[int, int], cell: tuple[int, int] = (16, 16), **removed: slice) -> Mask:
    cells = np.zeros(grid(size, cell), bool)
    if removed:
        cells[removed["rows"], removed["columns"]] = True
    return Mask(cells, cell, size)


@pytest.mark.parametrize(
    ("size", "cell", "rows", "columns"),
    [
        ((1080, 1920), (16, 16), 18, 32),
        ((1024, 1280), (8, 8), 18, 23),
        ((576, 720), (8, 16), 18, 23),
        ((1920, 1080), (8, 8), 18, 11),
        ((300, 6000), (8, 8), 2, 32),
        ((40, 40), (16, 16), 3, 3),
        ((1, 1), (8, 8), 1, 1),
    ],
)
def test_cells_are_few_and_square(size: tuple[int, int], cell: tuple[int, int], rows: int, columns: int) -> None:
    shape = silhouette(mask(size, cell))
    assert (shape.rows, shape.columns) == (rows, columns)
    assert shape.rows <= MOST_ROWS and shape.columns <= MOST_COLUMNS
    assert set("".join(bits(shape))) == {"0"}


def test_white_is_where_something_was_removed() -> None:
    shape = silhouette(mask((1080, 1920), rows=slice(0, 8), columns=slice(119, 120)))  # 128 x 16 px at the right edge
    assert [row.count("1") for row in bits(shape)] == [1, 1, 1] + [0] * 15
    assert all(row.rstrip("0").endswith("1") and row.index("1") == 31 for row in bits(shape)[:3])


@pytest.mark.parametrize("size", [(1080, 1920), (577, 721), (97, 33), (2000, 500)])
def test_nothing_removed_is_forgotten(size: tuple[int, int]) -> None:
    random = np.random.default_rng(7)
    cells = random.random(grid(size, (8, 16))) < 0.02
    shape = silhouette(Mask(cells, (8, 16), size))
    drawn = np.array([[bit == "1" for bit in row] for row in bits(shape)])
    side = max(-(-size[0] // 18), -(-size[1] // 32), 16)
    pixels = Mask(cells, (8, 16), size).to_pixels()
    for row, column in np.ndindex(drawn.shape):
        part = pixels[row * side : (row + 1) * side, column * side : (column + 1) * side]
        assert drawn[row, column] == part.any()


@pytest.mark.parametrize("top", [300, 323, 345])
def test_no_letter_can_be_read(top: int) -> None:
    """Even if masks were as exact as a letter's own pixels, the whole alphabet would come down to its widths."""
    font = ImageFont.load_default(round(1080 * TALLEST / 0.7))  # capitals are 0.7 of the size
    shapes = set()
    for letter in string.ascii_uppercase:
        image = Image.new("1", (1920, 1080))
        ImageDraw.Draw(image).text((610, top), letter, 1, font)
        letter_shape = silhouette(Mask(np.asarray(image), (1, 1), (1080, 1920)))
        assert sum("1" in row for row in bits(letter_shape)) <= 2
        shapes.add(letter_shape)
    assert len(shapes) <= 3


def test_digits_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="18 x 32"):
        bits(Silhouette(18, 32, "ff"))
