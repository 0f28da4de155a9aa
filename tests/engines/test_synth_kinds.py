"""The rare kinds: turned, tall, faint and woven text, codes, artefacts, what a second look sees; labels lie where the ink lies."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from appliance.detect.tone import curve
from engines.synth import artefacts, grounds, marks, overlays, screens
from engines.synth.backgrounds import Backgrounds
from engines.synth.fonts import BUILT_IN, FontBook
from engines.synth.paint import INK, Line, Style, TextBox, paint
from engines.synth.screens import Drawing, Mix, draw_crop
from engines.synth.targets import corners
from engines.synth.text import Hand

BOOK = FontBook.of((BUILT_IN,))
HAND = Hand(BUILT_IN, 16.0, way="hard")
WHITE = Style((255, 255, 255))
LINE = Line("MUSTER 4711", HAND, WHITE, 60.0, 90.0)


def black(side: int = 256) -> np.ndarray:
    return np.zeros((side, side, 3), np.uint8)


def inside(boxes: list[TextBox], side: int, grow: float = 1.0) -> np.ndarray:
    image = Image.new("1", (side, side))
    for box in boxes:
        ImageDraw.Draw(image).polygon(corners(replace(box, width=box.width + 2 * grow, height=box.height + 2 * grow)), fill=1)
    return np.array(image)


@pytest.mark.parametrize("degrees", [0, 7, 30, 45, 60, 90, 135, 180, 250, 270, -90])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_line_at_any_angle_lies_in_its_box(degrees: int, mirrored: bool) -> None:
    picture, ink = black(), np.zeros((256, 256), bool)
    boxes = paint(picture, replace(LINE, turn=math.radians(degrees), mirrored=mirrored), ink=ink)
    lit = picture.max(axis=2) > INK
    assert len(boxes) == 1 and lit.any() and np.array_equal(lit, ink)
    assert abs(boxes[0].angle) <= math.pi / 4 and boxes[0].care
    cover = inside(boxes, 256)
    assert cover[lit].all() and lit.sum() > 0.15 * cover.sum()
    if degrees % 90 == 0:
        rows, columns = np.nonzero(lit)
        box = boxes[0]
        assert (box.cx - box.width / 2, box.cx + box.width / 2) == (columns.min(), columns.max() + 1)
        assert (box.cy - box.height / 2, box.cy + box.height / 2) == (rows.min(), rows.max() + 1)
        assert (box.height > box.width) == (degrees % 180 != 0)


def test_a_turned_crop_keeps_its_labels() -> None:
    picture = black()
    boxes = tuple(paint(picture, LINE) + paint(picture, replace(LINE, y=180.0, turn=0.3)))
    for seed in range(12):
        turned = screens._turned(np.random.default_rng(seed), Drawing(picture.copy(), boxes))
        lit = turned.pixels.max(axis=2) > INK
        cover = inside(list(turned.boxes), 256)
        assert cover[lit].all() and lit.sum() > 0.15 * cover.sum()


def test_ink_is_asked_for_only_where_it_stands_out_in_what_is_seen() -> None:
    pale, deep = np.full((256, 256, 3), 240, np.uint8), np.full((256, 256, 3), 60, np.uint8)
    for ground, colour, plain, stretched in ((pale, 246, False, True), (deep, 90, True, False), (deep, 200, True, True)):
        line = replace(LINE, style=Style((colour, colour, colour)))
        assert [box.care for box in paint(ground.copy(), line)] == [plain]
        assert [box.care for box in paint(ground.copy(), line, tone=curve())] == [stretched]


@pytest.mark.parametrize("weave", ["", "checker", "rows", "columns"])
def test_shifted_letters_change_the_picture_below_them(weave: str) -> None:
    picture = np.full((256, 256, 3), 120, np.uint8)
    ink = np.zeros((256, 256), bool)
    paint(picture, replace(LINE, style=Style((0, 0, 0), shift=(40, 0, 0), weave=weave)), ink=ink)
    changed = picture.astype(int) - 120
    assert np.abs(changed[~ink]).max() <= 15 and not changed[..., 1:].any()  # 15 : where the letters' edges are too thin to be ink
    lighter, darker = changed[ink][:, 0] >= 13, changed[ink][:, 0] <= -13
    assert (lighter | darker).all() and lighter.any() and darker.any() == bool(weave)


def test_codes_lie_in_their_box() -> None:
    for seed in range(20):
        picture = np.full((384, 384, 3), 128, np.uint8)
        box = marks.draw_code(np.random.default_rng(seed), picture)
        if box is None:
            continue
        dark = picture.max(axis=2) < 60
        assert dark.any() and inside([box], 384, 2)[dark].all()


ARTEFACTS = [getattr(artefacts, name) for name in "dashes foam twins rings streaks movement doppler rules marks".split()]  # noqa: SIM905


@pytest.mark.parametrize("draw", ARTEFACTS)
def test_artefacts_are_drawn_in_place(draw) -> None:
    ramp = np.repeat(np.add.outer(np.arange(160), np.arange(200))[..., None] // 2, 3, axis=2).astype(np.uint8)
    changed = 0
    for seed in range(4):
        picture = ramp.copy()
        draw(np.random.default_rng(seed), picture)
        assert picture.dtype == np.uint8 and picture.shape == ramp.shape
        changed += not np.array_equal(picture, ramp)
    assert changed >= 3


def test_grounds_have_the_asked_size() -> None:
    for seed in range(30):
        picture = grounds.ground(np.random.default_rng(seed), 96)
        assert picture.shape == (96, 96, 3) and picture.dtype == np.uint8


def test_usual_crops_hold_none_of_the_rare_kinds() -> None:
    styles = [overlays.draw_style(np.random.default_rng(seed)) for seed in range(300)]
    assert all(style.shift is None and style.opacity >= 0.45 for style in styles)
    strange = [overlays.draw_style(np.random.default_rng(seed), True) for seed in range(300)]
    assert sum(style.shift is not None for style in strange) > 20 and min(style.opacity for style in strange) < 0.2
    lines = overlays.scattered(np.random.default_rng(1), BOOK, (0, 0, 384, 384), 60, strange=True)
    assert max(line.hand.height for line in lines) > 100 and sum(abs(line.turn) > 1 for line in lines) > 5


def test_a_stretched_crop_shows_covered_lines_black() -> None:
    mix = Mix(text_free=0, screens=0, decoys=0, degraded=0, broken=0, stretched=1)
    blackened = 0
    for seed in range(30):
        drawing = draw_crop(np.random.default_rng(seed), BOOK, Backgrounds(), 384, mix)
        assert drawing.pixels.max() <= curve()[255]
        blackened += bool((drawing.pixels.max(axis=2) == 0).mean() > 0.002)
    assert blackened > 10
