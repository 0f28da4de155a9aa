"""One frame that is no baseline JPEG, as a picture of its own: decoded, covered, encoded without loss."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from appliance.errors import BadFile
from appliance.formats.common import check_request, matching, raster_memory
from appliance.formats.dicom import codecs, render
from appliance.formats.dicom.image import Image
from appliance.formats.dicom.syntaxes import Syntax
from appliance.formats.raster import CELL, Values
from appliance.formats.reduce import reducer
from appliance.types import Mask, Pixels

HIDDEN_BITS = "the DICOM file's samples have bits beyond those that its header calls stored, where text could hide"


class FramePage:
    """The frame, as viewers show it."""

    cell = CELL

    def __init__(self, values: Values, image: Image, mixed: bool) -> None:
        self.values, self._image, self._mixed = values, image, mixed
        self.size = (image.rows, image.columns)

    @cached_property
    def _ways(self) -> tuple[render.Rendering, ...]:
        return render.renderings(self.values, self._image, self._mixed)

    @property
    def renderings(self) -> int:
        return len(self._ways)

    def darkened(self, num: int) -> None:
        """A smaller or larger picture mixes neighbouring pixels, so nothing can be said."""

    def read(self, num: int, out: Pixels, rendering: int = 0) -> None:
        """Reduce to num/8 into out, (ceil(height * num / 8), ceil(width * num / 8), 3), as formats.reduce does."""
        check_request(self, num, out, rendering)
        reducer().reduce(render.shown(self.values, self._image, self._ways[rendering]), num, out)


class FramePicture:
    """The frame's samples, and how they are coded."""

    format = "dicom"
    notes: tuple[str, ...] = ()

    def __init__(self, frame: bytes, images: tuple[Image, Image], syntaxes: tuple[Syntax, Syntax], mixed: bool) -> None:
        """images, syntaxes : as the frame has it, and as it is written; mixed : its codec mixed the colours, and its decoder undid that"""
        (source, self._result), (syntax, self._written) = images, syntaxes
        self.memory = raster_memory(source.rows, source.columns, source.samples, source.allocated)
        values = codecs.decode(frame, source, syntax)
        _refuse_hidden_bits(values, source)
        self.pages = (FramePage(values, source, mixed),)

    def rewrite(self, masks: Sequence[Mask]) -> bytes:
        """The frame, encoded anew, with covered cells black. Raises BadFile."""
        (mask,), (page,) = matching(masks, self.pages), self.pages
        return codecs.encode(render.covered(page.values, mask.to_pixels(), self._result), self._result, self._written)

    def check(self, finished: bytes, masks: Sequence[Mask]) -> FramePicture:
        """Decode the finished frame and compare every sample. Raises BadFile("not-faithful")."""
        (mask,), (page,) = matching(masks, self.pages), self.pages
        try:
            same = (self._result, self._result), (self._written, self._written)
            again = FramePicture(finished, *same, self._result.photometric == "YBR_RCT")
        except BadFile as error:
            raise BadFile("not-faithful", f"the finished frame cannot be read: {error.reason}") from error
        if not np.array_equal(again.pages[0].values, render.covered(page.values, mask.to_pixels(), self._result)):
            raise BadFile("not-faithful", "the finished frame is not its source with the masked cells black")
        return again


def _refuse_hidden_bits(values: Values, image: Image) -> None:
    spare = image.allocated - image.stored
    if not spare:
        return
    above = values >> image.stored
    sign = (values >> (image.stored - 1) & 1) * (2**spare - 1) if image.signed else 0
    if above.any() and (not image.signed or (above != sign).any()):
        raise BadFile("unsupported", HIDDEN_BITS)
