"""Backgrounds other than a camera's view: report pages, bones, one colour, patterns. (h, w, 3) uint8, never with text."""

from __future__ import annotations

import numpy as np

from engines.synth.artefacts import rules
from engines.synth.canvas import Picture, drawn, grain


def ground(rng: np.random.Generator, side: int) -> Picture:
    """One of the below, side x side px."""
    kind = rng.random()
    if kind < 0.35:
        return plain(rng, side)
    if kind < 0.65:
        return page(rng, side)
    if kind < 0.85:
        return bones(rng, side)
    return pattern(rng, side)


def plain(rng: np.random.Generator, side: int) -> Picture:
    """The study's blocking of the full image: one colour, mostly black or grey."""
    level = int(rng.integers(0, 60)) if rng.random() < 0.7 else int(rng.integers(60, 230))
    picture = np.full((side, side, 3), level, np.uint8)
    if rng.random() < 0.3:
        picture[:] = rng.integers(0, 140, 3).astype(np.uint8)
    return picture


def page(rng: np.random.Generator, side: int) -> Picture:
    """White or pale paper, at times ruled or with a coloured band."""
    picture = np.full((side, side, 3), rng.integers(225, 256, 3).astype(np.uint8), np.uint8)
    if rng.random() < 0.5:
        rules(rng, picture)
    if rng.random() < 0.3:
        top = int(rng.uniform(0, side))
        picture[top : top + int(rng.uniform(10, 80))] = rng.integers(0, 256, 3).astype(np.uint8)
    return picture


def bones(rng: np.random.Generator, side: int) -> Picture:
    """A radiograph: smooth grey shapes with bright rims, and the fine mesh of cancellous bone."""
    level = 70 + 50 * grain(rng, side, side, float(rng.uniform(40, 160)))[:, :, 0]
    for _ in range(int(rng.integers(1, 7))):
        cx, cy, a, b = rng.uniform(0, side), rng.uniform(0, side), rng.uniform(15, 160), rng.uniform(10, 60)
        shape = drawn(side, side, "ellipse", [(cx - a, cy - b), (cx + a, cy + b)], 0, 2.0).astype(np.float32) / 255
        rim = drawn(side, side, "ellipse", [(cx - a, cy - b), (cx + a, cy + b)], int(rng.integers(1, 6)), 1.2).astype(np.float32) / 255
        mesh = grain(rng, side, side, float(rng.uniform(1.2, 3.5)))[:, :, 0]
        level += shape * (35 + mesh * rng.uniform(5, 30)) + rim * rng.uniform(20, 80)
    grey = np.clip(level, 0, 255).astype(np.uint8)
    return np.repeat((255 - grey if rng.random() < 0.15 else grey)[:, :, None], 3, axis=2)


def pattern(rng: np.random.Generator, side: int) -> Picture:
    """Squares or noise, as test pictures and dead inputs show."""
    if rng.random() < 0.5:
        rows, columns = np.mgrid[0:side, 0:side] // int(rng.choice([1, 2, 4, 8, 12, 24]))
        grey = ((rows + columns) % 2 * int(rng.integers(60, 256))).astype(np.uint8)
    else:
        grey = rng.integers(0, int(rng.integers(60, 256)), (side, side)).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
