"""How often the decoded picture is written between decoder and mask; it must be once."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np

from appliance.engine import EngineOptions, open_engine
from appliance.engine.choose import precision_for
from appliance.engine.model import load_model
from appliance.formats import Limits, Page, open_picture
from appliance.redactor.detector import Detector
from appliance.redactor.stages import Stages
from appliance.types import Pixels


class _Watched:
    """A page that notes where it was told to write."""

    def __init__(self, page: Page) -> None:
        self._page, self.size, self.cell, self.renderings, self.darkened = page, page.size, page.cell, page.renderings, page.darkened
        self.targets: list[Pixels] = []

    def read(self, num: int, out: Pixels, rendering: int = 0) -> None:
        self.targets.append(out)
        self._page.read(num, out, rendering)


def copies_per_image(file: bytes, cache: Path) -> int:
    """Writes of the whole reduced picture in one look: by the decoder into the slot, and into any array of that size besides.

    Arrays are seen through tracemalloc, to which NumPy reports its memory; what libjpeg and OpenVINO keep inside is not seen.
    """
    model = load_model("mask", precision=precision_for("openvino", "auto", "mask", cache))
    engine = open_engine("openvino", EngineOptions(model.path, model.sha256, cache=cache))
    try:
        page = _Watched(open_picture(file, Limits()).pages[0])
        with Detector(engine, "mask", model.threshold, model.again).sight() as sight:
            sight.look(page, Stages())  # imports and first-time allocations
            page.targets.clear()
            tracemalloc.start()
            sight.look(page, Stages())
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        written = sum(1 if np.shares_memory(out, engine.slots[0].pixels) else 2 for out in page.targets)
        return written + peak // min(out.nbytes for out in page.targets)
    finally:
        engine.close()
