"""The frames of a file: opened one by one, so that a long loop needs no more memory than a short one; and put together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO

from pydicom import dcmread
from pydicom.encaps import generate_frames

from appliance.errors import BadFile
from appliance.formats.common import Limits, Picture, raster_memory
from appliance.formats.dicom import codecs
from appliance.formats.dicom.dataset import Header, guarded
from appliance.formats.dicom.encapsulation import PIXEL_DATA, UNDEFINED, Span, encapsulated, frames_of, native
from appliance.formats.dicom.frame import FramePicture
from appliance.formats.dicom.image import Image, describe
from appliance.formats.dicom.jpeg_frame import open_frame, precision_of
from appliance.formats.dicom.syntaxes import EXTENDED, TWELVE_BITS, Syntax, syntax_of

LONG = frozenset({b"OB", b"OW"})


class Frames:
    """A file's frames, in order.

    image : the pixels as the source codes them; result : as they are written
    """

    def __init__(self, header: Header, image: Image, syntax: Syntax, spans: list[list[Span]], limits: Limits) -> None:
        self._data, self._big, self.limits = header.data, header.is_big_endian, limits
        self._spans = spans
        self.image, self.syntax = image, syntax
        self._words = _is_words(header)
        self.written = codecs.encodable(syntax)
        self.result = _result(image, self.written, self._frame(0))
        self.notes = (self.written.note,) if self.written.note else ()

    def __len__(self) -> int:
        return len(self._spans)

    @property
    def memory(self) -> int:
        """Picture.memory of one frame."""
        return raster_memory(self.image.rows, self.image.columns, self.image.samples, self.image.allocated)

    def open(self, index: int) -> Picture:
        """One frame as a picture. Raises BadFile."""
        frame = self._frame(index)
        if self.syntax.codec == "jpeg":
            return open_frame(frame, self.image, self.limits)
        mixed = self.syntax.mixes and codecs.multiple_component(frame)
        return FramePicture(frame, (self.image, self.result), (self.syntax, self.written), mixed)

    def padded(self, frame: bytes) -> bytes:
        """A finished frame as it stands in the file: fragments have even lengths."""
        return frame if self.written.is_native else frame + bytes(len(frame) % 2)

    def joined(self, finished: Sequence[bytes]) -> list[bytes]:
        """The pixel data element of the finished frames, in pieces. Raises BadFile."""
        return native(finished, self.image.allocated, self.written.is_implicit) if self.written.is_native else encapsulated(finished)

    def _frame(self, index: int) -> bytes:
        frame = b"".join(self._data[start:end] for start, end in self._spans[index])
        if self._big and self._words:
            swapped = bytearray(frame)
            swapped[::2], swapped[1::2] = frame[1::2], frame[::2]
            return bytes(swapped)
        return frame


def reread(finished: bytes, source: Frames) -> list[bytes]:
    """The frames of a finished file as pydicom reads them. Raises BadFile, also where the header says other pixels than were written."""
    with guarded():
        dataset = dcmread(BytesIO(finished))
        image = describe(dataset, source.limits)
        if dataset.file_meta.TransferSyntaxUID != source.written.result or told(image) != told(source.result):
            raise BadFile("damaged", "its header says other pixels than were written")
        if not source.written.is_native:
            return list(generate_frames(dataset.PixelData, number_of_frames=image.frames))
        size = len(dataset.PixelData) // image.frames  # a byte that fills up to an even length is none of it
        return [dataset.PixelData[at * size : (at + 1) * size] for at in range(image.frames)]


def told(image: Image) -> tuple[object, ...]:
    """What the header says of the pixels, in numbers."""
    numbers = image.rows, image.columns, image.frames, image.samples, image.allocated, image.stored
    return *numbers, image.signed, image.planar, image.photometric


def open_frames(header: Header, limits: Limits) -> Frames:
    """Raises BadFile."""
    syntax, image = syntax_of(header.syntax), describe(header.dataset, limits)
    start, length = _element(header)
    if (length == UNDEFINED) == syntax.is_native:
        raise BadFile("damaged", "the DICOM file's pixel data are not coded as its header says")
    if syntax.is_native:
        return Frames(header, image, syntax, _native_spans(header, image, start, length), limits)
    spans = frames_of(header.data, start, image.frames, header.dataset)
    if syntax.uid == EXTENDED and precision_of(header.data[spans[0][0][0] : spans[0][-1][1]]) == 12:
        syntax = TWELVE_BITS
    if syntax.codec != "jpeg" and image.photometric == "YBR_FULL_422":
        image = replace(image, photometric="YBR_FULL")  # these codecs give whole colours
    return Frames(header, image, syntax, spans, limits)


def _element(header: Header) -> tuple[int, int]:
    """Where the pixel data's value begins, and its length."""
    data, at = header.data, header.position
    if at + 12 > len(data):
        raise BadFile("incomplete", "the DICOM file ends before its pixel data")
    if data[at : at + 4] != (b"\x7f\xe0\x00\x10" if header.is_big_endian else PIXEL_DATA):
        raise BadFile("unsupported", "the DICOM file's pixel data are no whole numbers, or none")
    if data[at + 4 : at + 6] not in LONG:  # implicit, also where the header calls itself explicit
        return at + 8, int.from_bytes(data[at + 4 : at + 8], "little")
    return at + 12, int.from_bytes(data[at + 8 : at + 12], "big" if header.is_big_endian else "little")


def _is_words(header: Header) -> bool:
    """Whether big-endian bytes are swapped in pairs: 8-bit samples in words are (PS3.5 A.3)."""
    return header.data[header.position + 4 : header.position + 6] == b"OW"


def _native_spans(header: Header, image: Image, start: int, length: int) -> list[list[Span]]:
    size = image.rows * image.columns * image.samples * image.allocated // 8
    if image.photometric in ("YBR_RCT", "YBR_ICT"):
        raise BadFile("damaged", "the DICOM file's colours are a codec's, its pixel data are not coded")
    if image.photometric == "YBR_FULL_422":
        if image.columns % 2 or image.allocated != 8:
            raise BadFile("damaged", "the DICOM file's colours are halved, its columns cannot be")
        size = size * 2 // 3
    if size * image.frames > length:
        raise BadFile("damaged", f"the DICOM file's pixel data have {length} bytes, its header says {size * image.frames}")
    if start + size * image.frames > len(header.data):
        raise BadFile("incomplete", "the DICOM file is cut off in its pixel data")
    return [[(start + size * index, start + size * (index + 1))] for index in range(image.frames)]


def _result(image: Image, written: Syntax, frame: bytes) -> Image:
    """The pixels as they are written."""
    if written.mixes and image.samples == 3:
        mixed = codecs.multiple_component(frame) or image.photometric in ("YBR_RCT", "YBR_ICT")
        return replace(image, photometric="YBR_RCT" if mixed else image.photometric, planar=0)
    if not written.is_native and image.samples == 3:
        return replace(image, planar=0)
    return image
