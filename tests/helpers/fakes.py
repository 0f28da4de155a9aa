"""Stand-ins shared by tests: an engine that takes bright pixels for text, and pictures drawn in code."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from appliance.engine import STRIDE, Slot
from appliance.errors import DeviceLost
from appliance.types import EngineInfo

CANVAS = (576, 960)


class BrightEngine:
    """Scores a cell by the brightest of its pixels: white squares are "text", and where they are is known exactly."""

    info = EngineInfo("bright", "FP32", "0" * 12, "none")

    def __init__(self, slots: int = 1, canvas: tuple[int, int] = CANVAS) -> None:
        height, width = canvas
        score = (height // STRIDE, width // STRIDE)
        self._slots = [Slot(i, np.zeros((height, width, 3), np.uint8), np.zeros(score, np.uint8)) for i in range(slots)]
        self.runs = 0

    @property
    def slots(self) -> Sequence[Slot]:
        return self._slots

    def run(self, slot: Slot) -> None:
        self.runs += 1
        rows, columns = slot.score.shape
        slot.score[...] = slot.pixels.reshape(rows, STRIDE, columns, STRIDE, 3).max(axis=(1, 3, 4))

    def close(self) -> None:
        return


class StripeEngine(BrightEngine):
    """Takes bright lines that are one pixel wide for text, whatever is around them; mask edges and slopes are none. Its canvas must
    be the size of the picture, which then is neither reduced nor enlarged."""

    def run(self, slot: Slot) -> None:
        self.runs += 1
        rows, columns = slot.score.shape
        step = np.diff(slot.pixels[..., 0].astype(int), axis=1)
        lines = np.zeros(slot.pixels.shape[:2], int)
        lines[:, 1:-1] = np.minimum(step[:, :-1], -step[:, 1:]).clip(0, 255)
        slot.score[...] = (lines >= 30).reshape(rows, STRIDE, columns, STRIDE).max(axis=(1, 3)) * 255


class RestlessEngine(BrightEngine):
    """Sees text somewhere else at every look."""

    def run(self, slot: Slot) -> None:
        slot.score[...] = 0
        slot.score[28 * (self.runs // 3), 36 * (self.runs % 3)] = 255
        self.runs += 1


class LostEngine(BrightEngine):
    """A GPU that fell off the bus."""

    def run(self, slot: Slot) -> None:
        raise DeviceLost("execute", "719")


def picture(size: tuple[int, int] = (240, 320), squares: Sequence[tuple[int, int, int]] = ((32, 48, 24),)) -> Image.Image:
    """A reddish ramp of size (height, width) with white squares (top, left, side), all px."""
    height, width = size
    ramp = np.add.outer(np.arange(height), np.arange(width)) * 90 / (height + width) + 40
    pixels = np.stack([ramp * 1.4, ramp * 0.7, ramp * 0.6], axis=2).astype(np.uint8)
    for top, left, side in squares:
        pixels[top : top + side, left : left + side] = 255
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **({"quality": 90} if kind == "JPEG" else {}), **options)
    return file.getvalue()


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
