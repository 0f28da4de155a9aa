"""Text on a picture: how it is coloured, and where a real system puts it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engines.synth import text as writing
from engines.synth import words
from engines.synth.canvas import Colour, Picture, blend, dilate
from engines.synth.fonts import FontBook

LEAST_CONTRAST = 14.0  # grey levels; fainter ink is neither asked for nor punished
SPLIT_GAP = 1.0  # a gap wider than this many heights parts a line into two boxes
BLACK: Colour = (0, 0, 0)


@dataclass(frozen=True)
class Style:
    """How a line is painted.

    opacity : of the letters; outline : px of a rim around them; shadow : (right, down) px
    behind : colour and opacity of a filled box behind the line, or None
    """

    colour: Colour
    opacity: float = 1.0
    outline: int = 0
    rim: Colour = BLACK
    shadow: tuple[int, int] = (0, 0)
    behind: tuple[Colour, float] | None = None


@dataclass(frozen=True)
class Line:
    """One line and its corner on the screen, in px; anchor : 0 the x is its left side, 1 its right, 0.5 its middle."""

    text: str
    hand: writing.Hand
    style: Style
    x: float
    y: float
    anchor: float = 0.0
    turn: float = 0.0


@dataclass(frozen=True)
class TextBox:
    """Where ink lies: middle, width, height in px, angle in radians counter-clockwise; care : False when too faint to ask for."""

    cx: float
    cy: float
    width: float
    height: float
    angle: float = 0.0
    care: bool = True
    text: str = ""


def _jitter(rng: np.random.Generator, colour: Colour, sigma: float) -> Colour:
    r, g, b = (int(np.clip(value + rng.normal(0, sigma), 0, 255)) for value in colour)
    return r, g, b


def draw_style(rng: np.random.Generator) -> Style:
    """Mostly white and light grey; then amber, green, blue, inverted badges and dark letters."""
    kind = rng.random()
    grey = int(rng.integers(150, 236))
    if kind < 0.5:
        colour: Colour = (255, 255, 255) if rng.random() < 0.6 else _jitter(rng, (240, 240, 240), 8)
    elif kind < 0.7:
        colour = _jitter(rng, (grey, grey, grey), 5)
    elif kind < 0.78:
        colour = _jitter(rng, (240, 170, 40), 20)
    elif kind < 0.84:
        colour = _jitter(rng, (80, 220, 90), 25)
    elif kind < 0.88:
        colour = _jitter(rng, (240, 235, 90), 15)
    elif kind < 0.93:
        colour = _jitter(rng, (70, 150, 240), 30)
    else:
        return _badge(rng)
    style = Style(colour, float(rng.uniform(0.5, 0.95)) if rng.random() < 0.22 else 1.0)
    kind = rng.random()
    if kind < 0.22:
        style = replace(style, outline=1, rim=BLACK if rng.random() < 0.7 else _jitter(rng, (90, 90, 90), 25))
    elif kind < 0.42:
        style = replace(style, shadow=(1, 1) if rng.random() < 0.7 else (2, 1))
    elif kind < 0.5:
        dark = int(rng.integers(0, 90))
        style = replace(style, behind=(_jitter(rng, (dark, dark, dark), 12), float(rng.uniform(0.4, 1.0))))
    return style


def _badge(rng: np.random.Generator) -> Style:
    """Dark letters on a light box, light ones on a strong colour, or dark letters straight on the picture."""
    kind = rng.random()
    dark = int(rng.integers(0, 50))
    if kind < 0.5:
        return Style((dark, dark, dark), behind=(_jitter(rng, (235, 235, 235), 15), 1.0))
    if kind < 0.75:
        strong = ((20, 60, 190), (190, 30, 30), (10, 110, 60), (230, 160, 30))[int(rng.integers(4))]
        return Style((255, 255, 255), behind=(_jitter(rng, strong, 15), 1.0))
    return Style((dark, dark, dark) if rng.random() < 0.5 else _jitter(rng, (200, 30, 30), 25))


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


def paint(picture: Picture, line: Line, wipe: np.random.Generator | None = None) -> list[TextBox]:
    """Write one line; the boxes of its ink inside the picture (several where gaps are wide, none where it lies outside).

    wipe : given, parts of the letters are left out
    """
    alpha = writing.write(line.hand, line.text)
    if wipe is not None and alpha.size:
        alpha = wiped(wipe, alpha)
    if alpha.size == 0:
        return []
    height, width = alpha.shape
    x, y = round(line.x - line.anchor * width), round(line.y)
    if x >= picture.shape[1] or y >= picture.shape[0] or x + width <= 0 or y + height <= 0:
        return []
    before = picture[max(0, y) : y + height, max(0, x) : x + width].astype(np.int16)
    style = line.style
    if line.turn:
        return _paint_turned(picture, line, alpha, x, y)
    if style.behind:
        pad = max(1, round(0.25 * line.hand.height))
        solid = np.full((height + 2 * pad, width + 2 * pad), 255, np.uint8)
        blend(picture, solid, x - pad, y - pad, style.behind[0], style.behind[1])
        before = picture[max(0, y) : y + height, max(0, x) : x + width].astype(np.int16)
    _letters(picture, style, alpha, x, y)
    return _boxes(picture, before, line, alpha, (x, y))


def _letters(picture: Picture, style: Style, alpha: NDArray[np.uint8], x: int, y: int) -> None:
    if style.outline:
        blend(picture, dilate(alpha, style.outline), x - style.outline, y - style.outline, style.rim, 0.85 * style.opacity)
    if style.shadow != (0, 0):
        blend(picture, alpha, x + style.shadow[0], y + style.shadow[1], BLACK, 0.9 * style.opacity)
    blend(picture, alpha, x, y, style.colour, style.opacity)


def _boxes(picture: Picture, before: NDArray[np.int16], line: Line, alpha: NDArray[np.uint8], corner: tuple[int, int]) -> list[TextBox]:
    """The line's parts between wide gaps, clipped to the picture; a part is asked for when its ink stands out."""
    x, y = corner
    height = alpha.shape[0]
    top, left = max(0, -y), max(0, -x)
    inside = alpha[top : picture.shape[0] - y, left : picture.shape[1] - x] > 90
    y0, x0 = y + top, x + left
    change = np.abs(picture[y0 : y0 + inside.shape[0], x0 : x0 + inside.shape[1]].astype(np.int16) - before).max(axis=2)
    boxes = []
    for start, end in _spans(np.any(inside, axis=0), SPLIT_GAP * line.hand.height):
        part = inside[:, start:end]
        rows = np.flatnonzero(part.any(axis=1))
        low, high = int(rows[0]), int(rows[-1]) + 1
        if (high - low) * (end - start) < 6:
            continue  # a speck at the edge says nothing
        seen = float(change[:, start:end][part].mean()) if not line.style.outline else 255.0
        at_side = x0 + start == 0 or x0 + end == picture.shape[1]
        sliver = high - low < min(4.0, 0.45 * height) or (at_side and end - start < 3)
        boxes.append(TextBox(
            x0 + (start + end) / 2, y0 + (low + high) / 2, end - start, high - low, 0.0,
            seen >= LEAST_CONTRAST and not sliver, line.text,
        ))  # fmt: skip
    return boxes


def _spans(ink: NDArray[np.bool_], gap: float) -> list[tuple[int, int]]:
    """[start, end) of the runs of ink columns, runs closer than `gap` joined."""
    columns = np.flatnonzero(ink)
    if columns.size == 0:
        return []
    breaks = np.flatnonzero(np.diff(columns) > gap)
    starts = [int(columns[0])] + [int(columns[k + 1]) for k in breaks]
    ends = [int(columns[k]) + 1 for k in breaks] + [int(columns[-1]) + 1]
    return list(zip(starts, ends))


def _paint_turned(picture: Picture, line: Line, alpha: NDArray[np.uint8], x: int, y: int) -> list[TextBox]:
    """A line at an angle about its middle; never with a box behind it."""
    height, width = alpha.shape
    turned = Image.fromarray(alpha).rotate(float(np.degrees(line.turn)), Image.Resampling.BICUBIC, expand=True)
    cx, cy = x + width / 2, y + height / 2
    _letters(picture, line.style, np.asarray(turned), round(cx - turned.width / 2), round(cy - turned.height / 2))
    return [TextBox(cx, cy, width, height, line.turn, True, line.text)]


@dataclass(frozen=True)
class Sheet:
    """The screen a layout is made for: its size in px and how its text is written by default."""

    width: int
    height: int
    hand: writing.Hand
    style: Style


def block(rng: np.random.Generator, book: FontBook, sheet: Sheet, at: tuple[float, float, float], count: int) -> list[Line]:
    """`count` lines below each other, from at = (x, y, anchor); some rows stay empty, some lines are 1.5 times as high."""
    hand, style = sheet.hand, sheet.style
    if rng.random() < 0.3:
        hand = writing.draw_hand(rng, book, sheet.hand.height * float(rng.uniform(0.75, 1.5)))
    x, y, anchor = at
    pitch = float(rng.uniform(1.25, 2.3))
    lines = []
    for _ in range(count):
        said, own = writing.content(rng, book, hand)
        if rng.random() < 0.1:
            own = replace(own, height=own.height * 1.5)
        if rng.random() < 0.85:
            shown = draw_style(rng) if rng.random() < 0.12 else style
            lines.append(Line(said, own, shown, x, y, anchor))
        y += own.height * pitch
    return lines


def screen_lines(rng: np.random.Generator, book: FontBook, sheet: Sheet) -> list[Line]:
    """A whole screen: some of left column, four corners, top line and bottom line."""
    w, h, tall = sheet.width, sheet.height, sheet.hand.height
    margin_x, margin_y = float(rng.uniform(0.002, 0.06)) * w, float(rng.uniform(0.004, 0.04)) * h
    lines: list[Line] = []
    if rng.random() < 0.55:
        lines += block(rng, book, sheet, (float(rng.uniform(0, 0.12)) * w, margin_y, 0.0), int(rng.integers(4, 22)))
    else:
        lines += block(rng, book, sheet, (margin_x, margin_y, 0.0), int(rng.integers(1, 6)))
        low = int(rng.integers(1, 7))
        lines += block(rng, book, sheet, (margin_x, h - margin_y - low * tall * 1.8, 0.0), low)
    if rng.random() < 0.65:
        lines += block(rng, book, sheet, (w - margin_x, margin_y, 1.0), int(rng.integers(1, 6)))
    if rng.random() < 0.6:
        low = int(rng.integers(1, 7))
        lines += block(rng, book, sheet, (w - margin_x, h - margin_y - low * tall * 1.8, 1.0), low)
    for share, y in ((0.25, margin_y), (0.45, h - margin_y - tall * 1.2)):
        if rng.random() < share:
            for x in np.sort(rng.uniform(0.15, 0.9, int(rng.integers(1, 4)))):
                said, own = writing.content(rng, book, sheet.hand)
                lines.append(Line(said, own, sheet.style, float(x) * w, y, 0.5))
    if rng.random() < 0.35:  # a counter on its own in a corner
        y = margin_y if rng.random() < 0.3 else h - margin_y - tall * 1.2
        at = (w - margin_x, 1.0) if rng.random() < 0.7 else (margin_x, 0.0)
        lines.append(Line(words.digits(rng), sheet.hand, sheet.style, at[0], y, at[1]))
    if rng.random() < 0.4:
        lines += scattered(rng, book, (0, 0, w, h), int(rng.integers(1, 4)), sheet.hand.height)
    return lines


def scattered(rng: np.random.Generator, book: FontBook, area: tuple[int, int, int, int], count: int, height: float = 0.0) -> list[Line]:
    """Single lines anywhere in area = (x, y, width, height), each in its own hand; height 0 draws one for each."""
    x, y, w, h = area
    lines = []
    for _ in range(count):
        tall = height * float(rng.uniform(0.8, 1.4)) if height else float(np.exp(rng.uniform(np.log(5.0), np.log(38.0))))
        said, hand = writing.content(rng, book, writing.draw_hand(rng, book, tall))
        turn = float(rng.normal(0, 0.12)) if rng.random() < 0.08 else 0.0
        at = (x + float(rng.uniform(-0.05, 0.95)) * w, y + float(rng.uniform(-0.01, 0.98)) * h)
        lines.append(Line(said, hand, draw_style(rng), at[0], at[1], 0.0, turn))
    return lines
