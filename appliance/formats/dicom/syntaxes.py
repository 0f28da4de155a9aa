"""The transfer syntaxes: what each is called, how its frames are decoded and encoded, and which one the result has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from appliance.errors import BadFile

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG_ENDIAN = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
JPEG_LOSSLESS, JPEG_2000 = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90"

Codec = Literal["native", "rle", "jpeg", "jpeg12", "jpeg lossless", "jpeg-ls", "jpeg 2000", "htj2k"]


@dataclass(frozen=True)
class Syntax:
    """uid : the source's; result : the finished file's, and `note` where that is another."""

    uid: str
    codec: Codec
    result: str
    note: str = ""

    @property
    def is_native(self) -> bool:
        return self.codec == "native"

    @property
    def mixes(self) -> bool:
        """Whether the codec may mix colours before coding them, as YBR_RCT or YBR_ICT."""
        return self.codec in ("jpeg 2000", "htj2k")

    @property
    def is_implicit(self) -> bool:
        """Whether the result's elements say no VR."""
        return self.result == IMPLICIT


JPEG = "1.2.840.10008.1.2.4."
EXTENDED = f"{JPEG}51"

_SAME: dict[str, Codec] = {
    IMPLICIT: "native",
    EXPLICIT: "native",
    RLE: "rle",
    f"{JPEG}50": "jpeg",
    EXTENDED: "jpeg",
    f"{JPEG}57": "jpeg lossless",
    JPEG_LOSSLESS: "jpeg lossless",
    f"{JPEG}80": "jpeg-ls",
    f"{JPEG}81": "jpeg-ls",
    JPEG_2000: "jpeg 2000",
    f"{JPEG}91": "jpeg 2000",
    f"{JPEG}201": "htj2k",
    f"{JPEG}202": "htj2k",
    f"{JPEG}203": "htj2k",
}

SYNTAXES = {uid: Syntax(uid, codec, uid) for uid, codec in _SAME.items()} | {
    BIG_ENDIAN: Syntax(BIG_ENDIAN, "native", EXPLICIT, "big-endian pixel data written as Explicit VR Little Endian"),
    DEFLATED: Syntax(DEFLATED, "native", EXPLICIT, "the deflated file is written as Explicit VR Little Endian"),
}

TWELVE_BITS = Syntax(EXTENDED, "jpeg12", JPEG_LOSSLESS, "12-bit lossy JPEG written as JPEG Lossless")
"""Nothing encodes 12-bit DCT coefficients as they were; lossless adds no second error."""

WITHOUT_HTJ2K = "HTJ2K written as JPEG 2000 Lossless: this Python's imagecodecs encodes no HTJ2K"

FILMS = {f"{JPEG}{number}" for number in (*range(100, 109), 1001, 1002, 1003)} | {f"{JPEG}{number}.1" for number in range(100, 107)}


def syntax_of(uid: str) -> Syntax:
    """Raises BadFile."""
    if uid in FILMS:
        raise BadFile("unsupported", "the DICOM file is a film (MPEG-2, H.264 or HEVC), which this box does not handle")
    if uid not in SYNTAXES:
        raise BadFile("unsupported", "the DICOM file's pixel data are coded in a way (Transfer Syntax) that is not handled")
    return SYNTAXES[uid]
