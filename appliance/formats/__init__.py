"""File formats: bytes become pictures that can be read, masked, written and checked.

Every format works the same way. What decoding needs is picked out of the file by a small parser with fixed limits; only that is
given to a decoder; what is written is built from nothing but that. To add a format: a file here whose `open_file` returns a
Picture (common.py; write its `check` before its `rewrite`), a line in signatures.py and one in FORMATS. A format's file and its decoders
are imported when the first picture of that format is opened.

Refused, though Pillow could read it: JPEG in CMYK or arithmetic coding; animated PNG; BMP with run lengths or an OS/2
header; BigTIFF, TIFF with old-style JPEG compression, colours in separate planes, floating-point samples, CMYK or Lab; and
a BMP, or a fourth channel of a TIFF of unknown meaning, whose transparency is not the same everywhere. DICOM is not in this
table: its frames are pictures, the file is not (formats/dicom).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from appliance.errors import BadFile
from appliance.formats.common import Limits, Page, Picture
from appliance.formats.signatures import HEAD, format_of

__all__ = ["FORMATS", "Limits", "Page", "Picture", "open_picture", "sniff"]

FORMATS = {
    "jpeg": "appliance.formats.jpeg",
    "png": "appliance.formats.png",
    "bmp": "appliance.formats.bmp",
    "tiff": "appliance.formats.tiff",
}
"""Format -> the module whose `open_file(data, limits)` opens it."""


def sniff(head: bytes) -> str:
    """The format by content: "dicom" or one of FORMATS.

    head : the first signatures.HEAD bytes, or all if there are fewer
    Raises BadFile.
    """
    if not head:
        raise BadFile("incomplete", "the file is empty")
    if not any(head[:HEAD]):
        raise BadFile("incomplete", "the file begins with zeros, like one that is still being written")
    name = format_of(head)
    if name is None:
        raise BadFile("unsupported", "not a picture type this box handles (JPEG, PNG, BMP, TIFF, DICOM)")
    return name


def open_picture(data: bytes | memoryview, limits: Limits, reserve: Callable[[int], None] = lambda memory: None) -> Picture:
    """Open a picture file of any handled format. Raises BadFile.

    reserve : told Picture.memory before the samples are decoded
    """
    picture: Picture = import_module(FORMATS[sniff(bytes(data[:HEAD]))]).open_file(bytes(data), limits)
    reserve(picture.memory)
    _ = picture.pages  # so that what is broken is refused here
    return picture
