"""Screens laid out as makers of video processors lay them out: where each puts which field, in what hand. Names are invented."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from engines.synth import words
from engines.synth.backgrounds import Backgrounds
from engines.synth.canvas import Colour, Picture
from engines.synth.fonts import FontBook
from engines.synth.paint import Line, Style
from engines.synth.screens import Window, camera
from engines.synth.text import Hand

Rng = np.random.Generator
Say = Callable[[Rng], str]


@dataclass(frozen=True)
class Field:
    """A line of a layout: x, y as shares of the screen's width and height; anchor : 0 left, 1 right; tall : parts of the usual height."""

    x: float
    y: float
    say: Say
    anchor: float = 0.0
    tall: float = 1.0


@dataclass(frozen=True)
class Maker:
    """size : (height, width) px; height : of a capital over the screen's height; bitmap : a one-bit face, enlarged; colours : of which
    each screen has one; outline : px of a dark rim"""

    size: tuple[int, int]
    height: float
    fields: tuple[Field, ...]
    bitmap: bool = False
    colours: tuple[Colour, ...] = ((255, 255, 255),)
    outline: int = 0


def _said(*texts: str) -> Say:
    return lambda rng: texts[int(rng.integers(len(texts)))]


def _after(label: str, say: Say) -> Say:
    return lambda rng: f"{label}{say(rng)}"


def _column(x: float, top: float, step: float, *says: Say) -> tuple[Field, ...]:
    return tuple(Field(x, top + k * step, say) for k, say in enumerate(says))


LEFT = _column(
    0.02, 0.06, 0.055, words.person, _after("ID:", words.identifier), _after("D.O.B.:", words.date), _said("Sex: F", "Sex:  Age:"),
    words.date, words.clock, _said("CVP:1", "SCV------1"), _said("Ct:N  Eh:A3", "Gr:N  Eh:B1"), _after("Comment:", words.sentence),
)  # fmt: skip
MAKERS: dict[str, Maker] = {
    "column": Maker((1080, 1920), 0.022, LEFT),
    "column-bitmap": Maker((576, 720), 0.026, LEFT, bitmap=True, outline=1),
    "corners": Maker(
        (1024, 1280), 0.02,
        (Field(0.02, 0.03, words.person), Field(0.02, 0.07, words.identifier), Field(0.98, 0.03, words.date, 1.0),
         Field(0.98, 0.07, words.clock, 1.0), Field(0.02, 0.93, words.person), Field(0.98, 0.93, words.number, 1.0, 1.5)),
        outline=1,
    ),
    "bar": Maker(
        (720, 1280), 0.024,
        (Field(0.02, 0.95, words.person), Field(0.3, 0.95, words.identifier), Field(0.6, 0.95, words.date), Field(0.85, 0.95, words.clock),
         Field(0.97, 0.03, _said("NBI", "WLI", "LCI", "BLI"), 1.0), Field(0.02, 0.03, words.number, 0.0, 1.6)),
        colours=((255, 255, 255), (240, 190, 60), (120, 230, 130)),
    ),
    "right": Maker(
        (1080, 1440), 0.024,
        tuple(replace(field, x=0.98, anchor=1.0) for field in _column(
            0, 0.05, 0.05, words.person, words.identifier, words.date, words.clock, words.setting, words.setting, words.number)),
        colours=((210, 210, 210), (255, 255, 255)),
    ),
    "ultrasound": Maker(
        (768, 1024), 0.018,
        (*_column(0.01, 0.02, 0.035, words.person, words.identifier, words.date), *_column(0.86, 0.2, 0.04, *([words.setting] * 8)),
         Field(0.99, 0.02, _said("MI 1.1 TIS 0.4", "MI 0.9"), 1.0)),
    ),
}  # fmt: skip


def maker_lines(rng: Rng, book: FontBook, store: Backgrounds, name: str, size: tuple[int, int] | None = None) -> tuple[Picture, list[Line]]:
    """A maker's screen without text, (h, w, 3) uint8, and what to write on it; size : (height, width) instead of the maker's own."""
    maker = MAKERS[name]
    height, width = size or maker.size
    pixels = camera(rng, store, Window(width, height, 0, 0, width, height))
    pool = book.bitmap if maker.bitmap and book.bitmap else book.latin
    face = pool[int(rng.integers(len(pool)))]
    style = Style(maker.colours[int(rng.integers(len(maker.colours)))], outline=maker.outline)
    lines = []
    for field in maker.fields:
        hand = Hand(face, maker.height * height * field.tall, way="coarse" if maker.bitmap else "fine")
        lines.append(Line(field.say(rng), hand, style, field.x * width, field.y * height, field.anchor))
    return pixels, lines
