"""JPEG: masked in the DCT domain, every coefficient outside the mask as the camera stored it.

Read: the markers are cleaned first (markers.py), then libjpeg decodes the rest, once for pixels and coefficients. Written: always
baseline Huffman with the standard tables, whatever the source was: a progressive file would cost several times the time and gain
nothing here. No restart markers.

Orientation is applied when the file is opened, so that all that follows knows one upright JPEG only: losslessly where the sides
are whole MCUs, else by decoding and encoding at the highest fidelity JPEG has, every quantisation step 1 and chroma in full. That
makes a larger file, whose pixels are compared with the decoded ones at once.

Not refused, because the picture is whole: bytes after the end, further pictures (MPF), junk between segments, padding before the
end marker, scan parameters that baseline ignores, a wrong or missing JFIF. Every other warning of libjpeg is a refusal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
from PIL import Image

from appliance.errors import BadFile
from appliance.formats import coefficients, exif, markers, turbo
from appliance.formats.coefficients import Coefficients
from appliance.formats.common import PROFILE_DROPPED, Darkened, Limits, check_pixels, check_request, matching
from appliance.formats.markers import Component, Jpeg
from appliance.types import Mask, Pixels

_OPERATIONS = {
    2: turbo.FLIP_H,
    3: turbo.ROTATE_180,
    4: turbo.FLIP_V,
    5: turbo.TRANSPOSE,
    6: turbo.ROTATE_90,
    7: turbo.TRANSVERSE,
    8: turbo.ROTATE_270,
}
_MIRRORS_WIDTH = {2, 3, 7, 8}
_MIRRORS_HEIGHT = {3, 4, 6, 7}
"""Orientations whose lossless operation needs a width, or height, of whole MCUs (libjpeg's transupp.c)."""

_FINEST = [1] * 64
"""A quantisation table that rounds coefficients to whole numbers only."""

_MOST_OFF = 6
"""Of 255. Of 3e8 samples of noise, _FINEST in YCbCr puts one in 5000 off by 4, two by 5, the rest by less; RGB and grey by 2 at most."""

_DARKEST = 1024
"""8 * 128: a DC coefficient of so much below zero is black, T.81 A.3.1 and A.3.3."""

_FULL = 8
"""The picture's own size, in eighths."""

TURNED_LOSSLESSLY = "orientation applied without loss"
TURNED_BY_PIXELS = "orientation applied by pixels: the picture was encoded anew at the highest fidelity"


def open_file(data: bytes, limits: Limits) -> JpegPicture:
    """Check and clean a JPEG, turn it upright. Raises BadFile."""
    parsed = markers.parse(data)
    check_pixels([(parsed.height, parsed.width)], limits)
    notes: tuple[str, ...] = (PROFILE_DROPPED,) if parsed.has_profile else ()
    colorspace = _agreed(parsed)
    if parsed.orientation != exif.UPRIGHT:
        parsed, remark = _upright(parsed, colorspace)
        colorspace = _agreed(parsed)
        notes += (remark,)
    return JpegPicture(parsed, colorspace, notes)


def _agreed(parsed: Jpeg) -> str:
    """The colour space, once libjpeg has read the same header as we have."""
    try:
        header = turbo.header(parsed.clean)
    except turbo.TurboError as error:
        raise _refusal(error) from error
    if (header.height, header.width) != (parsed.height, parsed.width):
        raise BadFile("damaged", "the JPEG's size is read in two ways by two parsers")
    return header.colorspace


def _refusal(error: turbo.TurboError) -> BadFile:
    message = str(error)
    if "remature end" in message:
        return BadFile("incomplete", f"the JPEG is cut off: {message}")
    if "nsufficient memory" in message:
        return BadFile("too-large", "the JPEG needs more memory than there is")
    if "subsampling" in message:
        return BadFile("unsupported", "the JPEG's chroma subsampling is none of 4:4:4, 4:2:2, 4:2:0, 4:4:0, 4:1:1")
    return BadFile("damaged", f"the JPEG is damaged: {message}")


def _upright(parsed: Jpeg, colorspace: str) -> tuple[Jpeg, str]:
    """Apply the EXIF orientation: losslessly if every pixel has its place, else by decoding and encoding."""
    value = parsed.orientation
    high, wide = parsed.mcu
    whole = not (value in _MIRRORS_WIDTH and parsed.width % wide) and not (value in _MIRRORS_HEIGHT and parsed.height % high)
    readable = not exif.is_turned(value) or wide <= 16  # 4:1:1 turned is 4:4:1, which TurboJPEG 2 cannot read
    if not (whole and readable):
        return _encoded_anew(parsed, colorspace), TURNED_BY_PIXELS
    try:
        Coefficients(parsed.clean, _FULL)  # libjpeg-turbo would turn wild coefficients into nonsense
        return markers.parse(turbo.transform(parsed.clean, _OPERATIONS[value])), TURNED_LOSSLESSLY
    except turbo.TurboError as error:
        raise _refusal(error) from error


def _encoded_anew(parsed: Jpeg, colorspace: str) -> Jpeg:
    """The upright picture from its pixels; what was grey, RGB or YCbCr remains so. Raises BadFile, also where the pixels differ."""
    pixels = np.ascontiguousarray(exif.upright(_decoded(parsed), parsed.orientation))
    image, target = Image.fromarray(pixels), BytesIO()
    if colorspace == "grey":
        image.convert("L").save(target, "JPEG", qtables=[_FINEST])
    else:
        image.save(target, "JPEG", qtables=[_FINEST, _FINEST], subsampling="4:4:4", keep_rgb=colorspace == "RGB")
    turned = markers.parse(target.getvalue())
    again = _decoded(turned)
    off = int((np.maximum(pixels, again) - np.minimum(pixels, again)).max())
    if off > _MOST_OFF:
        raise BadFile("not-faithful", f"encoding the turned picture anew put a pixel off by {off} of 255, the limit is {_MOST_OFF}")
    return turned


def _decoded(parsed: Jpeg) -> Pixels:
    pixels = np.empty((parsed.height, parsed.width, 3), np.uint8)
    try:
        turbo.decode(parsed.clean, pixels)
    except turbo.TurboError as error:
        raise _refusal(error) from error
    return pixels


def _is_local(components: Sequence[Component], num: int) -> bool:
    """Whether libjpeg, decoding at num/8, makes each pixel from its own MCU alone: where no component is enlarged after the inverse
    DCT, because the inverse DCT gives it the picture's own resolution (jdmaster.c, jpeg_calc_output_dimensions)."""
    high, wide = max(c.vertical for c in components) * num, max(c.horizontal for c in components) * num
    sides = [_side(component, high, wide, num) for component in components]
    return all((c.vertical * side, c.horizontal * side) == (high, wide) for c, side in zip(components, sides, strict=True))


def _side(component: Component, high: int, wide: int, num: int) -> int:
    """How many samples the inverse DCT makes of a block, each way."""
    side = num
    while side < 8 and not (high % (2 * side * component.vertical) or wide % (2 * side * component.horizontal)):
        side *= 2
    return side


class _Stream:
    """A cleaned JPEG, entropy-decoded when it is first needed, and once: for its coefficients and for its pixels at one scale."""

    def __init__(self, data: bytes, decoded: Coefficients | None = None) -> None:
        self.data = data
        self._decoded = decoded

    def coefficients(self) -> Coefficients:
        """Raises BadFile."""
        if self._decoded is None:
            self._decoded = self._opened(_FULL)
        return self._decoded

    def read(self, num: int, out: Pixels) -> None:
        """Raises BadFile."""
        if self._decoded is None and num >= coefficients.SMALLEST:
            self._decoded = self._opened(num)
        try:
            if self._decoded is not None and self._decoded.num == num:
                self._decoded.read(out)
            else:
                turbo.decode(self.data, out)
        except turbo.TurboError as error:
            raise _refusal(error) from error

    def _opened(self, num: int) -> Coefficients:
        try:
            return Coefficients(self.data, num)
        except turbo.TurboError as error:
            raise _refusal(error) from error


@dataclass(frozen=True, eq=False)
class JpegPage:
    """The one page of a JPEG; the grid of its masks is that of its MCUs.

    source : the page whose coefficients, black under the mask, this one was found to have
    """

    stream: _Stream
    size: tuple[int, int]
    cell: tuple[int, int]
    components: tuple[Component, ...]
    source: Darkened | None = None

    renderings = 1

    def darkened(self, num: int) -> Darkened | None:
        return self.source if _is_local(self.components, num) else None

    def read(self, num: int, out: Pixels, rendering: int = 0) -> None:
        """Decode at num/8 into out, (ceil(height * num / 8), ceil(width * num / 8), 3), which may be a view. Raises BadFile."""
        check_request(self, num, out, rendering)
        self.stream.read(num, out)


class JpegPicture:
    """An upright JPEG."""

    format = "jpeg"

    def __init__(self, parsed: Jpeg, colorspace: str, notes: tuple[str, ...] = ()) -> None:
        self.notes = notes
        self.pages = (JpegPage(_Stream(parsed.clean), (parsed.height, parsed.width), parsed.mcu, parsed.components),)
        self._parsed = parsed
        self._colorspace = colorspace

    def rewrite(self, masks: Sequence[Mask]) -> bytes:
        """The picture with the covered MCUs black in every component. Raises BadFile."""
        (mask,), (page,) = matching(masks, self.pages), self.pages
        try:
            return page.stream.coefficients().write(mask.cells, self._black())
        except turbo.TurboError as error:
            raise _refusal(error) from error

    def check(self, finished: bytes, masks: Sequence[Mask]) -> JpegPicture:
        """Read the finished bytes back: every coefficient must be the source's, or black under the mask; without what decoding does
        not need the file must be the same to the byte, and libjpeg must find nothing odd in it. (It does not see up to four bytes of
        padding after the last MCU, its bit buffer; writing the file once more would, for a third of the time of all this.)
        Raises BadFile("not-faithful")."""
        (mask,), (page,) = matching(masks, self.pages), self.pages
        again, source = self._reopened(finished), page.stream.coefficients()
        try:
            decoded = Coefficients(finished, source.num, strict=True)
            place = source.difference(decoded, mask.cells, again._black())
        except turbo.TurboError as error:
            raise BadFile("not-faithful", f"the finished JPEG: {error}") from error
        if place:
            component, row = place
            raise BadFile("not-faithful", f"the finished JPEG differs from its source in component {component}, row of blocks {row}")
        again.pages = (replace(again.pages[0], stream=_Stream(finished, decoded), source=Darkened(page, mask)),)
        return again

    def _reopened(self, finished: bytes) -> JpegPicture:
        try:
            parsed = markers.parse(finished)
            again = JpegPicture(parsed, _agreed(parsed))
        except BadFile as error:
            raise BadFile("not-faithful", f"the finished file cannot be read: {error.reason}") from error
        if parsed.clean != finished:
            raise BadFile("not-faithful", "the finished JPEG holds more than the picture: a marker, or bytes between or after")
        if again._layout() != self._layout():
            raise BadFile("not-faithful", "the finished JPEG has another size, subsampling, colour space or quantisation")
        return again

    def _layout(self) -> tuple[object, ...]:
        parts = [(c.vertical, c.horizontal, self._parsed.tables[c.table]) for c in self._parsed.components]
        return self.pages[0].size, self.pages[0].cell, self._colorspace, parts

    def _black(self) -> list[int]:
        """For each component the quantised DC of a black block, whose other coefficients are 0: at or just below -1024 where 0 is not
        black."""
        dark = [index == 0 or self._colorspace == "RGB" for index in range(len(self._parsed.components))]
        steps = [self._parsed.tables[component.table][0] for component in self._parsed.components]
        return [-_DARKEST // step if is_dark else 0 for is_dark, step in zip(dark, steps, strict=True)]
