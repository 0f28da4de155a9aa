"""A film: decoded forward only, blackened in its own planes, written again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from appliance.errors import BadFile
from appliance.formats.common import Darkened, check_request
from appliance.formats.film import libav
from appliance.formats.reduce import reducer
from appliance.types import Cells, Mask, Pixels

if TYPE_CHECKING:
    from appliance.formats.film.libav import VideoFrame

CELL = (16, 16)
"""A macroblock: 8 x 8 samples of each colour at 4:2:0."""

MOST_PIXELS = 4096 * 2304
MOST_FRAMES = 360_000
"""Four hours at 25 frames a second."""

NO_COLOUR = 128

BLACK = 4
"""Luma of what is covered; of a film with video levels everything up to 16 is shown as black. Encoders ring by up to 15 steps where a
mask begins or ends, so that 16 itself would come out visibly grey."""

MaskAt = Callable[[int], Mask]
"""What is black in the frame of that number."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame, as a Page. time : since the first one, in units of the film's time base"""

    raw: VideoFrame
    index: int
    time: int
    renderings: int = 1
    cell: tuple[int, int] = CELL

    @property
    def size(self) -> tuple[int, int]:
        return self.raw.height, self.raw.width

    @cached_property
    def planes(self) -> tuple[Pixels, Pixels, Pixels]:
        """Luma and both colours, views of the frame's memory."""
        luma, blue, red = (_view(plane) for plane in self.raw.planes)
        return luma, blue, red

    @property
    def is_full(self) -> bool:
        """Whether luma goes from 0 to 255, not from 16 to 235."""
        return bool(self.raw.format.name == "yuvj420p" or self.raw.color_range == FULL_RANGE)

    def read(self, num: int, out: Pixels, rendering: int = 0) -> None:
        check_request(self, num, out, rendering)
        rgb: Any = self.raw.to_ndarray(format="rgb24")
        reducer().reduce(rgb, num, out)

    def darkened(self, num: int) -> Darkened | None:
        return None


FULL_RANGE = 2
"""AVCOL_RANGE_JPEG."""


class Film:
    """A film that can be looked at, masked and written. Used by one thread.

    Opening decodes its first frame only and counts its packets. Raises BadFile.
    """

    format = "mp4"

    def __init__(self, data: bytes, kind: str, most_pixels: int = MOST_PIXELS) -> None:
        self._source = libav.Source(data, kind)
        self.properties = self._source.properties
        self._most_pixels = min(most_pixels, MOST_PIXELS)
        self.count = self._counted()
        self.size = next(self.frames()).size
        self.times: list[int] = []
        """When each frame is shown; known once all were decoded."""

    @property
    def notes(self) -> tuple[str, ...]:
        kinds = {"audio": "the film's sound was removed", "subtitle": "the film's subtitles were removed"}
        return tuple(kinds[kind] for kind in self.properties.others if kind in kinds)

    @property
    def step(self) -> Fraction:
        """Seconds a frame, on average; a film of one frame says 1/25."""
        if len(self.times) < 2:
            return Fraction(1, 25)
        return self.times[-1] * self.properties.base / (len(self.times) - 1)

    def frames(self) -> Iterator[Frame]:
        """All frames in the order they are shown. Raises BadFile."""
        start, last, count = 0, -1, 0
        for raw in self._source.frames():
            if not count:
                self._check_size(raw)
                start, first = raw.pts or 0, raw
            if raw.pts is None or raw.pts - start <= last:
                raise BadFile("unsupported", "the film does not tell when each of its frames is shown")
            if (raw.width, raw.height, raw.format.name) != (first.width, first.height, first.format.name):
                raise BadFile("unsupported", "the film changes its size midway")
            last = raw.pts - start
            yield Frame(raw, count, last)
            count += 1
        if not count:
            raise BadFile("damaged", "the film has no frame that can be decoded")

    def copied(self, beat: Callable[[], None]) -> bytes:
        """The same packets in a new file. Raises BadFile("not-faithful") where that cannot be."""
        return libav.muxed(libav.copied(self._source, self.times), self._last, beat)

    def rewritten(self, mask_at: MaskAt, crf: int, beat: Callable[[], None]) -> bytes:
        """Every frame with what is under its mask black, encoded anew. crf : x264's scale, smaller is truer. Raises BadFile."""
        if self.properties.codec in libav.FLAT and not self._is_even:
            raise BadFile("unsupported", "the film has text and a rate that varies, which its codec cannot be encoded with here")

        def blackened() -> Iterator[Any]:
            for frame in self.frames():
                if frame.raw.interlaced_frame:
                    raise BadFile("unsupported", "the film has text and is interlaced: export it progressive")
                if any(side % 2 for side in frame.size):
                    raise BadFile("unsupported", "the film has text and an odd number of rows or columns")
                yield _painted(frame, mask_at(frame.index))
                beat()

        first = next(self.frames()).raw
        coded = libav.encoded(first, blackened(), self.properties, self.times, self.step, crf)
        return libav.muxed(coded, self._last, beat)

    @property
    def _last(self) -> int:
        return max(1, round(self.step / self.properties.base))

    @property
    def _is_even(self) -> bool:
        """Whether every frame is shown when its number says, but for rounding to the time base."""
        step = self.step / self.properties.base
        return all(abs(time - index * step) <= 1 for index, time in enumerate(self.times))

    def _counted(self) -> int:
        count = sum(1 for _ in self._source.packets())
        if not count:
            raise BadFile("damaged", "the film has no frames")
        if count > MOST_FRAMES:
            raise BadFile("too-large", f"the film has {count} frames, the limit is {MOST_FRAMES}")
        if count < self.properties.promised:
            raise BadFile("incomplete", f"the film has {count} of the {self.properties.promised} frames that it promises")
        return count

    def _check_size(self, raw: VideoFrame) -> None:
        if raw.width * raw.height > self._most_pixels:
            raise BadFile("too-large", f"the film is {raw.width} x {raw.height} px, the limit is {self._most_pixels / 1e6:.1f} Mpx a frame")
        if raw.format.name not in libav.PIXELS:
            raise BadFile("unsupported", "the film does not have 8 bits and 4:2:0, which is what this box handles")
        if raw.rotation:
            raise BadFile("unsupported", "the film is to be turned when it is shown: export it upright")


def open_film(data: bytes, kind: str, most_pixels: int = MOST_PIXELS) -> Film:
    """kind : what signatures.format_of says. Raises BadFile."""
    return Film(data, kind, most_pixels)


def spread(cells: Cells, plane: Pixels, side: int) -> Cells:
    """Which samples of a plane lie in these cells. side : samples of a cell, each way"""
    height, width = plane.shape
    return cells.repeat(side, axis=0)[:height].repeat(side, axis=1)[:, :width]


def _view(plane: Any) -> Pixels:
    whole: Pixels = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return whole[: plane.height, : plane.width]


def _painted(frame: Frame, mask: Mask) -> VideoFrame:
    """A copy, because the decoder predicts other frames from its own."""
    raw = libav.like(frame.raw)
    copy = Frame(raw, frame.index, frame.time)
    for plane, own, side, value in zip(
        frame.planes, copy.planes, (16, 8, 8), (0 if frame.is_full else BLACK, NO_COLOUR, NO_COLOUR), strict=True
    ):
        own[...] = plane
        if mask.cells.any():
            own[spread(mask.cells, plane, side)] = value
    return raw
