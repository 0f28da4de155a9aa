"""How well removal masks cover labelled text; the counting rules of the project's evaluation.

A box counts as removed when 90 % of its ink is covered. Ink: pixels that differ from the median of the box's surroundings by more
than max(25, 0.4 x the 99th percentile of that difference). Regions of a mask are good when half their area lies in labels widened
by 8 px. Labels: {picture: {"boxes": [{"box": [x0, y0, x1, y1], "kind": "overlay" | "other", "note"?: str}]}}, pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SLACK, INK_SHARE, AROUND, FEWEST_INK = 8, 0.90, 4, 12
Box = tuple[int, int, int, int]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Labelled:
    """One labelled picture, prepared once and scored at many thresholds.

    wanted : boxes whose text must go, with the bool map of each one's ink; others : boxes that are neither required nor punished
    allowed : (h, w) where removing is right or harmless
    """

    name: str
    wanted: tuple[tuple[Box, Mask], ...]
    others: tuple[Box, ...]
    allowed: Mask


@dataclass(frozen=True)
class Judged:
    """What became of one box: `covered` of its `ink` pixels were removed."""

    name: str
    box: Box
    ink: int
    covered: int

    @property
    def removed(self) -> bool:
        return self.covered >= INK_SHARE * self.ink


@dataclass(frozen=True)
class Result:
    """One picture or, added up, many. texts, clean : pictures with text, and those of them without any left; area, area_good : of
    regions, px; excess, false : shares of the picture's area, one for each picture."""

    boxes: tuple[Judged, ...] = ()
    texts: int = 0
    clean: int = 0
    area: float = 0.0
    area_good: float = 0.0
    excess: tuple[float, ...] = ()
    false: tuple[float, ...] = ()

    def __add__(self, other: Result) -> Result:
        return Result(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    @property
    def missed(self) -> tuple[Judged, ...]:
        return tuple(box for box in self.boxes if not box.removed)

    def summary(self) -> dict[str, Any]:
        """The figures by their usual names; None where nothing was there to count."""
        return {
            "pictures": len(self.excess), "boxes": len(self.boxes),
            "recall": share(len(self.boxes) - len(self.missed), len(self.boxes)), "clean": share(self.clean, self.texts),
            "ink": share(sum(box.covered for box in self.boxes), sum(box.ink for box in self.boxes)),
            "precision": share(self.area_good, self.area),
            "excess_percent": round(100 * float(np.mean(self.excess)), 4) if self.excess else None,
            "false_percent_mean": round(100 * float(np.mean(self.false)), 4) if self.false else None,
            "false_percent_worst": round(100 * max(self.false), 4) if self.false else None,
        }  # fmt: skip


def share(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def _whole(box: list[float], width: int, height: int) -> Box:
    x0, y0, x1, y1 = box
    return max(0, int(x0)), max(0, int(y0)), min(width, math.ceil(x1)), min(height, math.ceil(y1))


def ink_of(picture: NDArray[np.uint8], box: Box) -> Mask:
    """(h, w) bool, the ink inside `box`; the whole box where too little stands out."""
    x0, y0, x1, y1 = box
    around = picture[max(0, y0 - AROUND) : y1 + AROUND, max(0, x0 - AROUND) : x1 + AROUND].reshape(-1, 3)
    contrast = np.abs(picture[y0:y1, x0:x1].astype(int) - np.median(around, axis=0)).max(axis=2)
    ink: Mask = contrast > max(25.0, 0.4 * float(np.percentile(contrast, 99)))
    return ink if ink.sum() >= FEWEST_INK else np.ones_like(ink)


def prepare(name: str, picture: NDArray[np.uint8], entries: Iterable[dict[str, Any]]) -> Labelled:
    """Labels of one picture, (h, w, 3) uint8, as the score needs them."""
    height, width = picture.shape[:2]
    allowed = np.zeros((height, width), bool)
    wanted, others = [], []
    for entry in entries:
        box = _whole(entry["box"], width, height)
        x0, y0, x1, y1 = box
        allowed[max(0, y0 - SLACK) : y1 + SLACK, max(0, x0 - SLACK) : x1 + SLACK] = True
        if entry["kind"] == "overlay" and entry.get("note") != "thumbnail_tiny" and x1 > x0 and y1 > y0:
            wanted.append((box, ink_of(picture, box)))
        else:
            others.append(box)
    return Labelled(name, tuple(wanted), tuple(others), allowed)


def score(labelled: Labelled, mask: Mask) -> Result:
    """One picture's counts; mask : (h, w) bool, True = removed."""
    judged = []
    for box, own in labelled.wanted:
        x0, y0, x1, y1 = box
        judged.append(Judged(labelled.name, box, int(own.sum()), int((own & mask[y0:y1, x0:x1]).sum())))
    regions, count = ndimage.label(mask, structure=np.ones((3, 3)))
    area = good = 0.0
    if count:
        areas = ndimage.sum_labels(mask, regions, range(1, count + 1))
        inside = ndimage.sum_labels(labelled.allowed, regions, range(1, count + 1))
        area, good = float(areas.sum()), float(areas[inside >= 0.5 * areas].sum())
    outside = float((mask & ~labelled.allowed).mean())
    has_text, all_gone = bool(judged), all(one.removed for one in judged)
    return Result(
        tuple(judged), int(has_text), int(has_text and all_gone), area, good, (outside,), () if has_text else (outside,)
    )  # fmt: skip
