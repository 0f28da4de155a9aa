"""A picture of a synthetic endoscopy system, whole or the part of it in a window, with the boxes of its text."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from appliance.detect.tone import curve as stretch_curve
from engines.synth import overlays, text
from engines.synth.backgrounds import Backgrounds, highlights, view
from engines.synth.canvas import Picture, blend, drawn, grain
from engines.synth.decoys import draw_decoys, icon_at
from engines.synth.degrade import degrade
from engines.synth.fonts import FontBook
from engines.synth.grounds import ground
from engines.synth.marks import draw_code
from engines.synth.paint import Line, TextBox, paint

ASPECTS = (4 / 3, 5 / 4, 16 / 9, 1.4, 1.0, 0.9)
COVER_CELL = 16  # px of the largest squares that the product blackens, at the detector's scale
SMALLEST_TEXT, LARGEST_TEXT = 0.0125, 0.036  # capital height over picture height; real overlays, less their descenders


@dataclass(frozen=True)
class Mix:
    """How often a crop shows what; shares between 0 and 1.

    text_free : crops without any text; screens : crops cut from a whole screen, the others hold scattered words
    decoys : crops with hard negatives; degraded : strength of the degradations; broken : lines that were partly wiped out
    strange : crops that may show the rare kinds: faint, slanted, tall, woven or of another colour alone, watermarks, codes, other grounds
    turned : crops turned by 90, 180 or 270 degrees, some of them as seen in a mirror
    stretched : crops seen with their highlights stretched, as the product's second look sees a picture that the first one redacted
    """

    text_free: float = 0.3
    screens: float = 0.55
    decoys: float = 0.5
    degraded: float = 1.0
    broken: float = 0.06
    strange: float = 0.0
    turned: float = 0.0
    stretched: float = 0.0


@dataclass(frozen=True)
class Drawing:
    """pixels : (h, w, 3) uint8; boxes : of all text in it."""

    pixels: Picture
    boxes: tuple[TextBox, ...]


@dataclass(frozen=True)
class Window:
    """A width x height part, its corner at (x, y), of a screen of screen_width x screen_height; px."""

    screen_width: int
    screen_height: int
    x: int
    y: int
    width: int
    height: int


def draw_crop(rng: np.random.Generator, book: FontBook, store: Backgrounds, side: int = 384, mix: Mix | None = None) -> Drawing:
    """One training crop of side x side px."""
    mix = mix or Mix()
    bare, area, strange = rng.random() < mix.text_free, (0, 0, side, side), rng.random() < mix.strange
    if rng.random() < mix.screens:
        window = _random_window(rng, side)
        pixels = camera(rng, store, window)
        lines = [] if bare else _shifted(screen_layout(rng, book, window, strange), window)
    else:
        pixels = ground(rng, side) if rng.random() < 0.1 + 0.2 * strange else view(rng, store, side, side)
        lines = [] if bare else overlays.scattered(rng, book, area, int(rng.integers(1, 9)), strange=strange)
    if strange and not bare and rng.random() < 0.15:
        lines.insert(0, overlays.watermark(rng, book, area))
    stretched = rng.random() < mix.stretched
    if rng.random() < (0.5 if stretched else 0.18):
        saturate(rng, pixels)
        lines = [replace(line, style=overlays.pale_style(rng)) if rng.random() < 0.5 else line for line in lines]
    drawing = finish(rng, pixels, lines, mix, stretched, codes=strange)
    return _turned(rng, drawing) if rng.random() < mix.turned else drawing


def _turned(rng: np.random.Generator, drawing: Drawing) -> Drawing:
    """The square picture by a quarter, half or three quarters counter-clockwise; one in eight is mirrored first."""
    pixels, boxes, side = drawing.pixels, drawing.boxes, drawing.pixels.shape[1]
    if rng.random() < 0.125:
        pixels, boxes = pixels[:, ::-1], tuple(replace(box, cx=side - box.cx, angle=-box.angle) for box in boxes)
    quarters = int(rng.integers(1, 4))
    for _ in range(quarters):
        boxes = tuple(replace(box, cx=box.cy, cy=side - box.cx, width=box.height, height=box.width) for box in boxes)
    return Drawing(np.ascontiguousarray(np.rot90(pixels, quarters)), boxes)


def draw_screen(rng: np.random.Generator, book: FontBook, store: Backgrounds, width: int, height: int, degraded: float = 0.6) -> Drawing:
    """A whole screen of width x height px with a realistic overlay."""
    window = Window(width, height, 0, 0, width, height)
    pixels = camera(rng, store, window)
    return finish(rng, pixels, screen_layout(rng, book, window), Mix(degraded=degraded, decoys=0.3))


def finish(rng: np.random.Generator, pixels: Picture, lines: list[Line], mix: Mix, stretched: bool = False, codes: bool = False) -> Drawing:
    """Decoys, then the text, then the wear and tear; stretched : see Mix; codes : among the text may be some."""
    if rng.random() < mix.decoys:
        draw_decoys(rng, pixels)
    boxes: list[TextBox] = []
    if codes and lines and rng.random() < 0.12:
        code = draw_code(rng, pixels)
        boxes += [code] if code else []
    tone = stretch_curve() if stretched else None
    covered: list[TextBox] = []
    for line in lines:
        if not any(_touches(pixels, line, box) for box in boxes + covered):
            broken = rng.random() < mix.broken
            found = paint(pixels, line, rng if broken else None, tone)
            hidden = rng.random() < (0.5 if stretched else 0.04)
            (covered if hidden else boxes).extend(found)
            if len(line.text) <= 4 and boxes and not hidden and rng.random() < 0.3:
                _decorate(rng, pixels, boxes[-1])
    worn = degrade(rng, pixels, mix.degraded, min((line.hand.height for line in lines), default=99.0))
    if covered:
        worn = worn.copy()
        boxes = [replace(box, care=box.care and not any(_meets(box, other) for other in covered)) for box in boxes]
        boxes += _left(rng, worn, covered)
    return Drawing(tone[worn] if tone is not None else worn, tuple(boxes))


def _meets(box: TextBox, other: TextBox) -> bool:
    """Whether the squares that cover `other` may reach into `box`."""
    reach_x, reach_y = (box.width + other.width) / 2 + COVER_CELL, (box.height + other.height) / 2 + COVER_CELL
    return abs(box.cx - other.cx) < reach_x and abs(box.cy - other.cy) < reach_y


def _left(rng: np.random.Generator, pixels: Picture, covered: list[TextBox]) -> list[TextBox]:
    """Blacken the boxes cell by cell as the product does; of one in five an end stays in sight, and that is what is returned."""
    cell, left = int(rng.choice([4, 6, 8, COVER_CELL])), []
    for box in covered:
        x0, y0, x1, y1 = (
            int((box.cx - box.width / 2) // cell * cell), int((box.cy - box.height / 2) // cell * cell),
            int(-(-(box.cx + box.width / 2) // cell) * cell), int(-(-(box.cy + box.height / 2) // cell) * cell),
        )  # fmt: skip
        if not box.angle and box.width > 2 * box.height and x1 - x0 > 6 * cell and rng.random() < 0.2:
            x1 -= max(2, int(box.height / cell)) * cell
            end = min(float(pixels.shape[1]), box.cx + box.width / 2)
            left.append(replace(box, cx=(x1 + end) / 2, width=end - x1, care=False))
        elif box.angle:
            reach = int(math.hypot(box.width, box.height) / 2)
            x0, x1, y0, y1 = int(box.cx) - reach, int(box.cx) + reach, int(box.cy) - reach, int(box.cy) + reach
        pixels[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = 0
    return [box for box in left if box.width > 2]


def _touches(pixels: Picture, line: Line, box: TextBox) -> bool:
    """Whether a line would be written over an earlier one (judged before its ink is known, by its likely extent)."""
    width = len(line.text) * line.hand.height * (0.85 + line.hand.spacing) * line.hand.stretch
    left = line.x - line.anchor * width
    return (
        abs(left + width / 2 - box.cx) < (width + box.width) / 2
        and abs(line.y + line.hand.height / 2 - box.cy) < (line.hand.height * 1.2 + box.height) / 2
    )


def _decorate(rng: np.random.Generator, pixels: Picture, box: TextBox) -> None:
    """A gauge's ring around a number, or an icon beside a short word."""
    if rng.random() < 0.6:
        size = max(7, int(box.height * rng.uniform(0.9, 1.5)))
        gap = int(rng.uniform(0.3, 1.2) * box.height)
        left = box.cx + box.width / 2 + gap if rng.random() < 0.6 else box.cx - box.width / 2 - gap - size
        icon_at(rng, pixels, size, (round(left), round(box.cy - size / 2)))
        return
    side = int(max(box.width, box.height) * rng.uniform(1.5, 2.2)) + 4
    ring = drawn(side, side, "ellipse", [(1, 1), (side - 2, side - 2)], int(rng.integers(1, 3)))
    blend(pixels, ring, round(box.cx - side / 2), round(box.cy - side / 2), (230, 230, 230))


def _random_window(rng: np.random.Generator, side: int) -> Window:
    """A window of side x side on a screen at the detector's scale; half of them at one of its corners."""
    height = int(rng.choice([rng.uniform(480, 660), rng.uniform(300, 480)], p=[0.8, 0.2]))
    width = int(height * ASPECTS[int(rng.integers(len(ASPECTS)))])
    far_x, far_y = max(0, width - side), max(0, height - side)
    x = int(rng.choice([0, far_x, rng.uniform(0, far_x + 1), rng.uniform(-40, far_x + 90)], p=[0.35, 0.2, 0.3, 0.15]))
    y = int(rng.choice([0, far_y, rng.uniform(0, far_y + 1), rng.uniform(-40, far_y + 90)], p=[0.35, 0.25, 0.25, 0.15]))
    return Window(width, height, x, y, side, side)


def camera(rng: np.random.Generator, store: Backgrounds, window: Window) -> Picture:
    """The screen without text: the camera's view in an octagon, circle or rectangle on black, or everywhere."""
    level = 0 if rng.random() < 0.7 else int(rng.integers(0, 30))
    picture = np.full((window.height, window.width, 3), level, np.uint8)
    w, h = window.screen_width, window.screen_height
    if rng.random() < 0.25:
        left, top, wide, tall = 0.0, 0.0, float(w), float(h)
    else:
        tall, wide = h * float(rng.uniform(0.72, 1.02)), w * float(rng.uniform(0.55, 1.0))
        left, top = (w - wide) * float(rng.choice([rng.uniform(0, 1), 0.5, 1.0])), (h - tall) * float(rng.uniform(0, 1))
    x0, y0 = max(0, int(left - window.x)), max(0, int(top - window.y))
    x1, y1 = min(window.width, int(left + wide - window.x)), min(window.height, int(top + tall - window.y))
    if x1 - x0 < 8 or y1 - y0 < 8:
        return picture
    seen = view(rng, store, x1 - x0, y1 - y0)
    shape = _aperture(rng, (left - window.x, top - window.y, wide, tall), window)
    if shape is None:
        picture[y0:y1, x0:x1] = seen
    else:
        inside = shape[y0:y1, x0:x1, None] > 127
        picture[y0:y1, x0:x1] = np.where(inside, seen, picture[y0:y1, x0:x1])
    if rng.random() < 0.25:  # a status bar at the foot
        foot = int(h - h * rng.uniform(0.03, 0.07) - window.y)
        picture[max(0, foot) :] = rng.integers(0, 70, 3).astype(np.uint8)
    return picture


def _aperture(
    rng: np.random.Generator, rect: tuple[float, float, float, float], window: Window
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None:
    """Mask of the camera's aperture within the window, or None for a plain rectangle; rect : left, top, width, height."""
    x, y, w, h = rect
    kind = rng.random()
    if kind < 0.25:
        return None
    if kind < 0.45:
        grow = float(rng.uniform(0.0, 0.25))
        return drawn(window.width, window.height, "ellipse", [(x - w * grow, y - h * grow), (x + w * (1 + grow), y + h * (1 + grow))])
    cut = float(rng.uniform(0.06, 0.28)) * min(w, h)
    shape = [
        (x + cut, y), (x + w - cut, y), (x + w, y + cut), (x + w, y + h - cut),
        (x + w - cut, y + h), (x + cut, y + h), (x, y + h - cut), (x, y + cut),
    ]  # fmt: skip
    return drawn(window.width, window.height, "polygon", shape)


def screen_layout(rng: np.random.Generator, book: FontBook, window: Window, strange: bool = False) -> list[Line]:
    """The lines of a whole screen, in screen coordinates."""
    tall = float(np.exp(rng.uniform(np.log(SMALLEST_TEXT), np.log(LARGEST_TEXT)))) * window.screen_height
    hand = text.draw_hand(rng, book, max(5.0, tall))
    sheet = overlays.Sheet(window.screen_width, window.screen_height, hand, overlays.draw_style(rng, strange))
    return overlays.screen_lines(rng, book, sheet)


def _shifted(lines: list[Line], window: Window) -> list[Line]:
    return [replace(line, x=line.x - window.x, y=line.y - window.y) for line in lines]


def saturate(rng: np.random.Generator, pixels: Picture) -> None:
    """Overexposed patches, so that white text has to be found on white: round glows, or all that the light falls on."""
    height, width = pixels.shape[:2]
    if rng.random() < 0.5:
        for _ in range(int(rng.integers(1, 3))):
            highlights(rng, pixels)
            side = int(rng.uniform(0.2, 0.7) * height)
            glow = np.asarray(Image.fromarray(drawn(32, 32, "ellipse", [(10, 10), (21, 21)], 0, 3.2)).resize((side, side)))
            x, y = (int(rng.uniform(-0.3, 1.0) * one) for one in (width, height))
            blend(pixels, glow, x, y, (255, 250, 245), float(rng.uniform(0.5, 1.0)))
        return
    bumps = grain(rng, width, height, float(rng.uniform(0.1, 0.5)) * width)[:, :, 0]
    share = np.clip((bumps + rng.uniform(-0.6, 0.8)) * rng.uniform(1, 12), 0, 1)[..., None]
    white = np.asarray([255, rng.uniform(238, 256), rng.uniform(225, 256)], np.float32)
    texture = grain(rng, width, height, float(rng.uniform(2, 12))) * float(rng.uniform(0, 9))
    pixels[:] = np.clip(pixels + (np.minimum(white + texture, 255) - pixels) * share, 0, 255).astype(np.uint8)
