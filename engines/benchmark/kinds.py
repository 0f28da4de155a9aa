"""The kinds of the benchmark: one way each in which text, or what looks like it, is on a screen.

A kind draws one picture from a random generator: everything else about the picture is drawn too, so that a kind's pictures differ in
all but the one thing it is named after.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from engines.benchmark.screens import MAKERS, maker_lines
from engines.synth import artefacts, decoys, marks, overlays, text, words
from engines.synth.backgrounds import Backgrounds, bubbles, view
from engines.synth.canvas import Colour, Picture
from engines.synth.fonts import FontBook
from engines.synth.grounds import bones, page, pattern
from engines.synth.paint import Ink, Line, Style, paint
from engines.synth.screens import saturate

FULL_HD, PAL, UHD = (1080, 1920), (576, 720), (2160, 3840)
WORDS = 3  # lines of text a picture, where the kind does not say otherwise
Rng = np.random.Generator


@dataclass
class Scene:
    """A picture being drawn: pixels (h, w, 3) uint8, and the ink of each piece of text so far, (h, w) bool each."""

    pixels: Picture
    pieces: list[tuple[str, Ink]]

    def write(self, line: Line) -> None:
        """Paint a line that is not wanted elsewhere; what reaches over an earlier one or out of the picture is left away."""
        before, width = self.pixels.copy(), self.pixels.shape[1]
        ink: Ink = np.zeros(before.shape[:2], bool)
        boxes = paint(self.pixels, line, ink=ink)
        inside = all(box.cx - box.width / 2 >= 2 and box.cx + box.width / 2 <= width - 2 for box in boxes)
        if not boxes or not inside or any((ink & other).any() for _, other in self.pieces):
            self.pixels[:] = before
            return
        self.pieces.append((line.text, ink))


@dataclass(frozen=True)
class Kit:
    """What kinds draw with."""

    book: FontBook
    store: Backgrounds


Draw = Callable[[Rng, Kit], Scene]


def empty(rng: Rng, kit: Kit, size: tuple[int, int] = FULL_HD) -> Scene:
    """A camera's view that fills the picture; size : (height, width)."""
    return Scene(view(rng, kit.store, size[1], size[0]), [])


def hand_of(rng: Rng, kit: Kit, height: float) -> text.Hand:
    """A plain outline hand, its letters close to each other."""
    face = kit.book.latin[int(rng.integers(len(kit.book.latin)))]
    return text.Hand(face, height, way="fine")


def lines(
    rng: Rng, kit: Kit, scene: Scene, height: float, *, style: Style | None = None, turn: float = 0.0, count: int = WORDS, **changes: object
) -> Scene:
    """Write `count` invented names, dates and numbers of `height` px anywhere; style : white where none is given."""
    rows, columns = scene.pixels.shape[:2]
    for _ in range(12 * count):
        if len(scene.pieces) >= count:
            break
        said = str(changes.get("said") or words.pick(rng, [words.person(rng), words.date(rng), words.identifier(rng), words.labelled(rng)]))
        hand = replace(hand_of(rng, kit, height), spacing=float(changes.get("spacing", 0.0)))  # type: ignore[arg-type]
        x, y = float(rng.uniform(0.02, 0.75)) * columns, float(rng.uniform(0.03, 0.92)) * rows
        most = max(1, int((columns - x) / (height * (0.75 + hand.spacing))))
        scene.write(Line(said[:most], hand, style or Style((255, 255, 255)), x, y, 0.0, turn, bool(changes.get("mirrored"))))
    return scene


def sized(height: float, size: tuple[int, int], rng: Rng, kit: Kit) -> Scene:
    return lines(rng, kit, empty(rng, kit, size), height)


def turned(degrees: float, rng: Rng, kit: Kit) -> Scene:
    return lines(rng, kit, empty(rng, kit), 28, turn=math.radians(degrees))


def styled(height: float, style: Callable[[Rng], Style], rng: Rng, kit: Kit) -> Scene:
    return lines(rng, kit, empty(rng, kit), height, style=style(rng))


def contrast(levels: float, rng: Rng) -> Style:
    sign = 1 if rng.random() < 0.5 else -1
    return Style((0, 0, 0), shift=(sign * levels, sign * levels, sign * levels))


def channel(number: int, rng: Rng) -> Style:
    shift = [0.0, 0.0, 0.0]
    shift[number] = 90.0 if rng.random() < 0.5 else -90.0
    return Style((0, 0, 0), shift=(shift[0], shift[1], shift[2]))


def isoluminant(rng: Rng) -> Style:
    red = 60.0 if rng.random() < 0.5 else -60.0
    return Style((0, 0, 0), shift=(red, -(0.299 + 0.5 * 0.114) * red / 0.587, 0.5 * red))


def woven(weave: str, rng: Rng) -> Style:
    return Style((0, 0, 0), shift=(80, 80, 80), weave=weave)


def painted(colour: Colour, opacity: float, rng: Rng) -> Style:
    return Style(colour, opacity)


def watermark(opacity: float, rng: Rng, kit: Kit) -> Scene:
    scene = empty(rng, kit)
    rows, columns = scene.pixels.shape[:2]
    line = overlays.watermark(rng, kit.book, (0, 0, columns, rows))
    hand, said = replace(line.hand, height=float(rng.uniform(0.06, 0.2)) * rows), words.surname(rng).upper()
    scene.write(replace(line, text=said, hand=hand, style=Style((255, 255, 255), opacity), x=columns / 2, y=rows * 0.4, anchor=0.5))
    return scene


def overexposed(rng: Rng, kit: Kit) -> Scene:
    """Pale letters, some of them on white, some half on white."""
    scene = empty(rng, kit)
    for _ in range(3):
        saturate(rng, scene.pixels)
    return lines(rng, kit, scene, 24, style=Style((245, 245, 245), float(rng.uniform(0.6, 1.0)), outline=1, rim=(190, 190, 190)), count=5)


def alone(rng: Rng, kit: Kit) -> Scene:
    scene = empty(rng, kit)
    artefacts.marks(rng, scene.pixels)
    for _ in range(5):
        lines(rng, kit, scene, 24, said=words.digits(rng)[:1], count=len(scene.pieces) + 1)
    return scene


def code(rng: Rng, kit: Kit) -> Scene:
    scene = empty(rng, kit)
    before = scene.pixels.copy()
    box = marks.draw_code(rng, scene.pixels)
    if box:
        changed = (scene.pixels != before).any(axis=2)
        dark = scene.pixels.max(axis=2) < 60
        scene.pieces.append(("code", changed & dark))
    return scene


def script(number: int, rng: Rng, kit: Kit) -> Scene:
    scene = empty(rng, kit)
    faces = kit.book.scripts[number]
    for _ in range(WORDS if faces else 0):
        hand = text.Hand(faces[int(rng.integers(len(faces)))], 28, way="fine")
        x, y = float(rng.uniform(0.02, 0.6)) * FULL_HD[1], float(rng.uniform(0.05, 0.9)) * FULL_HD[0]
        scene.write(Line(words.foreign(rng, number), hand, Style((255, 255, 255)), x, y))
    return scene


def screen(maker: str, rng: Rng, kit: Kit, size: tuple[int, int] | None = None) -> Scene:
    """A whole screen in a maker's layout."""
    pixels, written = maker_lines(rng, kit.book, kit.store, maker, size)
    scene = Scene(pixels, [])
    for line in written:
        scene.write(line)
    return scene


def montage(side: int, rng: Rng, kit: Kit) -> Scene:
    """side x side screens of 960 x 768 px in one picture."""
    height, width = 768, 960
    whole = Scene(np.zeros((side * height, side * width, 3), np.uint8), [])
    for top, left in ((row * height, column * width) for row in range(side) for column in range(side)):
        place = np.s_[top : top + height, left : left + width]
        one = screen(list(MAKERS)[int(rng.integers(len(MAKERS)))], rng, kit, (height, width))
        whole.pixels[place] = one.pixels
        for said, part in one.pieces:
            ink: Ink = np.zeros(whole.pixels.shape[:2], bool)
            ink[place] = part
            whole.pieces.append((said, ink))
    return whole


def over(make: Callable[[Rng, int], Picture], rng: Rng, kit: Kit) -> Scene:
    picture = make(rng, FULL_HD[1])[: FULL_HD[0]].copy()
    dark = picture.mean() > 150
    return lines(rng, kit, Scene(picture, []), 28, style=Style((0, 0, 0) if dark else (255, 255, 255)))


def free_of_text(decoy: Callable[[Rng, Picture], None] | None, rng: Rng, kit: Kit) -> Scene:
    """No text at all: whatever is removed is removed in vain."""
    scene = empty(rng, kit, (576, 960))
    for _ in range(4):
        if decoy is not None:
            decoy(rng, scene.pixels)
    return scene


HEIGHTS = (6, 7, 8, 9, 10, 12, 16, 24, 48, 96, 128, 200, 280, 360)
SCRIPTS = ("greek", "cyrillic", "han", "kana", "hangul", "arabic", "devanagari", "thai", "hebrew", "bengali", "tamil")
DECOYS: dict[str, Callable[[Rng, Picture], None] | None] = {
    "nothing": None, "dashes": artefacts.dashes, "foam": artefacts.foam, "twins": artefacts.twins, "rings": artefacts.rings,
    "streaks": artefacts.streaks, "movement": artefacts.movement, "doppler": artefacts.doppler, "rules": artefacts.rules,
    "marks": artefacts.marks, "dots": decoys.dots, "specks": decoys.specks, "bubbles": bubbles, "icons": decoys.icon,
    "gauges": decoys.gauge, "ticks": decoys.ticks, "bars": decoys.bar, "thumbnails": decoys.thumbnail,
}  # fmt: skip
KINDS: dict[str, Draw] = {
    **{f"height-1080-{h:03}": partial(sized, float(h), FULL_HD) for h in HEIGHTS},
    **{f"height-576-{h:03}": partial(sized, float(h), PAL) for h in (6, 8, 10, 14, 20, 48, 96)},
    **{f"height-2160-{h:03}": partial(sized, float(h), UHD) for h in (12, 16, 24, 48)},
    **{f"angle-{a:03}": partial(turned, float(a)) for a in (10, 20, 30, 45, 60, 90, 180, 270)},
    **{f"contrast-{c:03}": partial(styled, 28.0, partial(contrast, float(c))) for c in (12, 16, 20, 30, 40, 60, 80, 120)},
    **{f"opacity-{o:02}": partial(styled, 28.0, partial(painted, (255, 255, 255), o / 100)) for o in (12, 20, 30, 50, 70)},
    **{f"watermark-{o:02}": partial(watermark, o / 100) for o in (8, 12, 20, 40)},
    **{f"channel-{name}": partial(styled, 28.0, partial(channel, k)) for k, name in enumerate(("red", "green", "blue"))},
    **{f"woven-{weave}": partial(styled, 28.0, partial(woven, weave)) for weave in ("checker", "rows", "columns")},
    "isoluminant": partial(styled, 28.0, isoluminant),
    "overexposed": overexposed,
    "alone": alone,
    "spaced": lambda rng, kit: lines(rng, kit, empty(rng, kit), 24, spacing=1.5),
    "mirrored": lambda rng, kit: lines(rng, kit, empty(rng, kit), 28, mirrored=True),
    "code": code,
    "over-page": partial(over, page),
    "over-bones": partial(over, bones),
    "over-pattern": partial(over, pattern),
    **{f"script-{name}": partial(script, k) for k, name in enumerate(SCRIPTS)},
    **{f"screen-{maker}": partial(screen, maker) for maker in MAKERS},
    **{f"montage-{n}x{n}": partial(montage, n) for n in (2, 4)},
    **{f"free-{name}": partial(free_of_text, decoy) for name, decoy in DECOYS.items()},
}  # fmt: skip
