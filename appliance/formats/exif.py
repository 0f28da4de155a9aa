"""The one EXIF value that is needed, and the pixel operations it asks for (EXIF 2.32, tag 274)."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

UPRIGHT = 1
_ORIENTATION, _SHORT = 274, 3
_MAX_ENTRIES = 512


def orientation(tiff: bytes) -> int:
    """The orientation 1..8 that the first directory of a TIFF block names; 1 where it names none or is broken.

    tiff : the EXIF block from its "II" or "MM" on
    """
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return UPRIGHT
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    if start + 2 > len(tiff):
        return UPRIGHT
    (count,) = struct.unpack_from(order + "H", tiff, start)
    for index in range(min(count, _MAX_ENTRIES)):
        offset = start + 2 + 12 * index
        if offset + 12 > len(tiff):
            break
        tag, kind, values, value = struct.unpack_from(order + "HHIH", tiff, offset)
        if (tag, kind, values) == (_ORIENTATION, _SHORT, 1) and 1 <= value <= 8:
            return int(value)
    return UPRIGHT


def is_turned(value: int) -> bool:
    """Whether an orientation swaps height and width."""
    return value >= 5


def upright(pixels: NDArray[np.generic], value: int) -> NDArray[np.generic]:
    """The picture as a viewer shows it; pixels : (height, width, ...), a view where nothing needs to move."""
    if is_turned(value):
        pixels = pixels.swapaxes(0, 1)
    rows = -1 if value in (3, 4, 7, 8) else 1
    columns = -1 if value in (2, 3, 6, 7) else 1
    return pixels[::rows, ::columns]
