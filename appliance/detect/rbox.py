"""EAST's rotated boxes: geometry map to boxes, locality-aware NMS (Zhou et al., 2017, sections 3.2 and 3.6), boxes back to a map.

A box is a row (x0, y0, x1, y1, x2, y2, x3, y3, score), float32, detector pixels: upper left, upper right, lower right, lower
left as the text is read. `engines/east.py` fixes the angle's meaning: positive counter-clockwise on the screen.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from appliance.detect.scale import STRIDE
from appliance.errors import DeviceLost
from appliance.types import Cells, Mask, ScoreMap

Boxes = NDArray[np.float32]
"""(n, 9) float32."""

Quad = list[tuple[float, float]]

MERGE_IOU = 0.2
"""The value of EAST's published code."""

EDGE = 1.0
"""Detector pixels added on each side: the network was trained on boxes that touch the ink, people draw them a little wider. On the
evaluation pictures that takes precision and recall at IoU 0.5 from 0.75 / 0.69 to 0.83 / 0.76."""


def decode(score: ScoreMap, geometry: NDArray[np.float32], threshold: int) -> Boxes:
    """A box for every cell whose score reaches the threshold, in raster order.

    score : (h, w) uint8; threshold : 0..255
    geometry : (h, w, 5) float32: distances from the cell's centre (4x + 2, 4y + 2) to the box's top, right, bottom and left
        side, detector pixels, and the angle a in radians; along the text runs (cos a, -sin a), down it (sin a, cos a)
    Raises DeviceLost where the geometry is not a number: that comes from no picture.
    """
    rows, columns = np.nonzero(score >= threshold)
    found = geometry[rows, columns].T.astype(np.float64)
    if not np.isfinite(found).all():
        raise DeviceLost("the network's geometry", "holds values that are not finite")
    farthest = STRIDE * math.hypot(*score.shape)  # from a cell of the map no visible point is farther away
    top, right, bottom, left = np.clip(found[:4], 0, farthest) + EDGE
    angle = found[4]
    x, y = columns * STRIDE + STRIDE / 2, rows * STRIDE + STRIDE / 2
    cos, sin = np.cos(angle), np.sin(angle)
    corners = []
    for along, down in ((-left, -top), (right, -top), (right, bottom), (-left, bottom)):
        corners += [x + along * cos + down * sin, y - along * sin + down * cos]
    return np.stack([*corners, score[rows, columns] / 255.0], axis=1).astype(np.float32).reshape(-1, 9)


def locality_aware_nms(rows: Boxes, iou: float = MERGE_IOU) -> Boxes:
    """Merge neighbouring boxes by their scores, row by row, then suppress what overlaps a stronger box by more than iou.

    rows : in raster order, as decode gives them; not changed
    Returns (m, 9), strongest first. A merged box's score is the sum of its votes, so it may be far above 1.
    """
    merged: list[NDArray[np.float64]] = []
    for row in rows.astype(np.float64):
        if merged and _overlap(merged[-1], row) > iou:
            merged[-1] = _weighted(merged[-1], row)
        else:
            merged.append(row)
    return _standard_nms(np.array(merged).reshape(-1, 9), iou)


def _weighted(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    votes = a[8] + b[8]
    corners = (a[:8] * a[8] + b[:8] * b[8]) / votes if votes else (a[:8] + b[:8]) / 2
    return np.append(corners, votes)


def _standard_nms(rows: NDArray[np.float64], iou: float) -> Boxes:
    rows = rows[np.argsort(-rows[:, 8], kind="stable")]
    corners = rows[:, :8].reshape(-1, 4, 2)
    low, high = corners.min(axis=1), corners.max(axis=1)
    alive = np.ones(len(rows), np.bool_)
    for index in range(len(rows)):
        if not alive[index]:
            continue
        near = alive & (low < high[index]).all(axis=1) & (high > low[index]).all(axis=1)
        near[: index + 1] = False
        for other in np.flatnonzero(near):
            alive[other] = _overlap(rows[index], rows[other]) <= iou
    return rows[alive].astype(np.float32)


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Intersection over union of two boxes; 0 where either is degenerate."""
    first, second = _quad(a), _quad(b)
    if not _boxes_meet(first, second):
        return 0.0
    shared = abs(_area(_clipped(first, second)))
    union = abs(_area(first)) + abs(_area(second)) - shared
    return shared / union if union > 0 else 0.0


def _quad(row: NDArray[np.float64]) -> Quad:
    """The corners, in the order that makes the area positive."""
    flat = row[:8].tolist()
    quad = list(zip(flat[::2], flat[1::2], strict=True))
    return quad if _area(quad) >= 0 else quad[::-1]


def _boxes_meet(a: Quad, b: Quad) -> bool:
    return all(min(p[axis] for p in a) < max(p[axis] for p in b) and min(p[axis] for p in b) < max(p[axis] for p in a) for axis in (0, 1))


def _area(polygon: Quad) -> float:
    """Signed, by the shoelace formula."""
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(polygon, polygon[1:] + polygon[:1], strict=True)) / 2


def _clipped(subject: Quad, window: Quad) -> Quad:
    """The part of one convex polygon inside another of positive area (Sutherland and Hodgman, 1974)."""
    for (ax, ay), (bx, by) in zip(window, window[1:] + window[:1], strict=True):
        sides = [(bx - ax) * (y - ay) - (by - ay) * (x - ax) for x, y in subject]  # >= 0: inside this edge
        kept: Quad = []
        for index, (point, side) in enumerate(zip(subject, sides, strict=True)):
            (px, py), before = subject[index - 1], sides[index - 1]
            if (side >= 0) != (before >= 0):
                share = before / (before - side)
                kept.append((px + share * (point[0] - px), py + share * (point[1] - py)))
            if side >= 0:
                kept.append(point)
        subject = kept
    return subject


def hot_map(rows: Boxes, shape: tuple[int, int]) -> Cells:
    """(h, w) bool map of the cells that hold a pixel of a box, and of their neighbours, as the mask network grows its map by a cell:
    boxes end where the network thinks that the text ends, and half a letter is left. Of the evaluation pictures' text 83 % went
    without that and 99 % with it.

    shape : (h, w) of the score map
    """
    height, width = shape
    canvas = Image.new("L", (width * STRIDE, height * STRIDE))
    pen = ImageDraw.Draw(canvas)
    for row in rows:
        pen.polygon(np.floor(row[:8]).tolist(), fill=255, outline=255)  # floor: the pixel that the corner lies in
    cells: Cells = np.asarray(canvas).reshape(height, STRIDE, width, STRIDE).max(axis=(1, 3)) > 0
    return Mask(cells, (1, 1), shape).grown().cells
