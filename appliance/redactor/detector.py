"""The detector: an engine, its slots, and the rules by which a score map becomes a mask."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce

import numpy as np

from appliance.detect import mask, rbox, scale
from appliance.engine import STRIDE, Engine, Slot
from appliance.formats import Page
from appliance.redactor.stages import Stages
from appliance.types import Cells, Mask, Mode, Pixels


class Detector:
    """Looks at pages. Several threads may look at once, as many as the engine has slots; more wait.

    threshold : score from which a cell counts as text, 1..255
    """

    def __init__(self, engine: Engine, mode: Mode, threshold: int) -> None:
        self.engine, self.mode, self.threshold = engine, mode, threshold
        self._free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        for slot in engine.slots:
            self._free.put(slot)
        height, width = engine.slots[0].pixels.shape[:2]
        self._canvas = (height, width)

    def look(self, page: Page, stages: Stages, at_least: int = 0) -> Mask:
        """Find the text of one page, in whichever of its renderings it shows; the mask lies on the page's own grid.

        at_least : a cell's score must reach this too, 0..255
        Raises BadFile and DeviceLost, never guesses.
        """
        threshold = max(self.threshold, at_least)
        return reduce(Mask.union, (self._look(page, rendering, threshold, stages) for rendering in range(page.renderings)))

    def _look(self, page: Page, rendering: int, threshold: int, stages: Stages) -> Mask:
        zoom = scale.scale_for(page.size, self._canvas)
        reduced = zoom.reduced(page.size)
        views = scale.views(reduced, self._canvas)
        whole = None
        if len(views) > 1:  # larger than a slot: decoded once, then laid out in overlapping tiles
            whole = np.empty((*reduced, 3), np.uint8)
            with stages("decode"):
                page.read(zoom.num, whole, rendering)
        parts = []
        for view in views:
            with self._slot() as slot:
                with stages("decode"):
                    pixels = _corner(slot, view)
                    if whole is None:
                        page.read(zoom.num, pixels, rendering)
                    else:
                        pixels[...] = whole[view.top : view.top + view.height, view.left : view.left + view.width]
                with stages("infer"):
                    self.engine.run(slot)
                with stages("mask"):
                    parts.append((view, self._hot(slot, view, threshold)))
        with stages("mask"):
            return mask.from_hot(mask.stitch(parts, reduced), zoom, page.size, page.cell)

    def _hot(self, slot: Slot, view: scale.View, threshold: int) -> Cells:
        """(height / 4, width / 4) bool: where the view holds text."""
        rows, columns = -(-view.height // STRIDE), -(-view.width // STRIDE)
        score = slot.score[:rows, :columns]
        if self.mode == "mask" or slot.geometry is None:
            return score >= threshold
        boxes = rbox.locality_aware_nms(rbox.decode(score, slot.geometry[:rows, :columns], threshold))
        return rbox.hot_map(boxes, (rows, columns))

    @contextmanager
    def _slot(self) -> Iterator[Slot]:
        slot = self._free.get()
        try:
            yield slot
        finally:
            self._free.put(slot)


def _corner(slot: Slot, view: scale.View) -> Pixels:
    """The slot's upper left corner, the view's size; the rest of the slot is made black, as in training."""
    slot.pixels[view.height :] = 0
    slot.pixels[: view.height, view.width :] = 0
    return slot.pixels[: view.height, : view.width]
