"""How a line is painted on a picture, and the boxes of its ink."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engines.synth import text as writing
from engines.synth.canvas import Colour, Picture, blend, dilate

LEAST_CONTRAST = 10.0  # grey levels; fainter ink is neither asked for nor punished
SPLIT_GAP = 1.0  # a gap wider than this many heights parts a line into two boxes
INK = 90  # of 255: from here on a pixel of an alpha map is ink
BLACK: Colour = (0, 0, 0)
Tone = NDArray[np.uint8]
Ink = NDArray[np.bool_]


@dataclass(frozen=True)
class Style:
    """How a line is painted.

    opacity : of the letters; outline : px of a rim around them; shadow : (right, down) px
    behind : colour and opacity of a filled box behind the line, or None
    shift : given, the letters are no paint: the picture below them is changed by so many grey levels in each channel
    weave : of the shift: "" everywhere alike, or with changing sign in "checker", "rows" or "columns" of one pixel
    """

    colour: Colour
    opacity: float = 1.0
    outline: int = 0
    rim: Colour = BLACK
    shadow: tuple[int, int] = (0, 0)
    behind: tuple[Colour, float] | None = None
    shift: tuple[float, float, float] | None = None
    weave: str = ""


@dataclass(frozen=True)
class Line:
    """One line and its corner on the screen, in px; anchor : 0 the x is its left side, 1 its right, 0.5 its middle.

    turn : radians counter-clockwise about its middle, any; mirrored : as seen from behind
    """

    text: str
    hand: writing.Hand
    style: Style
    x: float
    y: float
    anchor: float = 0.0
    turn: float = 0.0
    mirrored: bool = False


@dataclass(frozen=True)
class TextBox:
    """Where ink lies: middle, width, height in px, angle in radians counter-clockwise, within +-pi/4 (a line turned by 90 degrees is a
    box higher than wide); care : False when too faint to ask for."""

    cx: float
    cy: float
    width: float
    height: float
    angle: float = 0.0
    care: bool = True
    text: str = ""


@dataclass(frozen=True)
class _Laid:
    """A line's alpha map as it lies on the picture, its corner (x, y), and its parts between wide gaps as boxes there."""

    alpha: NDArray[np.uint8]
    x: int
    y: int
    parts: tuple[TextBox, ...]


def wiped(rng: np.random.Generator, alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The line after someone's clumsy redaction: pieces of its letters are gone."""
    height, width = alpha.shape
    out = alpha.copy()
    for _ in range(int(rng.integers(1, 4))):
        if rng.random() < 0.7:
            start = int(rng.integers(0, width))
            out[:, start : start + int(rng.uniform(0.3, 4) * height)] = 0
        else:
            row = int(rng.integers(0, height))
            out[row : row + max(1, int(0.4 * height))] = 0
    return out


def paint(
    picture: Picture, line: Line, wipe: np.random.Generator | None = None, tone: Tone | None = None, ink: Ink | None = None
) -> list[TextBox]:
    """Write one line; the boxes of its ink inside the picture (several where gaps are wide, none where it lies outside).

    wipe : given, parts of the letters are left out
    tone : 256 values; given, the ink must stand out in the picture seen through this curve
    ink : (h, w) bool like the picture; given, set where the letters lie
    """
    alpha = writing.write(line.hand, line.text)
    if wipe is not None and alpha.size:
        alpha = wiped(wipe, alpha)
    if alpha.size == 0:
        return []
    laid = _lay(alpha[:, ::-1] if line.mirrored else alpha, line)
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = _clipped(laid.x, laid.y, laid.x + laid.alpha.shape[1], laid.y + laid.alpha.shape[0], width, height)
    if x1 <= x0 or y1 <= y0:
        return []
    if line.style.behind and not line.turn:
        pad = max(1, round(0.25 * line.hand.height))
        badge = np.full((laid.alpha.shape[0] + 2 * pad, laid.alpha.shape[1] + 2 * pad), 255, np.uint8)
        blend(picture, badge, laid.x - pad, laid.y - pad, *line.style.behind)
    before = picture[y0:y1, x0:x1].copy()
    letters(picture, line.style, laid.alpha, laid.x, laid.y)
    after = picture[y0:y1, x0:x1]
    if tone is not None:
        before, after = tone[before], tone[after]
    change = np.abs(after.astype(np.int16) - before).max(axis=2)
    if line.style.outline:  # the rim stands out where the letters do not
        change = _wide_maximum(change)
    solid = laid.alpha[y0 - laid.y : y1 - laid.y, x0 - laid.x : x1 - laid.x] > INK
    if ink is not None:
        ink[y0:y1, x0:x1] |= solid
    return [box for part in laid.parts for box in _judged(part, change, solid, (x0, y0), (width, height))]


def letters(picture: Picture, style: Style, alpha: NDArray[np.uint8], x: int, y: int) -> None:
    """Lay the letters of an alpha map on the picture, its corner at (x, y)."""
    if style.shift is not None:
        _shift(picture, style, alpha, x, y)
        return
    if style.outline:
        blend(picture, dilate(alpha, style.outline), x - style.outline, y - style.outline, style.rim, 0.85 * style.opacity)
    if style.shadow != (0, 0):
        blend(picture, alpha, x + style.shadow[0], y + style.shadow[1], BLACK, 0.9 * style.opacity)
    blend(picture, alpha, x, y, style.colour, style.opacity)


def _shift(picture: Picture, style: Style, alpha: NDArray[np.uint8], x: int, y: int) -> None:
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = _clipped(x, y, x + alpha.shape[1], y + alpha.shape[0], width, height)
    part = picture[y0:y1, x0:x1]
    amount = alpha[y0 - y : y1 - y, x0 - x : x1 - x, None].astype(np.float32) / 255 * np.asarray(style.shift, np.float32)
    if style.weave:
        rows, columns = np.mgrid[y0:y1, x0:x1]
        odd = {"checker": rows + columns, "rows": rows, "columns": columns}[style.weave] % 2
        amount *= np.where(odd, 1, -1)[..., None]
    part[:] = np.clip(part + amount + 0.5, 0, 255).astype(np.uint8)


def _clipped(x0: int, y0: int, x1: int, y1: int, width: int, height: int) -> tuple[int, int, int, int]:
    return max(0, x0), max(0, y0), min(width, x1), min(height, y1)


def _wide_maximum(change: NDArray[np.int16]) -> NDArray[np.int16]:
    rows = np.maximum(change, np.maximum(np.roll(change, 1, 0), np.roll(change, -1, 0)))
    return np.asarray(np.maximum(rows, np.maximum(np.roll(rows, 1, 1), np.roll(rows, -1, 1))), np.int16)


def _lay(alpha: NDArray[np.uint8], line: Line) -> _Laid:
    """Turn a line about its middle; quarter turns are exact."""
    height, width = alpha.shape
    left, top = round(line.x - line.anchor * width), round(line.y)
    quarters = round(line.turn / (math.pi / 2))
    rest = line.turn - quarters * math.pi / 2
    turned = np.rot90(alpha, quarters)
    if abs(rest) > 1e-6:
        turned = np.asarray(Image.fromarray(np.ascontiguousarray(turned)).rotate(math.degrees(rest), Image.Resampling.BICUBIC, expand=True))
    x, y = (round(left + width / 2 - turned.shape[1] / 2), round(top + height / 2 - turned.shape[0] / 2)) if line.turn else (left, top)
    cx, cy = x + turned.shape[1] / 2, y + turned.shape[0] / 2
    cos, sin = (round(math.cos(line.turn)), round(math.sin(line.turn))) if abs(rest) <= 1e-6 else (math.cos(line.turn), math.sin(line.turn))
    parts = []
    for x0, x1, y0, y1 in _inked(alpha, SPLIT_GAP * line.hand.height):
        u, v = (x0 + x1 - width) / 2, (y0 + y1 - height) / 2
        wide, high = (y1 - y0, x1 - x0) if quarters % 2 else (x1 - x0, y1 - y0)
        angle = rest if abs(rest) > 1e-6 else 0.0
        parts.append(TextBox(cx + u * cos + v * sin, cy - u * sin + v * cos, wide, high, angle, True, line.text))
    return _Laid(np.ascontiguousarray(turned), x, y, tuple(parts))


def _inked(alpha: NDArray[np.uint8], gap: float) -> list[tuple[int, int, int, int]]:
    """(x0, x1, y0, y1) of the ink between gaps wider than `gap`."""
    ink = alpha > INK
    found = []
    for start, end in _spans(np.any(ink, axis=0), gap):
        rows = np.flatnonzero(ink[:, start:end].any(axis=1))
        found.append((start, end, int(rows[0]), int(rows[-1]) + 1))
    return found


def _spans(ink: NDArray[np.bool_], gap: float) -> list[tuple[int, int]]:
    """[start, end) of the runs of ink columns, runs closer than `gap` joined."""
    columns = np.flatnonzero(ink)
    if columns.size == 0:
        return []
    breaks = np.flatnonzero(np.diff(columns) > gap)
    starts = [int(columns[0])] + [int(columns[k + 1]) for k in breaks]
    ends = [int(columns[k]) + 1 for k in breaks] + [int(columns[-1]) + 1]
    return list(zip(starts, ends))


def _judged(
    part: TextBox, change: NDArray[np.int16], ink: NDArray[np.bool_], corner: tuple[int, int], size: tuple[int, int]
) -> list[TextBox]:
    """The part clipped to the picture, if anything of it is left, and whether its ink stands out; a slanted one is not clipped.

    change, ink : grey levels and ink of the line's window on the picture, whose corner is (x, y); size : (width, height) of the picture
    """
    if part.angle:
        seen = float(change[ink].mean()) if ink.any() else 0.0
        return [_with(part, seen >= LEAST_CONTRAST)]
    x0, y0 = round(part.cx - part.width / 2), round(part.cy - part.height / 2)
    x1, y1 = x0 + round(part.width), y0 + round(part.height)
    left, top, right, bottom = _clipped(x0, y0, x1, y1, *size)
    if right <= left or bottom <= top or (right - left) * (bottom - top) < 6:
        return []  # a speck at the edge says nothing
    window = np.s_[top - corner[1] : bottom - corner[1], left - corner[0] : right - corner[0]]
    inside = ink[window]
    if not inside.any():
        return []
    shorter = min(part.width, part.height)
    cut = (right - left, bottom - top) != (x1 - x0, y1 - y0)
    sliver = cut and min(right - left, bottom - top) < min(4.0, 0.45 * shorter)
    care = float(change[window][inside].mean()) >= LEAST_CONTRAST and not sliver
    return [TextBox((left + right) / 2, (top + bottom) / 2, right - left, bottom - top, 0.0, care, part.text)]


def _with(box: TextBox, care: bool) -> TextBox:
    return TextBox(box.cx, box.cy, box.width, box.height, box.angle, care, box.text)
