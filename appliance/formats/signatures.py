"""How a picture file begins: the one table that the redactor and the sources share."""

from __future__ import annotations

import re

SIGNATURES = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"BM", "bmp"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
)

HEAD = 377
"""Bytes from a file's beginning that its format is told from: three of MPEG-TS's marks, and DICOM's preamble and prefix (PS3.10 7.1)."""

DICOM_PREFIX, PREAMBLE = b"DICM", 128

FILMS = frozenset({"mp4", "avi", "mpg", "ts", "mkv"})
"""The formats that are films: MP4 and MOV, AVI, MPEG program and transport streams, Matroska and WebM."""

MPEG_TS, EVERY = 0x47, 188
"""A transport stream's packets are so long and begin with this byte (ISO/IEC 13818-1 2.4.3)."""

MP4_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
STILLS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis", b"crx "})
"""Boxes that MP4 and MOV begin with, and brands of such a file that is a picture."""

SMALLEST = {"jpeg": 100, "png": 67, "bmp": 55, "tiff": 75, "dicom": PREAMBLE + len(DICOM_PREFIX) + 1}
"""Bytes that a whole file of a format has at least, beyond those of its header."""

BARE_DICOM = re.compile(
    rb"\x08\x00[\x00\x05\x08\x16]\x00(UL\x04\x00|CS..|UI..|[\x02-\x80]\x00\x00\x00)|\x02\x00[\x00-\x10]\x00(UL\x04\x00|OB\0\0|UI..)",
    re.DOTALL,
)
"""A file without preamble, perhaps without File Meta Information: its first element is one of those that group 0002 or 0008 begins with."""


def format_of(head: bytes) -> str | None:
    """The format that a file's first HEAD bytes (or all, if there are fewer) speak of: "dicom", "jpeg", "png", "bmp", "tiff" or one of
    FILMS; None: none that is known. A DICOM file's preamble may look like a TIFF's head, so its prefix is looked for first."""
    if not head:
        return None
    if head[PREAMBLE : PREAMBLE + len(DICOM_PREFIX)] == DICOM_PREFIX or BARE_DICOM.match(head):
        return "dicom"
    picture = next((name for signature, name in SIGNATURES if head[: len(signature)] == signature[: len(head)]), None)
    return picture or _film_of(head)


def _film_of(head: bytes) -> str | None:
    """ISO/IEC 14496-12 4.3, AVI RIFF, ISO/IEC 13818-1, RFC 8794 (EBML)."""
    for signature, name in ((b"\0\0\1\xba", "mpg"), (b"\x1aE\xdf\xa3", "mkv")):
        if head[: len(signature)] == signature[: len(head)]:
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"AVI "[: len(head[8:])]:
        return "avi"
    if head[4:8] in MP4_BOXES and not (head[4:8] == b"ftyp" and head[8:12] in STILLS):
        return "mp4"
    if head[0] == MPEG_TS and len(head) > EVERY and all(byte == MPEG_TS for byte in head[::EVERY][:3]):
        return "ts"
    return None


def is_header_alone(head: bytes, size: int) -> bool:
    """Whether a file cannot hold more than a format's header: somebody made it and has yet to fill it. head : its first HEAD bytes"""
    kind = format_of(head)
    return size == 0 or (kind is not None and size < SMALLEST.get(kind, 0))
