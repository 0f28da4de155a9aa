"""A file of pages of plain samples: PNG, BMP and TIFF. A format brings a Codec; looking, masking and checking are the same for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from appliance.errors import BadFile
from appliance.formats.common import Limits, check_request, matching
from appliance.formats.raster import CELL, NO_BLACK, Samples, Values, blacken, darkest, is_grey_ramp, local_rgb, merged, spans, to_rgb
from appliance.formats.reduce import reducer
from appliance.types import Mask, Pixels


@dataclass(frozen=True)
class Codec:
    """A format: read raises BadFile; write(read(x)) keeps every sample; is_clean says that a file holds nothing else.

    weigh : bytes -> Picture.memory, from the headers; read : bytes -> pages, notes
    """

    name: str
    weigh: Callable[[bytes, Limits], int]
    read: Callable[[bytes, Limits], tuple[list[Samples], tuple[str, ...]]]
    write: Callable[[Sequence[Samples]], bytes]
    is_clean: Callable[[bytes], bool]


@dataclass(frozen=True, eq=False)
class RasterPage:
    """One page of samples."""

    samples: Samples
    cell: tuple[int, int] = CELL

    @property
    def size(self) -> tuple[int, int]:
        return self.samples.size

    @property
    def renderings(self) -> int:
        return len(self._spans) + self._has_local

    @cached_property
    def _spans(self) -> tuple[tuple[int, int], ...]:
        return spans(self.samples)

    @cached_property
    def _has_local(self) -> bool:
        """Whether no screen can show all levels at once."""
        low, high = self._spans[0]
        return high - low > 255

    def darkened(self, num: int) -> None:
        """A smaller or larger picture mixes neighbouring pixels, so nothing can be said."""

    def read(self, num: int, out: Pixels, rendering: int = 0) -> None:
        """Reduce to num/8 into out, (ceil(height * num / 8), ceil(width * num / 8), 3), as formats.reduce does."""
        check_request(self, num, out, rendering)
        is_local = rendering == len(self._spans)
        reducer().reduce(local_rgb(self.samples) if is_local else to_rgb(self.samples, self._spans[rendering]), num, out)


class RasterPicture:
    """A file of one or more pages of samples, decoded when they are first asked for."""

    def __init__(self, codec: Codec, data: bytes, limits: Limits) -> None:
        self.format = codec.name
        self.memory = codec.weigh(data, limits)
        self._codec, self._limits = codec, limits
        self._data: bytes | None = data
        self._remarks: tuple[str, ...] = ()

    @cached_property
    def _read(self) -> tuple[tuple[RasterPage, ...], tuple[str, ...]]:
        if self._data is None:
            raise ValueError("a file that was refused is read again")
        data, self._data = self._data, None
        pages, notes = self._codec.read(data, self._limits)
        return tuple(RasterPage(samples) for samples in pages), notes

    @property
    def pages(self) -> tuple[RasterPage, ...]:
        return self._read[0]

    @property
    def notes(self) -> tuple[str, ...]:
        return self._read[1] + self._remarks

    def rewrite(self, masks: Sequence[Mask]) -> bytes:
        """The file, encoded anew, with covered cells black. Raises BadFile."""
        done = [blacken(page.samples, mask) for page, mask in zip(self.pages, matching(masks, self.pages), strict=True)]
        if not all(is_black for _, is_black in done) and NO_BLACK not in self.notes:
            self._remarks += (NO_BLACK,)
        return self._codec.write([samples for samples, _ in done])

    def check(self, finished: bytes, masks: Sequence[Mask]) -> RasterPicture:
        """Read the finished bytes back and compare every sample. Raises BadFile("not-faithful")."""
        matching(masks, self.pages)
        try:
            again = open_raster(self._codec, finished, Limits(sum(page.size[0] * page.size[1] for page in self.pages)))
            _ = again.pages
        except BadFile as error:
            raise BadFile("not-faithful", f"the finished file cannot be read: {error.reason}") from error
        if len(again.pages) != len(self.pages):
            raise BadFile("not-faithful", f"the finished file has {len(again.pages)} pages, its source {len(self.pages)}")
        if not self._codec.is_clean(finished):
            raise BadFile("not-faithful", "the finished file holds more than the picture: a chunk, a tag, or bytes between or after")
        for before, after, mask in zip(self.pages, again.pages, masks, strict=True):
            _compare(before.samples, after.samples, mask)
        return again


def open_raster(codec: Codec, data: bytes, limits: Limits) -> RasterPicture:
    """Raises BadFile."""
    return RasterPicture(codec, data, limits)


def _compare(before: Samples, after: Samples, mask: Mask) -> None:
    """Raises BadFile("not-faithful") unless `after` is `before` with the mask's cells black and equal palette entries merged."""
    if _shape(before) != _shape(after):
        raise BadFile("not-faithful", "the finished file has another size, bit depth or mode")
    hidden, outside_same = mask.to_pixels(), after.values.copy()
    expected = before.values if before.palette is None else merged(before.palette)[before.values]
    outside_same[hidden] = expected[hidden]
    if not np.array_equal(outside_same, expected):
        raise BadFile("not-faithful", "a pixel outside the mask has changed")
    if before.palette is None or after.palette is None:
        _compare_covered(before, after, hidden)
    else:
        _compare_palettes(before.palette, after.palette, after.values, hidden)


def _compare_covered(before: Samples, after: Samples, hidden: NDArray[np.bool_]) -> None:
    covered = after.values[hidden]
    if covered.ndim == 2:
        if (covered[:, after.colours :] != before.values[hidden][:, after.colours :]).any():
            raise BadFile("not-faithful", "the alpha channel has changed")
        covered = covered[:, : after.colours]
    if (covered != (2**after.bits - 1 if after.inverted else 0)).any():
        raise BadFile("not-faithful", "a pixel under the mask is not black")


def _compare_palettes(before: Values, after: Values, values: Values, hidden: NDArray[np.bool_]) -> None:
    used = np.bincount(values.ravel(), minlength=len(after)) > 0
    outside = np.unique(values[~hidden])
    unused_said = after[~used].any() and not is_grey_ramp(after)
    has_twins = len(np.unique(after[used], axis=0)) < used.sum()
    if unused_said or has_twins or (outside.size and (after[outside] != before[outside]).any()):
        raise BadFile("not-faithful", "the palette has changed or holds colours that are not used")
    covered = values[hidden]
    if covered.size and (covered != covered[0]).any():
        raise BadFile("not-faithful", "the pixels under the mask differ")
    if covered.size and after[covered[0]].any() and covered[0] != darkest(after):
        raise BadFile("not-faithful", "a pixel under the mask is not black")


def _shape(samples: Samples) -> tuple[object, ...]:
    palette = None if samples.palette is None else samples.palette.dtype
    return samples.values.shape, samples.values.dtype, samples.bits, palette, samples.inverted, samples.layout
