"""What the network is asked for: score, weight and RBOX geometry maps at 1/4 of the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from engines.synth.paint import TextBox

CELL = 4  # detector pixels a cell, each way
TEXT_COVER, TOUCHED = 0.4, 0.1  # a cell is text from 0.4 of its area on; between 0.1 and 0.4 it is nobody's
NARROWEST = 6.0  # px; a thinner box, a lone "1", could otherwise fall between two cells and be nobody's
USUAL_CELLS = 60.0  # cells of an ordinary line; smaller boxes weigh more, so that a lone digit counts
Map = NDArray[np.float32]


@dataclass(frozen=True)
class Targets:
    """score (h/4, w/4) 0 or 1: the whole text box, not EAST's shrunk one, which loses the ends of the glyphs;
    weight (h/4, w/4): how much a cell counts; geometry (5, h/4, w/4): distances top, right, bottom, left in px and the angle."""

    score: Map
    weight: Map
    geometry: Map


def corners(box: TextBox) -> list[tuple[float, float]]:
    """The box's corners in px: top left, top right, bottom right, bottom left as the text runs."""
    right = (math.cos(box.angle), -math.sin(box.angle))
    down = (math.sin(box.angle), math.cos(box.angle))
    half_w, half_h = box.width / 2, box.height / 2
    return [
        (box.cx + u * half_w * right[0] + v * half_h * down[0], box.cy + u * half_w * right[1] + v * half_h * down[1])
        for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]


def _cover(box: TextBox, width: int, height: int) -> Map:
    """Share of each cell that lies in the box, (h/4, w/4)."""
    if box.angle == 0.0:
        edges_x, edges_y = (np.arange(0, size + 1, CELL, dtype=np.float32) for size in (width, height))
        share_x = _overlap(edges_x, box.cx - box.width / 2, box.cx + box.width / 2)
        share_y = _overlap(edges_y, box.cy - box.height / 2, box.cy + box.height / 2)
        return np.asarray(share_y[:, None] * share_x[None], np.float32)
    image = Image.new("L", (width, height))
    ImageDraw.Draw(image).polygon(corners(box), fill=255)
    return np.asarray(image.reduce(CELL), np.float32) / np.float32(255)


def _overlap(edges: Map, low: float, high: float) -> Map:
    shared = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, CELL)
    return np.asarray(shared / CELL, np.float32)


def draw_targets(boxes: tuple[TextBox, ...], width: int, height: int) -> Targets:
    """Maps for a picture of width x height px, both multiples of 4."""
    shape = (height // CELL, width // CELL)
    score, weight = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    geometry = np.zeros((5, *shape), np.float32)
    ys, xs = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) * CELL + CELL / 2
    for thin in boxes:
        box = replace(thin, width=max(thin.width, NARROWEST), height=max(thin.height, NARROWEST))
        cover = _cover(box, width, height)
        text = cover >= TEXT_COVER
        if not box.care:
            weight[cover >= TOUCHED] = 0
            continue
        weight[(cover >= TOUCHED) & ~text & (score == 0)] = 0
        if not text.any():
            continue
        score[text] = 1
        weight[text] = float(np.clip(math.sqrt(USUAL_CELLS / float(text.sum())), 0.7, 3.0))
        across = (xs - box.cx) * math.cos(box.angle) - (ys - box.cy) * math.sin(box.angle)
        along_down = (xs - box.cx) * math.sin(box.angle) + (ys - box.cy) * math.cos(box.angle)
        sides = (along_down + box.height / 2, box.width / 2 - across, box.height / 2 - along_down, across + box.width / 2)
        for channel, side in enumerate(sides):
            geometry[channel][text] = np.maximum(side[text], 0.5)
        geometry[4][text] = box.angle
    return Targets(score, weight, geometry)
