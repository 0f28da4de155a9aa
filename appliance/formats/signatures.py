"""How a picture file begins: the one table that the redactor and the sources share."""

from __future__ import annotations

SIGNATURES = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"BM", "bmp"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
)


def format_of(head: bytes) -> str | None:
    """The format a file's first 16 bytes (or all, if there are fewer) speak of: "jpeg", "png", "bmp" or "tiff"; None: no picture's."""
    return next((name for signature, name in SIGNATURES if head[: len(signature)] == signature[: len(head)]), None) if head else None
