"""More hard negatives: what real scopes, lamps and recorders leave in a picture, and what an earlier network took for text in it.
All are drawn in place."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from engines.synth.canvas import Colour, Picture, blend, drawn, grain

WARM_WHITE: Colour = (255, 252, 245)


def dashes(rng: np.random.Generator, picture: Picture) -> None:
    """A broken line of one or two px along an edge, as aliasing draws it along the camera's octagon."""
    height, width = picture.shape[:2]
    heading = float(rng.choice([0, np.pi / 2, np.pi / 4, -np.pi / 4])) + (float(rng.normal(0, 0.05)) if rng.random() < 0.5 else 0.0)
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    length, on, off = float(rng.uniform(0.2, 1.2)) * width, float(rng.uniform(1, 12)), float(rng.uniform(1, 9))
    layer = Image.new("L", (width, height))
    pen, along = ImageDraw.Draw(layer), 0.0
    while along < length:
        run = on * float(rng.uniform(0.4, 1.6))
        a, b = along, along + run
        ends = [(x + np.cos(heading) * t, y + np.sin(heading) * t) for t in (a, b)]
        pen.line(ends, int(rng.integers(90, 256)), int(rng.choice([1, 1, 2])))
        along = b + off * float(rng.uniform(0.4, 1.6))
    level = int(rng.integers(60, 256))
    blend(picture, np.asarray(layer), 0, 0, (level, level, level), float(rng.uniform(0.4, 1)))


def foam(rng: np.random.Generator, picture: Picture) -> None:
    """A field of bubbles that touch: bright thin walls, a glint in each, larger ones in front."""
    height, width = picture.shape[:2]
    x, y, spread = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(30, 150)
    smallest = float(rng.uniform(1.5, 6))
    layer, glints = Image.new("L", (width, height)), Image.new("L", (width, height))
    walls, spots = ImageDraw.Draw(layer), ImageDraw.Draw(glints)
    for _ in range(int(rng.integers(60, 400))):
        r = smallest * float(1 + rng.gamma(1.2, 0.8))
        px, py = x + rng.normal(0, spread), y + rng.normal(0, spread * 0.7)
        walls.ellipse([px - r, py - r, px + r, py + r], fill=int(rng.integers(0, 60)), outline=int(rng.integers(120, 256)))
        g = max(0.5, r * 0.2)
        spots.ellipse([px - r * 0.4 - g, py - r * 0.4 - g, px - r * 0.4 + g, py - r * 0.4 + g], fill=255)
    tint = (int(rng.integers(215, 256)), int(rng.integers(200, 256)), int(rng.integers(150, 250)))
    blend(picture, np.asarray(layer), 0, 0, tint, float(rng.uniform(0.3, 0.9)))
    blend(picture, np.asarray(glints), 0, 0, WARM_WHITE, float(rng.uniform(0.5, 1)))


def twins(rng: np.random.Generator, picture: Picture) -> None:
    """Highlights of a lamp with two exits: pairs of short strokes beside each other, like "ıı"."""
    height, width = picture.shape[:2]
    size, heading = float(np.exp(rng.uniform(np.log(2), np.log(12)))), float(rng.normal(np.pi / 2, 0.4))
    gap, x, y, spread = size * float(rng.uniform(0.5, 1.4)), rng.uniform(0, width), rng.uniform(0, height), float(rng.uniform(10, 90))
    for _ in range(int(rng.integers(1, 9))):
        px, py = x + rng.normal(0, spread), y + rng.normal(0, spread)
        for k in (-1, 1):
            side = int(4 * size) + 6
            middle, dx, dy = side / 2, np.cos(heading) * size, np.sin(heading) * size
            stroke = drawn(side, side, "line", [(middle - dx, middle - dy), (middle + dx, middle + dy)], max(1, int(size * 0.5)), 0.6)
            across = k * gap / 2
            blend(
                picture, stroke, int(px - middle - np.sin(heading) * across), int(py - middle + np.cos(heading) * across), WARM_WHITE, 0.95
            )


def rings(rng: np.random.Generator, picture: Picture) -> None:
    """Thin circles and arcs on tissue: the mouths of glands, bands, the rim of a cap."""
    height, width = picture.shape[:2]
    for _ in range(int(rng.integers(1, 6))):
        r = float(np.exp(rng.uniform(np.log(3), np.log(60))))
        side = int(2 * r) + 8
        ring = np.asarray(
            drawn(side, side, "ellipse", [(3, 3), (3 + 2 * r, 3 + 2 * r * rng.uniform(0.6, 1))], int(rng.integers(1, 3)), 0.6)
        ).copy()
        if rng.random() < 0.5:
            ring[:, : int(side * rng.uniform(0.1, 0.7))] = 0
        colour: Colour = WARM_WHITE if rng.random() < 0.6 else (60, 10, 10)
        blend(picture, ring, int(rng.uniform(-r, width)), int(rng.uniform(-r, height)), colour, float(rng.uniform(0.3, 1)))


def streaks(rng: np.random.Generator, picture: Picture) -> None:
    """Bright streaks with the echoes that an analogue line's ringing draws to their right."""
    height, width = picture.shape[:2]
    for _ in range(int(rng.integers(1, 4))):
        long, thick = float(rng.uniform(8, 90)), int(rng.integers(2, 12))
        side = int(long) + 12
        turn = float(rng.uniform(0, np.pi))
        dx, dy = np.cos(turn) * long / 2, np.sin(turn) * long / 2
        shape = drawn(side, side, "line", [(side / 2 - dx, side / 2 - dy), (side / 2 + dx, side / 2 + dy)], thick, 0.8)
        x, y, period = int(rng.uniform(-20, width)), int(rng.uniform(-20, height)), int(rng.integers(3, 12))
        for echo in range(int(rng.integers(1, 7)), 0, -1):
            dark = echo % 2 == 1
            blend(picture, shape, x + echo * period, y, (30, 10, 10) if dark else WARM_WHITE, 0.5 * 0.75**echo)
        blend(picture, shape, x, y, WARM_WHITE, float(rng.uniform(0.7, 1)))


def movement(rng: np.random.Generator, picture: Picture) -> None:
    """Colours apart: a scope that shows red, green and blue one after the other sees fast movement in three places."""
    step = np.round(rng.normal(0, 5, 2)).astype(int)
    for k, channel in enumerate((0, 1, 2)):
        picture[:, :, channel] = np.roll(picture[:, :, channel], tuple((k - 1) * step), axis=(0, 1))
    if rng.random() < 0.3:
        picture[1::2] = np.roll(picture[1::2], int(rng.integers(2, 9)), axis=1)


def doppler(rng: np.random.Generator, picture: Picture) -> None:
    """Blocky patches of red and blue flow, with their bar of colours at times."""
    height, width = picture.shape[:2]
    w, h = int(rng.uniform(0.15, 0.6) * width), int(rng.uniform(0.15, 0.6) * height)
    x, y = int(rng.uniform(0, width - w)), int(rng.uniform(0, height - h))
    cell = int(rng.integers(2, 6))
    flow = np.kron(grain(rng, w // cell + 1, h // cell + 1, float(rng.uniform(2, 10)))[:, :, 0], np.ones((cell, cell)))[:h, :w]
    level = np.clip(np.abs(flow) * 260, 0, 255).astype(np.uint8)[..., None]
    warm = np.concatenate([level, level // 3, np.zeros_like(level)], axis=2)
    shown = np.where(flow[..., None] > 0, warm, warm[:, :, ::-1])
    there = np.abs(flow) > rng.uniform(0.2, 0.8)
    picture[y : y + h, x : x + w][there] = shown[there]
    if rng.random() < 0.4:
        ramp = np.linspace(1, -1, int(rng.integers(40, 160)))[:, None]
        bar = np.concatenate([np.clip(ramp, 0, 1), np.zeros_like(ramp), np.clip(-ramp, 0, 1)], axis=1) * 255
        tall, wide = min(height, len(ramp)), int(rng.integers(5, 16))
        picture[:tall, :wide] = bar[:tall, None].astype(np.uint8)


def rules(rng: np.random.Generator, picture: Picture) -> None:
    """The lines of a table, often faint."""
    height, width = picture.shape[:2]
    level = int(rng.integers(0, 256))
    opacity = float(rng.uniform(0.15, 0.9))
    pitch, at = float(rng.uniform(12, 60)), float(rng.uniform(0, 30))
    while at < height:
        blend(picture, np.full((int(rng.integers(1, 3)), width), 255, np.uint8), 0, int(at), (level, level, level), opacity)
        at += pitch
    for _ in range(int(rng.integers(0, 6))):
        blend(picture, np.full((height, 1), 255, np.uint8), int(rng.integers(0, width)), 0, (level, level, level), opacity)


def marks(rng: np.random.Generator, picture: Picture) -> None:
    """The carets, diamonds and dots of a depth scale, in a column."""
    height, width = picture.shape[:2]
    size, step = int(rng.integers(4, 12)), float(rng.uniform(14, 60))
    x, y = int(rng.uniform(0, width)), float(rng.uniform(0, 40))
    kind = int(rng.integers(4))
    shapes = (
        [(0, 0), (size, size / 2), (0, size)],
        [(size, 0), (0, size / 2), (size, size)],
        [(size / 2, 0), (size, size / 2), (size / 2, size), (0, size / 2)],
    )
    if kind < len(shapes):
        alpha = drawn(size + 1, size + 1, "polygon", [(float(u), float(v)) for u, v in shapes[kind]], int(rng.integers(0, 2)))
    else:
        alpha = drawn(size + 1, size + 1, "ellipse", [(1, 1), (size / 2, size / 2)])
    while y < height:
        blend(picture, alpha, x, int(y), (255, 255, 255), float(rng.uniform(0.6, 1)))
        y += step
