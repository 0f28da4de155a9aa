"""Small drawing helpers on (h, w, 3) uint8 pictures, changed in place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]


def blend(picture: Picture, alpha: NDArray[np.uint8], x: int, y: int, colour: Colour, opacity: float = 1.0) -> None:
    """Lay `colour` over the picture where alpha says so; (x, y) is the alpha map's corner, which may lie outside."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = max(0, x), max(0, y), min(width, x + alpha.shape[1]), min(height, y + alpha.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    share = alpha[y0 - y : y1 - y, x0 - x : x1 - x, None].astype(np.float32) * (opacity / 255)
    part = picture[y0:y1, x0:x1]
    part[:] = (part + (np.asarray(colour, np.float32) - part) * share + 0.5).astype(np.uint8)


def drawn(width: int, height: int, draw: str, shape: list[tuple[float, float]], line: int = 0, blur: float = 0.0) -> NDArray[np.uint8]:
    """Alpha map (h, w) of one shape: "polygon", "ellipse" or "line"; line : px, 0 fills it."""
    image = Image.new("L", (width, height))
    pen = ImageDraw.Draw(image)
    if draw == "polygon":
        pen.polygon(shape, fill=255 if line == 0 else None, outline=255, width=max(1, line))
    elif draw == "ellipse":
        pen.ellipse([*shape[0], *shape[1]], fill=255 if line == 0 else None, outline=255, width=max(1, line))
    else:
        pen.line(shape, fill=255, width=max(1, line), joint="curve")
    return np.asarray(image.filter(ImageFilter.GaussianBlur(blur)) if blur else image)


def dilate(alpha: NDArray[np.uint8], radius: int = 1) -> NDArray[np.uint8]:
    """The largest value within `radius` px, on a map grown by `radius` on every side."""
    padded = np.pad(alpha, radius)
    for axis in (0, 1):
        best = padded.copy()
        for shift in range(1, radius + 1):
            best = np.maximum(best, np.maximum(np.roll(padded, shift, axis), np.roll(padded, -shift, axis)))
        padded = best
    return padded


def grain(rng: np.random.Generator, width: int, height: int, cell: float, channels: int = 1) -> NDArray[np.float32]:
    """Smooth noise of about -1..1, (h, w, channels) float32, with bumps of about `cell` px."""
    w, h = max(2, int(width / cell) + 2), max(2, int(height / cell) + 2)
    coarse = rng.standard_normal((channels, h, w)).astype(np.float32)
    planes = [np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC)) for plane in coarse]
    return np.stack(planes, axis=-1)
