"""What a look sees: the picture as it is, or with its highlights stretched, where pale letters on overexposed tissue stand out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from appliance.types import Pixels

FLOOR, GAIN = 192, 4
"""A stretched picture is (x - FLOOR) * GAIN: what is darker than FLOOR is black, 255 becomes 252. A power of two and its multiple, so
that it is three passes of bytes."""


def stretch(pixels: Pixels) -> None:
    """Stretch the highlights, in place; pixels : uint8, any shape."""
    np.maximum(pixels, FLOOR, out=pixels)
    np.subtract(pixels, FLOOR, out=pixels)
    np.multiply(pixels, GAIN, out=pixels)


def curve() -> NDArray[np.uint8]:
    """What stretch makes of each of the 256 values."""
    values = np.arange(256, dtype=np.uint8)
    stretch(values)
    return values
