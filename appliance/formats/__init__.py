"""File formats: bytes become pictures that can be read, masked, written and checked.

Every format works the same way. What decoding needs is picked out of the file by a small parser with fixed limits; only that is
given to a decoder; what is written is built from nothing but that. To add a format: a file here whose opener returns a Picture
(common.py; write its `check` before its `rewrite`), a line in signatures.py and one in _OPENERS.

Refused, though Pillow could read it: JPEG in CMYK or arithmetic coding; animated PNG; BMP with run lengths, 16 bits or an OS/2
header; BigTIFF, TIFF with fax or old-style JPEG compression, colours in separate planes, floating-point samples, CMYK or Lab; and
transparency that is not the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.errors import BadFile
from appliance.formats import bmp, png, tiff
from appliance.formats.common import Limits, Page, Picture
from appliance.formats.jpeg import open_jpeg
from appliance.formats.raster import Codec, open_raster
from appliance.signatures import format_of

__all__ = ["Limits", "Page", "Picture", "open_picture", "sniff"]


def sniff(head: bytes) -> str:
    """The format by content: "jpeg", "png", "bmp" or "tiff".

    head : the first 16 bytes, or all if there are fewer
    Raises BadFile.
    """
    if not head:
        raise BadFile("incomplete", "the file is empty")
    if not any(head[:16]):
        raise BadFile("incomplete", "the file begins with zeros, like one that is still being written")
    name = format_of(head)
    if name is None:
        raise BadFile("unsupported", "not a picture type this box handles (JPEG, PNG, BMP, TIFF)")
    return name


def _raster(codec: Codec) -> Callable[[bytes, Limits], Picture]:
    return lambda data, limits: open_raster(codec, data, limits)


_OPENERS: dict[str, Callable[[bytes, Limits], Picture]] = {
    "jpeg": open_jpeg,
    "png": _raster(png.CODEC),
    "bmp": _raster(bmp.CODEC),
    "tiff": _raster(tiff.CODEC),
}


def open_picture(data: bytes | memoryview, limits: Limits) -> Picture:
    """Open a picture file of any handled format. Raises BadFile."""
    return _OPENERS[sniff(bytes(data[:16]))](bytes(data), limits)
