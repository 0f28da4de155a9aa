"""Codes that a machine reads: they say as much as letters do, and are removed like them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engines.synth.canvas import Picture
from engines.synth.paint import TextBox

QUIET = 2  # modules of white around a code


def draw_code(rng: np.random.Generator, picture: Picture) -> TextBox | None:
    """A QR code, a Data Matrix or a bar code somewhere in the picture; its box, or None where it has no room."""
    modules = (square, matrix, bars)[int(rng.choice(3, p=[0.45, 0.25, 0.3]))](rng)
    size = float(rng.uniform(1.0, 4.5))
    height, width = (max(8, round(side * size)) for side in modules.shape)
    if height >= picture.shape[0] or width >= picture.shape[1]:
        return None
    level = np.where(modules, int(rng.integers(0, 40)), int(rng.integers(200, 256))).astype(np.uint8)
    drawn = np.asarray(Image.fromarray(level).resize((width, height), Image.Resampling.BOX if size < 2 else Image.Resampling.NEAREST))
    if rng.random() < 0.4:
        drawn = np.rot90(drawn, int(rng.integers(1, 4)))
    y, x = (int(rng.integers(0, max(1, room - side))) for room, side in zip(picture.shape[:2], drawn.shape, strict=True))
    picture[y : y + drawn.shape[0], x : x + drawn.shape[1]] = drawn[..., None]
    edge = round(QUIET * size)
    return TextBox(x + drawn.shape[1] / 2, y + drawn.shape[0] / 2, drawn.shape[1] - 2 * edge, drawn.shape[0] - 2 * edge, text="code")


def _quiet(modules: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.pad(modules, QUIET)


def square(rng: np.random.Generator) -> NDArray[np.bool_]:
    """What a QR code looks like (ISO/IEC 18004): random modules, three finder patterns, timing rows."""
    side = 17 + 4 * int(rng.integers(1, 8))
    modules = rng.random((side, side)) < 0.5
    modules[6], modules[:, 6] = np.arange(side) % 2 == 0, np.arange(side) % 2 == 0
    finder = np.zeros((8, 8), bool)
    finder[:7, :7] = True
    finder[1:6, 1:6] = False
    finder[2:5, 2:5] = True
    modules[:8, :8], modules[:8, -8:], modules[-8:, :8] = finder, finder[:, ::-1], finder[::-1]
    return _quiet(modules)


def matrix(rng: np.random.Generator) -> NDArray[np.bool_]:
    """What a Data Matrix looks like (ISO/IEC 16022): two solid sides, two dotted ones."""
    side = 2 * int(rng.integers(5, 14))
    modules = rng.random((side, side)) < 0.5
    modules[:, 0] = modules[-1] = True
    modules[0], modules[:, -1] = np.arange(side) % 2 == 0, np.arange(side) % 2 == 1
    return _quiet(modules)


def bars(rng: np.random.Generator) -> NDArray[np.bool_]:
    """What a one-dimensional code looks like: bars and gaps of one to four modules."""
    widths = rng.choice([1, 1, 2, 2, 3, 4], int(rng.integers(12, 60)))
    row = np.repeat(np.arange(len(widths)) % 2 == 0, widths)
    return _quiet(np.repeat(row[None], int(rng.integers(10, 40)), axis=0))
