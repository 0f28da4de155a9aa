"""Hard negatives: things on an endoscopy screen that look like text and are none. All are drawn in place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from engines.synth import artefacts
from engines.synth.backgrounds import bubbles, highlights, instrument
from engines.synth.canvas import Colour, Picture, blend, drawn, grain

LIGHT: tuple[Colour, ...] = ((255, 255, 255), (210, 210, 210), (240, 190, 60), (90, 220, 90), (90, 160, 255))


def _place(rng: np.random.Generator, picture: Picture, side: int) -> tuple[int, int]:
    height, width = picture.shape[:2]
    return int(rng.integers(-side // 3, max(1, width - side // 2))), int(rng.integers(-side // 3, max(1, height - side // 2)))


def _light(rng: np.random.Generator) -> Colour:
    return LIGHT[min(int(rng.exponential(1.2)), len(LIGHT) - 1)]


def dots(rng: np.random.Generator, picture: Picture) -> None:
    """Highlights lined up in rows."""
    highlights(rng, picture, rows=True)


def specks(rng: np.random.Generator, picture: Picture) -> None:
    """A wet patch that glitters: irregular white flecks, some joined, as dense as letters."""
    h, w = int(rng.integers(8, 60)), int(rng.integers(12, 140))
    bumps = grain(rng, w, h, float(rng.uniform(1.6, 6.0)))[:, :, 0]
    alpha = np.clip((bumps - rng.uniform(0.2, 1.2)) * rng.uniform(200, 900), 0, 255).astype(np.uint8)
    patch = drawn(w, h, "ellipse", [(0, 0), (w - 1, h - 1)], 0, 1.0)
    alpha = np.where(patch > 127, alpha, 0).astype(np.uint8)
    if rng.random() < 0.5:
        alpha = np.asarray(Image.fromarray(alpha).rotate(float(rng.uniform(0, 180)), Image.Resampling.BILINEAR, expand=True))
    x, y = _place(rng, picture, max(alpha.shape))
    blend(picture, alpha, x, y, (255, 255, int(rng.integers(225, 256))), float(rng.uniform(0.7, 1)))


def icon(rng: np.random.Generator, picture: Picture) -> None:
    """A pictogram anywhere, often on a black square."""
    side = int(rng.integers(8, 34))
    x, y = _place(rng, picture, side)
    if rng.random() < 0.5:
        pad = int(rng.integers(1, 5))
        solid = np.full((side + 2 + 2 * pad, side + 2 + 2 * pad), 255, np.uint8)
        blend(picture, solid, x - pad, y - pad, (0, 0, 0), float(rng.uniform(0.5, 1)))
    icon_at(rng, picture, side, (x, y))


def icon_at(rng: np.random.Generator, picture: Picture, side: int, at: tuple[int, int]) -> None:
    """A square or round pictogram of `side` px, a frame with a smaller shape inside, its corner at `at`."""
    image = Image.new("L", (side + 2, side + 2))
    pen = ImageDraw.Draw(image)
    line = int(rng.integers(1, 1 + max(2, side // 6)))
    (pen.rectangle if rng.random() < 0.7 else pen.ellipse)([1, 1, side, side * rng.uniform(0.7, 1)], outline=255, width=line)
    inner = side * rng.uniform(0.15, 0.4)
    kind = rng.random()
    if kind < 0.5:
        pen.rectangle([inner, inner, side - inner, side * 0.85 - inner + 1], outline=255, width=int(rng.integers(1, 3)))
    elif kind < 0.7:
        pen.ellipse([inner, inner, side - inner, side - inner], fill=int(rng.integers(120, 256)))
    elif kind < 0.85:
        pen.polygon([(inner, side * 0.8), (side / 2, inner), (side - inner, side * 0.8)], fill=255)
    blend(picture, np.asarray(image), *at, _light(rng), float(rng.uniform(0.6, 1)))


def gauge(rng: np.random.Generator, picture: Picture) -> None:
    """A ring or octagon, empty or with a sector, as around a channel size."""
    side = int(rng.integers(16, 60))
    x, y = _place(rng, picture, side)
    if rng.random() < 0.5:
        a, b = side * 0.3, side * 0.7
        shape = [(a, 1), (b, 1), (side - 1, a), (side - 1, b), (b, side - 1), (a, side - 1), (1, b), (1, a)]
        ring = drawn(side, side, "polygon", [(float(u), float(v)) for u, v in shape], int(rng.integers(1, 3)))
    else:
        ring = drawn(side, side, "ellipse", [(1, 1), (side - 2, side - 2)], int(rng.integers(1, 4)))
    blend(picture, ring, x, y, _light(rng))


def ticks(rng: np.random.Generator, picture: Picture) -> None:
    """A scale: short strokes at equal distances, every fifth longer, with or without its line."""
    step, count, long = int(rng.integers(3, 16)), int(rng.integers(5, 40)), int(rng.integers(5, 16))
    width = step * count + 2
    alpha: NDArray[np.uint8] = np.zeros((long + 1, width), np.uint8)
    for k in range(count):
        alpha[: long if k % 5 == 0 else max(2, long // 2), k * step : k * step + 1] = 255
    if rng.random() < 0.6:
        alpha[0] = 255
    if rng.random() < 0.5:
        alpha = np.ascontiguousarray(alpha.T)
    x, y = _place(rng, picture, max(alpha.shape))
    blend(picture, alpha, x, y, _light(rng), float(rng.uniform(0.5, 1)))


def bar(rng: np.random.Generator, picture: Picture) -> None:
    """A filled or graded bar, a cursor block, a row of placeholder squares."""
    h, w = int(rng.integers(5, 26)), int(rng.integers(9, 120))
    alpha: NDArray[np.uint8] = np.full((h, w), 255, np.uint8)
    kind = rng.random()
    if kind < 0.35:
        alpha[:] = np.linspace(0, 255, w).astype(np.uint8)[None]
    elif kind < 0.6:
        alpha[1:-1, 1:-1] = 0
    if rng.random() < 0.4:
        alpha = np.ascontiguousarray(alpha.T)
    x, y = _place(rng, picture, max(h, w))
    blend(picture, alpha, x, y, _light(rng), float(rng.uniform(0.4, 1)))


def strokes(rng: np.random.Generator, picture: Picture) -> None:
    """Crosses, arrows, frames and measuring lines."""
    height, width = picture.shape[:2]
    x, y, size = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(5, 60)
    line = int(rng.integers(1, 3))
    kind = rng.random()
    if kind < 0.35:
        parts = [[(x - size, y), (x + size, y)], [(x, y - size), (x, y + size)]]
    elif kind < 0.6:
        end = (x + rng.uniform(-1, 1) * size, y + rng.uniform(-1, 1) * size)
        parts = [[(x, y), end], [(x, y), (x + 5, y + 1)], [(x, y), (x + 1, y + 5)]]
    else:
        parts = [[(x, y), (x + 3 * size, y), (x + 3 * size, y + 2 * size), (x, y + 2 * size), (x, y)]]
    colour = _light(rng)
    for part in parts:
        blend(picture, drawn(width, height, "line", part, line), 0, 0, colour)


def thumbnail(rng: np.random.Generator, picture: Picture) -> None:
    """A small earlier picture with a frame."""
    height, width = picture.shape[:2]
    h, w = int(rng.integers(30, 110)), int(rng.integers(30, 130))
    small = np.asarray(Image.fromarray(picture).resize((w, h), Image.Resampling.BOX))[:, ::-1]
    x, y = int(rng.integers(0, max(1, width - w))), int(rng.integers(0, max(1, height - h)))
    picture[y : y + h, x : x + w] = small[: height - y, : width - x]
    if rng.random() < 0.6:
        outline = np.zeros((h, w), np.uint8)
        outline[[0, -1]], outline[:, [0, -1]] = 255, 255
        blend(picture, outline, x, y, _light(rng))


KINDS: tuple[tuple[Callable[[np.random.Generator, Picture], None], float], ...] = (
    (dots, 0.17), (specks, 0.14), (bubbles, 0.06), (icon, 0.16), (gauge, 0.09), (ticks, 0.09), (bar, 0.09), (strokes, 0.05),
    (instrument, 0.04), (thumbnail, 0.06), (artefacts.dashes, 0.08), (artefacts.foam, 0.08), (artefacts.twins, 0.07),
    (artefacts.rings, 0.06), (artefacts.streaks, 0.06), (artefacts.movement, 0.05), (artefacts.doppler, 0.05), (artefacts.rules, 0.03),
    (artefacts.marks, 0.05),
)  # fmt: skip
_WEIGHTS = np.cumsum([weight for _, weight in KINDS]) / sum(weight for _, weight in KINDS)


def draw_decoys(rng: np.random.Generator, picture: Picture, most: int = 4) -> None:
    """One to `most` of the above."""
    for _ in range(int(rng.integers(1, most + 1))):
        KINDS[int(np.searchsorted(_WEIGHTS, rng.random()))][0](rng, picture)
