"""Detected boxes against labelled ones, as ICDAR 2015 counts them (Karatzas et al., task 4.1), and the same between lines.

One detection is matched with one label when their intersection over union is above 0.5. Detections that lie by more than half in
what need not be found are left out. Precision: matched / detections; recall: matched / labels.

A detector that reads words, labels that hold lines, or the reverse, are told apart by this count and by nothing that matters here:
whether "Ct:N  Eh:A3" is one box or two, both are removed. So there is a second count, the fair one between different detectors and
the study's: labels and detections are both joined to lines first, by the same rule. Boxes on a line that are less than its height
apart become one.

Labels are upright and so are overlays: of a rotated detection its bounds are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IOU, IGNORED_SHARE = 0.5, 0.5
GAP, SAME_LINE = 1.0, 0.5  # of the lower box's height: between neighbours on a line; overlap of their heights
Bounds = NDArray[np.float64]
"""(n, 4) left, top, right, bottom, px."""


@dataclass(frozen=True)
class Matches:
    """labels, detections : that count; matched : pairs."""

    labels: int = 0
    detections: int = 0
    matched: int = 0

    def __add__(self, other: Matches) -> Matches:
        return Matches(self.labels + other.labels, self.detections + other.detections, self.matched + other.matched)

    @property
    def precision(self) -> float | None:
        return round(self.matched / self.detections, 4) if self.detections else None

    @property
    def recall(self) -> float | None:
        return round(self.matched / self.labels, 4) if self.labels else None


def bounds_of(quads: NDArray[np.float64]) -> Bounds:
    """Of (n, 4, 2) corners x, y."""
    return np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1) if len(quads) else np.zeros((0, 4))


def match(labels: Bounds, detections: Bounds, ignored: Bounds) -> Matches:
    """Counts of one picture; ignored : what need not be found, and may be."""
    detections = detections[~_mostly_in(detections, ignored)]
    overlap = _shared(labels, detections)
    union = _area(labels)[:, None] + _area(detections)[None] - overlap
    pairs = overlap > IOU * union
    matched = 0
    for row in range(len(labels)):  # above one half a label rarely has two candidates; ICDAR takes the first
        free = np.flatnonzero(pairs[row])
        if free.size:
            matched += 1
            pairs[:, free[0]] = False
    return Matches(len(labels), len(detections), matched)


def lines(boxes: Bounds) -> Bounds:
    """Neighbours on a line joined, again and again, until none are left."""
    rest = [np.asarray(box, np.float64) for box in boxes]
    done: list[NDArray[np.float64]] = []
    while rest:
        box = rest.pop()
        near = next((index for index, other in enumerate(rest) if _neighbours(box, other)), None)
        if near is None:
            done.append(box)
        else:
            other = rest.pop(near)
            rest.append(np.concatenate([np.minimum(box[:2], other[:2]), np.maximum(box[2:], other[2:])]))
    return np.array(done).reshape(-1, 4)


def _neighbours(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    lower = min(a[3] - a[1], b[3] - b[1])
    gap = max(a[0], b[0]) - min(a[2], b[2])
    return bool(min(a[3], b[3]) - max(a[1], b[1]) > SAME_LINE * lower and gap < GAP * lower)


def _area(boxes: Bounds) -> NDArray[np.float64]:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _shared(a: Bounds, b: Bounds) -> NDArray[np.float64]:
    """(len a, len b) areas of intersections, px."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2))


def _mostly_in(boxes: Bounds, others: Bounds) -> NDArray[np.bool_]:
    return np.asarray((_shared(boxes, others) > IGNORED_SHARE * _area(boxes)[:, None]).any(axis=1))
