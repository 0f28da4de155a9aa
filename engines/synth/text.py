"""One line of text as an alpha map: outline fonts, one-bit fonts, and the coarse stretched cells of video processors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFont

from engines.synth import words
from engines.synth.fonts import DRAW_SIZES, Face, FontBook, open_font

Alpha = NDArray[np.uint8]
COARSE_SIZES = (8, 9, 10, 11, 12, 13, 14, 16)  # glyph cells of video processors, px before stretching
MAX_LINE_PX = 1400


@dataclass(frozen=True)
class Hand:
    """How a block of lines is written; all lines of a block share it.

    height : px from the top of a capital to its foot, at the detector's scale
    stretch : width over the natural width
    spacing : extra space between characters, in parts of the height
    way : "smooth" (antialiased), "fine" (drawn large and reduced), "hard" (one bit), "coarse" (one bit, small, enlarged)
    """

    face: Face
    height: float
    stretch: float = 1.0
    spacing: float = 0.0
    way: str = "smooth"
    coarse: int = 10
    soften: int = int(Image.Resampling.BILINEAR)


def draw_hand(rng: np.random.Generator, book: FontBook, height: float) -> Hand:
    """A random way of writing at the given capital height (px)."""
    bitmap = bool(rng.random() < 0.4)
    pool = book.bitmap if bitmap and book.bitmap else book.latin
    face = pool[int(rng.integers(len(pool)))]
    way = str(rng.choice(["smooth", "fine", "hard", "coarse"], p=[0.12, 0.18, 0.15, 0.55] if bitmap else [0.38, 0.4, 0.12, 0.1]))
    stretch = float(rng.choice([1.0, rng.uniform(0.65, 1.0), rng.uniform(1.0, 1.7)], p=[0.45, 0.3, 0.25]))
    spacing = float(rng.uniform(0.05, 0.6)) if rng.random() < 0.25 else 0.0
    soften = int(rng.choice([0, 1, 2, 3, 4, 5]))
    return Hand(face, height, stretch, spacing, way, int(rng.choice(COARSE_SIZES)), soften)


def content(rng: np.random.Generator, book: FontBook, hand: Hand) -> tuple[str, Hand]:
    """What a line says, and the hand to write it with: one line in twenty is in another script, in a face that has it."""
    available = [k for k, faces in enumerate(book.scripts) if faces]
    if available and rng.random() < 0.06:
        script = available[int(rng.integers(len(available)))]
        face = book.scripts[script][0]
        return words.foreign(rng, script), Hand(face, hand.height, hand.stretch, 0.0, "fine", hand.coarse, hand.soften)
    return words.phrase(rng), hand


def _mask(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, text: str, one_bit: bool) -> Alpha:
    """Alpha of `text` from baseline-aligned ink, (h, w) uint8; an empty array when there is no ink."""
    mode = "1" if one_bit or isinstance(font, ImageFont.ImageFont) else "L"
    core = font.getmask(text, mode)
    width, height = core.size
    if width == 0 or height == 0:
        return np.zeros((0, 0), np.uint8)
    return np.frombuffer(bytes(core), np.uint8).reshape(height, width).astype(np.uint8)


def _spaced(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, text: str, one_bit: bool, gap: int) -> Alpha:
    """As _mask, each character in a cell of its own, `gap` px apart."""
    image = Image.new("L", (1, 1))
    _, top, _, bottom = font.getbbox(text)
    height = max(1, int(np.ceil(bottom - top)))
    advances = [max(1, round(float(font.getlength(char)))) + gap for char in text]
    image = Image.new("L", (sum(advances) + 4, height))
    x = 0
    for char, advance in zip(text, advances):
        glyph = _mask(font, char, one_bit)
        if glyph.size:
            left, char_top, _, _ = font.getbbox(char)
            image.paste(Image.fromarray(glyph), (round(x + left), round(char_top - top)))
        x += advance
    return np.asarray(image)


def capital_height(font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> float:
    """Px from the top of an H to its foot."""
    _, top, _, bottom = font.getbbox("H")
    return max(1.0, float(bottom - top))


def _open_near(face: Face, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont | None:
    """The face at `size` or the nearest size it has: bitmap faces have few."""
    for candidate in sorted(DRAW_SIZES + COARSE_SIZES, key=lambda one: abs(one - size)):
        font = open_font(face, candidate)
        if font is not None:
            return font
    return None


def write(hand: Hand, text: str) -> Alpha:
    """Alpha map of one line, (h, w) uint8, cropped to its ink; empty when the face has no ink for it."""
    wanted = hand.height / 0.72  # a capital is about 0.72 of the size
    if hand.way == "coarse":
        size = hand.coarse
    else:
        wanted *= 2.2 if hand.way == "fine" else 1.0
        size = min(DRAW_SIZES, key=lambda one: abs(one - wanted))
    font = _open_near(hand.face, size)
    if font is None:
        return np.zeros((0, 0), np.uint8)
    one_bit = hand.way in ("hard", "coarse")
    scale = hand.height / capital_height(font)
    gap = round(hand.spacing * hand.height / scale)
    try:
        alpha = _spaced(font, text, one_bit, gap) if gap > 0 else _mask(font, text, one_bit)
    except (UnicodeEncodeError, OSError, ValueError):  # the built-in bitmap knows Latin-1 only
        return np.zeros((0, 0), np.uint8)
    return trim(_resized(alpha, scale, hand))


def _resized(alpha: Alpha, scale: float, hand: Hand) -> Alpha:
    """The alpha map at its size on the detector's picture; coarse cells are first enlarged without smoothing."""
    if alpha.size == 0:
        return alpha
    image = Image.fromarray(alpha)
    size = (min(MAX_LINE_PX, max(1, round(image.width * scale * hand.stretch))), max(1, round(image.height * scale)))
    if hand.way == "coarse":
        image = image.resize((image.width * 2, image.height * 2), Image.Resampling.NEAREST)
    if size != image.size:
        image = image.resize(size, Image.Resampling(hand.soften) if scale != 1.0 else Image.Resampling.BOX)
    return np.asarray(image)


def trim(alpha: Alpha) -> Alpha:
    """Without the empty rows and columns around the ink."""
    ink = alpha > 40
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if rows.size == 0:
        return np.zeros((0, 0), np.uint8)
    return alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
