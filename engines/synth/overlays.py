"""Text on a picture: how it is coloured, and where a real system puts it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from engines.synth import text as writing
from engines.synth import words
from engines.synth.canvas import Colour
from engines.synth.fonts import FontBook
from engines.synth.paint import BLACK, Line, Style

FAINTEST = 0.12  # opacity
TALLEST = 230.0  # px: 40 % of the detector's canvas


def _jitter(rng: np.random.Generator, colour: Colour, sigma: float) -> Colour:
    r, g, b = (int(np.clip(value + rng.normal(0, sigma), 0, 255)) for value in colour)
    return r, g, b


def draw_style(rng: np.random.Generator, strange: bool = False) -> Style:
    """Mostly white and light grey; then amber, green, blue, inverted badges and dark letters.

    strange : at times hardly to be seen, or no paint at all
    """
    if strange and rng.random() < 0.15:
        return shifted(rng)
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
    faintest = FAINTEST if strange else 0.45
    style = Style(colour, float(np.exp(rng.uniform(math.log(faintest), math.log(0.95)))) if rng.random() < 0.25 else 1.0)
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


def pale_style(rng: np.random.Generator) -> Style:
    """White and light grey letters as they lie on overexposed tissue, often half transparent, some with a rim."""
    grey = int(rng.integers(205, 256))
    opacity = float(rng.uniform(0.35, 0.95)) if rng.random() < 0.5 else 1.0
    style = Style(_jitter(rng, (grey, grey, grey), 3), opacity)
    if rng.random() < 0.3:
        rim = int(rng.integers(120, 235))
        style = replace(style, outline=1, rim=(rim, rim, rim))
    return style


def shifted(rng: np.random.Generator) -> Style:
    """Letters that are no paint: a little lighter or darker than the picture, or of another colour alone, or a change of texture."""
    sign = 1.0 if rng.random() < 0.6 else -1.0
    kind = rng.random()
    level = sign * float(np.exp(rng.uniform(math.log(12), math.log(90))))
    if kind < 0.4:
        return Style(BLACK, shift=(level, level, level))
    if kind < 0.65:
        channel = int(rng.integers(3))
        return Style(BLACK, shift=tuple(sign * float(rng.uniform(35, 100)) if k == channel else 0.0 for k in range(3)))  # type: ignore[arg-type]
    if kind < 0.8:  # the same luma (ITU-R BT.601), another chroma
        red = sign * float(rng.uniform(40, 85))
        return Style(BLACK, shift=(red, -(0.299 + 0.5 * 0.114) * red / 0.587, 0.5 * red))
    deep = float(rng.uniform(40, 90))
    return Style(BLACK, shift=(deep, deep, deep), weave=("checker", "rows", "columns")[int(rng.integers(3))])


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


def scattered(
    rng: np.random.Generator, book: FontBook, area: tuple[int, int, int, int], count: int, height: float = 0.0, strange: bool = False
) -> list[Line]:
    """Single lines anywhere in area = (x, y, width, height), each in its own hand; height 0 draws one for each.

    strange : some of them tall, at any angle, mirrored or hardly to be seen
    """
    x, y, w, h = area
    lines = []
    for _ in range(count):
        tall = height * float(rng.uniform(0.8, 1.4)) if height else _height(rng, 0.3 * strange)
        said, hand = writing.content(rng, book, writing.draw_hand(rng, book, tall))
        if rng.random() < 0.15:
            said, hand = words.digits(rng), replace(hand, spacing=0.0)
        at = (x + float(rng.uniform(-0.05, 0.95)) * w, y + float(rng.uniform(-0.01, 0.98)) * h)
        if tall > 40:  # tall letters: few of them, and not beyond the edge for the most part
            said, at = said[: int(rng.integers(1, 10))], (x + float(rng.uniform(-0.1, 0.6)) * w, y + float(rng.uniform(-0.05, 0.8)) * h)
        turn = _turn(rng) if strange else float(rng.normal(0, 0.12)) * (rng.random() < 0.08)
        lines.append(Line(said, hand, draw_style(rng, strange), at[0], at[1], 0.0, turn, strange and rng.random() < 0.04))
    return lines


def _height(rng: np.random.Generator, tall: float) -> float:
    """Px; tall : share of those above the usual."""
    low, high = (30.0, TALLEST) if rng.random() < tall else (5.0, 38.0)
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))


def _turn(rng: np.random.Generator) -> float:
    """Mostly none; a little, a quarter, half, or by any angle."""
    kind = rng.random()
    if kind < 0.5:
        return 0.0
    if kind < 0.6:
        return float(rng.normal(0, 0.12))
    if kind < 0.78:
        return float(rng.choice([1, 2, 3])) * math.pi / 2
    return float(rng.uniform(-math.pi, math.pi))


def watermark(rng: np.random.Generator, book: FontBook, area: tuple[int, int, int, int]) -> Line:
    """Pale letters across a good part of the picture."""
    x, y, w, h = area
    tall = float(np.exp(rng.uniform(math.log(0.05), math.log(0.3)))) * h
    hand = replace(writing.draw_hand(rng, book, min(tall, TALLEST)), way="fine", spacing=0.0)
    said = words.pick(rng, [words.surname(rng).upper(), words.person(rng), words.state(rng), "CONFIDENTIAL", "COPY"])
    grey = 255 if rng.random() < 0.8 else int(rng.integers(0, 60))
    style = Style((grey, grey, grey), float(np.exp(rng.uniform(math.log(0.08), math.log(0.5)))))
    turn = float(rng.choice([0.0, 0.0, rng.uniform(0.2, 0.8), rng.uniform(-math.pi, math.pi)]))
    return Line(said, hand, style, x + w * float(rng.uniform(0.2, 0.8)), y + h * float(rng.uniform(0.1, 0.7)), 0.5, turn)
