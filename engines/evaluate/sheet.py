"""The failures as a contact sheet that a person can look at."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from engines.evaluate.scoring import Box, Labelled, Mask, score

TILE = (220, 120)  # width, height, px
COLUMNS, MOST = 6, 120
MARGIN = 30  # px of surroundings
LEAST_FALSE = 12  # px; thinner regions are the rims of rightly removed text
GREY = (40, 40, 40)


def failures(picture: Image.Image, labelled: Labelled, mask: Mask) -> Iterator[Image.Image]:
    """A tile for every box that was missed, framed red, and for every region removed in vain, framed blue."""
    for box in score(labelled, mask).missed:
        yield tile(picture, labelled.name, box.box, "red", mask)
    regions, _ = ndimage.label(mask & ~labelled.allowed)
    for rows, columns in ndimage.find_objects(regions):
        if min(rows.stop - rows.start, columns.stop - columns.start) >= LEAST_FALSE:
            yield tile(picture, labelled.name, (columns.start, rows.start, columns.stop, rows.stop), "blue", mask)


def tile(picture: Image.Image, name: str, box: Box, colour: str, mask: Mask) -> Image.Image:
    """The box with its surroundings; what was removed is tinted green."""
    x0, y0, x1, y1 = box
    left, top = max(0, x0 - MARGIN), max(0, y0 - MARGIN)
    right, bottom = min(picture.width, x1 + MARGIN), min(picture.height, y1 + MARGIN)
    cut = np.array(picture.crop((left, top, right, bottom)))
    removed = mask[top:bottom, left:right]
    cut[removed, 1] = np.minimum(255, cut[removed, 1].astype(int) + 60)
    image = Image.fromarray(cut)
    ImageDraw.Draw(image).rectangle([x0 - left - 1, y0 - top - 1, x1 - left, y1 - top], outline=colour)
    scale = min((TILE[0] - 4) / image.width, (TILE[1] - 16) / image.height)
    image = image.resize((max(1, int(image.width * scale)), max(1, int(image.height * scale))))
    framed = Image.new("RGB", TILE, GREY)
    framed.paste(image, (2, 14))
    ImageDraw.Draw(framed).text((2, 1), name[-36:], fill="white")
    return framed


def contact_sheet(tiles: list[Image.Image]) -> Image.Image:
    """The first MOST tiles, row by row; one that says so where there were none."""
    shown = tiles[:MOST] or [_nothing()]
    sheet = Image.new("RGB", (COLUMNS * TILE[0], -(-len(shown) // COLUMNS) * TILE[1]), GREY)
    for index, one in enumerate(shown):
        sheet.paste(one, (index % COLUMNS * TILE[0], index // COLUMNS * TILE[1]))
    return sheet


def _nothing() -> Image.Image:
    empty = Image.new("RGB", TILE, GREY)
    ImageDraw.Draw(empty).text((8, 50), "nothing missed, nothing in vain", fill="white")
    return empty
