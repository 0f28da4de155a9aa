"""The detector: an engine, its slots, and the rules by which a score map becomes a mask."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce

import numpy as np

from appliance.detect import mask, rbox, scale, tone
from appliance.engine import STRIDE, Engine, Slot
from appliance.formats import Page
from appliance.redactor.stages import Stages
from appliance.types import Cells, Look, Mask, Mode, Pixels

AGAIN = Look(128)
"""What is left after the first look must be text more likely than not; the card may say otherwise."""


class Detector:
    """Several files may be looked at at once, as many as the engine has slots; more wait.

    threshold : score from which a cell counts as text in the first look, 1..255
    again : how a finished picture is looked at; its threshold is never below that of the first look
    """

    def __init__(self, engine: Engine, mode: Mode, threshold: int, again: Look = AGAIN) -> None:
        self.engine, self.mode = engine, mode
        self.first, self.again = Look(threshold), Look(max(threshold, again.threshold), again.stretched)
        self._free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        for slot in engine.slots:
            self._free.put(slot)

    def tiles(self, page: Page) -> int:
        """How many passes of the network one look at the page takes."""
        canvas = self.engine.slots[0].pixels.shape[:2]
        return page.renderings * sum(len(scale.views(zoom.reduced(page.size), canvas)) for zoom in scale.scales_for(page.size, canvas))

    @contextmanager
    def sight(self) -> Iterator[Sight]:
        """A slot to look with for as long as one file is in work."""
        slot = self._free.get()
        try:
            yield Sight(self, slot)
        finally:
            self._free.put(slot)


@dataclass(frozen=True, eq=False)
class _Shown:
    """What a slot shows: a page as it was read at num/8, the cells of it that were made black since, whether it was stretched."""

    page: Page
    num: int
    rendering: int
    dark: Mask | None = None
    stretched: bool = False


class Sight:
    """Looks at the pages of one file, before and after masking. Used by one thread."""

    def __init__(self, detector: Detector, slot: Slot) -> None:
        self._detector, self._slot = detector, slot
        height, width = slot.pixels.shape[:2]
        self._canvas = (height, width)
        self._shown: _Shown | None = None

    def look(self, page: Page, stages: Stages) -> Mask:
        """Find the text of one page, in whichever of its renderings it shows; the mask lies on the page's own grid.

        Raises BadFile and DeviceLost, never guesses.
        """
        return self._look(page, self._detector.first, stages)

    def look_again(self, page: Page, stages: Stages) -> Mask:
        """The same for a page that was read back from a finished file: it is looked at differently."""
        return self._look(page, self._detector.again, stages)

    def show(self, page: Page, stages: Stages) -> None:
        """Have the slot show a page without looking, so that the one made from it need not be read from the start."""
        zoom = scale.scale_for(page.size, self._canvas)
        views = scale.views(zoom.reduced(page.size), self._canvas)
        if len(views) == 1 and page.renderings == 1:
            with stages("decode"):
                self._show(page, zoom.num, 0, False, self._corner(views[0]))

    def _look(self, page: Page, look: Look, stages: Stages) -> Mask:
        scales = scale.scales_for(page.size, self._canvas)
        found = (self._find(page, rendering, zoom, look, stages) for rendering in range(page.renderings) for zoom in scales)
        return reduce(Mask.union, found)

    def _find(self, page: Page, rendering: int, zoom: scale.Scale, look: Look, stages: Stages) -> Mask:
        reduced = zoom.reduced(page.size)
        views = scale.views(reduced, self._canvas)
        whole = None
        if len(views) > 1:  # larger than a slot: decoded once, then laid out in overlapping tiles
            whole = np.empty((*reduced, 3), np.uint8)
            with stages("decode"):
                page.read(zoom.num, whole, rendering)
                if look.stretched:
                    tone.stretch(whole)
        parts = []
        for view in views:
            with stages("decode"):
                pixels = self._corner(view)
                if whole is None:
                    self._show(page, zoom.num, rendering, look.stretched, pixels)
                else:
                    self._shown = None
                    pixels[...] = whole[view.top : view.top + view.height, view.left : view.left + view.width]
            with stages("infer"):
                self._detector.engine.run(self._slot)
            with stages("mask"):
                parts.append((view, self._hot(view, look.threshold)))
        with stages("mask"):
            return mask.from_hot(mask.stitch(parts, reduced), zoom, page.size, page.cell)

    def _show(self, page: Page, num: int, rendering: int, stretched: bool, pixels: Pixels) -> None:
        """Read the page into the slot; if the slot shows the page it was made from, only blacken what it has black. Black stays black
        when it is stretched."""
        source, shown = page.darkened(num), self._shown
        self._shown = None  # whatever goes wrong below
        if (
            source
            and shown
            and (shown.page, shown.num, shown.rendering) == (source.page, num, rendering)
            and source.mask.covers(shown.dark)
            and stretched >= shown.stretched
        ):
            mask.darken(pixels, source.mask, scale.Scale(num))
            now = _Shown(source.page, num, rendering, source.mask, stretched)
        else:
            page.read(num, pixels, rendering)
            shown, now = None, _Shown(page, num, rendering, None, stretched)
        if stretched and not (shown and shown.stretched):
            tone.stretch(pixels)
        self._shown = now

    def _hot(self, view: scale.View, threshold: int) -> Cells:
        """(height / 4, width / 4) bool: where the view holds text."""
        rows, columns = -(-view.height // STRIDE), -(-view.width // STRIDE)
        score, geometry = self._slot.score[:rows, :columns], self._slot.geometry
        if self._detector.mode == "mask" or geometry is None:
            return score >= threshold
        boxes = rbox.locality_aware_nms(rbox.decode(score, geometry[:rows, :columns], threshold))
        return rbox.hot_map(boxes, (rows, columns))

    def _corner(self, view: scale.View) -> Pixels:
        """The slot's upper left corner, the view's size; the rest of the slot is made black, as in training."""
        pixels = self._slot.pixels
        pixels[view.height :] = 0
        pixels[: view.height, view.width :] = 0
        return pixels[: view.height, : view.width]
