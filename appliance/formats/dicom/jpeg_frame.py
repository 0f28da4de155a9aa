"""One frame that is baseline JPEG (or 8-bit sequential with the extended marker): a picture for the DCT path, without EXIF.

A header and a JPEG may disagree on the colours: viewers go by the one or by the other. Such a frame is looked at in both readings,
covered by what the header says, and keeps the markers it had.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.errors import BadFile
from appliance.formats.common import Limits
from appliance.formats.dicom.image import Image
from appliance.formats.jpeg import JpegPage, JpegPicture, open_as_stored
from appliance.types import Mask, Pixels

SOI, APP0, APP14 = b"\xff\xd8", b"\xff\xe0", b"\xff\xee"
SAYS_RGB, SAYS_YBR = (APP14 + b"\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + transform for transform in (b"\0", b"\1"))
FRAME_HEADERS = (0xC0, 0xC1, 0xC2)
"""SOF0, SOF1, SOF2."""


def precision_of(frame: bytes) -> int:
    """Bits a sample of the first frame header; 8 where there is none, which the JPEG parser then refuses."""
    position = 2
    while position + 5 < len(frame):
        if frame[position] != 0xFF:
            break
        code = frame[position + 1]
        if code in FRAME_HEADERS:
            return frame[position + 4]
        position += 1 if code == 0xFF else 2 + int.from_bytes(frame[position + 2 : position + 4], "big")
    return 8


def open_frame(frame: bytes, image: Image, limits: Limits) -> JpegPicture | TwoReadings:
    """Raises BadFile."""
    picture = open_as_stored(frame, limits)
    if picture.pages[0].size != (image.rows, image.columns):
        raise BadFile("damaged", "a frame of the DICOM file has another size than its header says")
    if (picture.colorspace == "grey") != (image.samples == 1):
        raise BadFile("damaged", "a frame of the DICOM file has another number of colours than its header says")
    if image.samples == 1 or (picture.colorspace == "RGB") == (image.photometric == "RGB"):
        return picture
    return TwoReadings(picture.clean, image, limits)


class BothPage:
    """The page, first by the header's reading, then by the markers'."""

    renderings = 2

    def __init__(self, pages: tuple[JpegPage, JpegPage]) -> None:
        self._pages = pages
        self.size, self.cell = pages[0].size, pages[0].cell

    def darkened(self, num: int) -> None:
        """What is black in one reading is green in the other."""

    def read(self, num: int, out: Pixels, rendering: int = 0) -> None:
        self._pages[rendering].read(num, out)


class TwoReadings:
    """A JPEG whose header and markers disagree on its colours."""

    format = "jpeg"
    notes = ("the DICOM header and the JPEG disagree on the colours; both readings were looked at",)

    def __init__(self, clean: bytes, image: Image, limits: Limits) -> None:
        self._image, self._limits = image, limits
        self._markers, rest = _split(clean)
        told = SAYS_RGB if image.photometric == "RGB" else SAYS_YBR
        self._by_header = open_as_stored(SOI + told + rest, limits)
        other = SAYS_YBR if image.photometric == "RGB" else SAYS_RGB
        self.memory = 2 * self._by_header.memory
        self.pages = (BothPage((self._by_header.pages[0], open_as_stored(SOI + other + rest, limits).pages[0])),)

    def rewrite(self, masks: Sequence[Mask]) -> bytes:
        """Raises BadFile."""
        return SOI + self._markers + _split(self._by_header.rewrite(masks))[1]

    def check(self, finished: bytes, masks: Sequence[Mask]) -> TwoReadings:
        """Raises BadFile("not-faithful")."""
        markers, rest = _split(finished)
        if markers != self._markers:
            raise BadFile("not-faithful", "the finished frame has other markers than its source")
        told = _split(self._by_header.clean)[0]
        self._by_header.check(SOI + told + rest, masks)
        return TwoReadings(finished, self._image, self._limits)


def _split(clean: bytes) -> tuple[bytes, bytes]:
    """The one JFIF or Adobe segment of a cleaned JPEG, or nothing; and all after it."""
    if clean[2:4] not in (APP0, APP14):
        return b"", clean[2:]
    end = 4 + int.from_bytes(clean[4:6], "big")
    return clean[2:end], clean[end:]
