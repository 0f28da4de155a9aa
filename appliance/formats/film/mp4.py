"""Reads a finished MP4 box by box (ISO/IEC 14496-12): it may hold one film's frames and what it takes to play them, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from appliance.errors import BadFile

INSIDE = {
    "": {"ftyp", "free", "mdat", "moov"},
    "moov": {"mvhd", "trak", "udta"},
    "trak": {"tkhd", "edts", "mdia"},
    "edts": {"elst"},
    "mdia": {"mdhd", "hdlr", "minf"},
    "minf": {"vmhd", "dinf", "stbl"},
    "dinf": {"dref"},
    "stbl": {"stsd", "stts", "stss", "ctts", "stsc", "stsz", "stco", "co64"},
    "stsd": {"avc1", "hvc1", "hev1", "mp4v"},
    "avc1": {"avcC", "pasp", "colr", "btrt", "fiel"},
    "mp4v": {"esds", "pasp", "colr", "btrt", "fiel"},
}
INSIDE["hvc1"] = INSIDE["hev1"] = {"hvcC", "pasp", "colr", "btrt", "fiel"}
"""A box and those that may stand in it; "" is the file."""

MORE_THAN_ONCE = frozenset({"free"})
HEADS = {"stsd": 8, "avc1": 78, "mp4v": 78, "hvc1": 78, "hev1": 78}
"""Bytes of a box before the boxes in it."""

HANDLER = bytes(8) + b"vide" + bytes(12) + b"VideoHandler\0"
ITSELF = bytes(7) + b"\1" + b"\0\0\0\x0curl \0\0\0\1"
NO_WORDS = b"\0\0\0\x35meta" + bytes(4) + b"\0\0\0\x21hdlr" + bytes(8) + b"mdirappl" + bytes(9) + b"\0\0\0\x08ilst"
"""All that hdlr, dref and udta may hold: FFmpeg's fixed name, the file itself, an empty list."""
COMPRESSOR = slice(42, 74)
"""Where a stsd entry names the encoder; FFmpeg puts a camera's name for some sizes of MPEG-2."""


@dataclass(frozen=True)
class Box:
    kind: str
    body: bytes
    parent: str


def check(data: bytes, count: int) -> None:
    """count : frames it must have. Raises BadFile("not-faithful")."""
    try:
        boxes = list(_walk(data, ""))
    except (IndexError, UnicodeDecodeError) as error:
        raise _unfit("is cut off") from error
    found = {box.kind: box.body for box in boxes}
    kinds = [box.kind for box in boxes if box.kind not in MORE_THAN_ONCE]
    if len(set(kinds)) != len(kinds):
        raise _unfit("has a box twice")
    if not {"ftyp", "mdat", "moov", "mvhd", "trak", "tkhd", "mdhd", "hdlr", "dref", "stsz"} <= set(kinds):
        raise _unfit("lacks a box")
    if any(box.kind == "free" and any(box.body) for box in boxes):
        raise _unfit("has bytes in its free space")
    if any(any(found[kind][4:20] if found[kind][0] else found[kind][4:12]) for kind in ("mvhd", "tkhd", "mdhd")):
        raise _unfit("tells a date")
    if found["hdlr"] != HANDLER or found["dref"] != ITSELF or found.get("udta", NO_WORDS) != NO_WORDS:
        raise _unfit("has words of its own")
    _check_entry(boxes)
    _check_sizes(found["stsz"], len(found["mdat"]), count)


def _walk(data: bytes, parent: str) -> Iterator[Box]:
    position = 0
    while position < len(data):
        head = 8
        size, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8].decode("ascii")
        if size == 1:
            head, size = 16, int.from_bytes(data[position + 8 : position + 16], "big")
        if size < head or position + size > len(data):
            raise IndexError
        if kind not in INSIDE[parent]:
            raise _unfit("has a box that is not on the list")
        body = data[position + head : position + size]
        yield Box(kind, body, parent)
        if kind in INSIDE:
            yield from _walk(body[HEADS.get(kind, 0) :], kind)
        position += size


def _check_entry(boxes: list[Box]) -> None:
    entries = [box for box in boxes if box.parent == "stsd"]
    if len(entries) != 1 or not (not any(entries[0].body[COMPRESSOR]) or entries[0].body[COMPRESSOR][1:].startswith(b"XDCAM")):
        raise _unfit("names an encoder")


def _check_sizes(table: bytes, payload: int, count: int) -> None:
    """Every byte of the media data belongs to a frame."""
    common, entries = int.from_bytes(table[4:8], "big"), int.from_bytes(table[8:12], "big")
    sizes = [common] * entries if common else [int.from_bytes(table[at : at + 4], "big") for at in range(12, len(table), 4)]
    if len(sizes) != count or sum(sizes) != payload:
        raise _unfit("holds bytes that belong to no frame")


def _unfit(what: str) -> BadFile:
    return BadFile("not-faithful", f"the finished film is not as it should be: it {what}")
