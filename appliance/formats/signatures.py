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

HEAD = 132
"""Bytes from a file's beginning that its format is told from: those of DICOM's preamble and prefix (PS3.10 7.1)."""

SMALLEST = {"jpeg": 100, "png": 67, "bmp": 55, "tiff": 75, "dicom": HEAD + 1}
"""Bytes that a whole file of a format has at least, beyond those of its header."""

DICOM_PREFIX = b"DICM"

BARE_DICOM = re.compile(
    rb"\x08\x00[\x00\x05\x08\x16]\x00(UL\x04\x00|CS..|UI..|[\x02-\x80]\x00\x00\x00)|\x02\x00[\x00-\x10]\x00(UL\x04\x00|OB\0\0|UI..)",
    re.DOTALL,
)
"""A file without preamble, perhaps without File Meta Information: its first element is one of those that group 0002 or 0008 begins with."""


def format_of(head: bytes) -> str | None:
    """The format that a file's first HEAD bytes (or all, if there are fewer) speak of: "dicom", "jpeg", "png", "bmp" or "tiff";
    None: no picture's. A DICOM file's preamble may look like a TIFF's head, so its prefix is looked for first."""
    if not head:
        return None
    if head[HEAD - len(DICOM_PREFIX) : HEAD] == DICOM_PREFIX or BARE_DICOM.match(head):
        return "dicom"
    return next((name for signature, name in SIGNATURES if head[: len(signature)] == signature[: len(head)]), None)


def is_header_alone(head: bytes, size: int) -> bool:
    """Whether a file cannot hold more than a format's header: somebody made it and has yet to fill it. head : its first HEAD bytes"""
    kind = format_of(head)
    return size == 0 or (kind is not None and size < SMALLEST[kind])
