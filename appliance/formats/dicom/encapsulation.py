"""Encapsulated pixel data (PS3.5 A.4): frames in fragments, found by whichever offset table is right; written one fragment a frame."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from pydicom.dataset import Dataset

from appliance.errors import BadFile

ITEM, END = 0xE000FFFE, 0xE0DDFFFE
"""Tags of an item and of the sequence's end, as a little-endian 32-bit number."""
HEAD = struct.Struct("<II")
PIXEL_DATA = b"\xe0\x7f\x10\x00"
UNDEFINED = 0xFFFFFFFF
MOST_FRAGMENTS = 200_000
STARTS = (b"\xff\xd8", b"\xff\x4f")
"""How a JPEG or JPEG-LS stream and a JPEG 2000 codestream begin."""

Span = tuple[int, int]
"""Where bytes begin and end in the file."""


def frames_of(data: bytes, start: int, count: int, dataset: Dataset) -> list[list[Span]]:
    """The fragments of each of `count` frames.

    start : of the first item, the Basic Offset Table
    Raises BadFile.
    """
    table, *fragments = _items(data, start)
    if not fragments:
        raise BadFile("damaged", "the DICOM file's pixel data are empty")
    if count == 1:
        return [fragments]
    begins = [fragment[0] - HEAD.size - (fragments[0][0] - HEAD.size) for fragment in fragments]
    for offsets in (_extended(dataset), _basic(data[slice(*table)])):
        if len(offsets) == count and offsets[0] == 0 and sorted(set(offsets)) == offsets and set(offsets) <= set(begins):
            return _cut(fragments, [begins.index(offset) for offset in offsets])
    if len(fragments) == count:
        return [[fragment] for fragment in fragments]
    firsts = [index for index, (begin, _) in enumerate(fragments) if data[begin : begin + 2] in STARTS]
    if len(firsts) == count and firsts[0] == 0:
        return _cut(fragments, firsts)
    raise BadFile("damaged", f"the DICOM file says {count} frames, its pixel data hold {len(firsts) or len(fragments)}")


def _items(data: bytes, position: int) -> list[Span]:
    found: list[Span] = []
    while len(found) <= MOST_FRAGMENTS:
        if position + HEAD.size > len(data):
            raise BadFile("incomplete", "the DICOM file is cut off: its pixel data have no end")
        tag, length = HEAD.unpack_from(data, position)
        position += HEAD.size
        if tag == END:
            return found or [(position, position)]
        if tag != ITEM or length == UNDEFINED:
            raise BadFile("damaged", "the DICOM file is damaged: its pixel data are no row of items")
        if position + length > len(data):
            raise BadFile("incomplete", "the DICOM file is cut off in its pixel data")
        found.append((position, position + length))
        position += length
    raise BadFile("too-large", f"the DICOM file's pixel data are in more than {MOST_FRAGMENTS} pieces")


def _basic(table: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(table) // 4}I", table[: len(table) // 4 * 4]))


def _extended(dataset: Dataset) -> list[int]:
    table = dataset.get("ExtendedOffsetTable")
    return list(struct.unpack(f"<{len(table) // 8}Q", table[: len(table) // 8 * 8])) if isinstance(table, bytes) else []


def _cut(fragments: list[Span], firsts: list[int]) -> list[list[Span]]:
    return [fragments[first:after] for first, after in zip(firsts, [*firsts[1:], len(fragments)], strict=True)]


def encapsulated(frames: Sequence[bytes]) -> list[bytes]:
    """Pixel data, element and all, in pieces to be written one after the other: Basic Offset Table, one fragment a frame.

    frames : each of even length
    """
    offsets, position = [], 0
    for frame in frames:
        offsets.append(position)
        position += HEAD.size + len(frame)
    table = struct.pack(f"<{len(offsets)}I", *offsets) if position < UNDEFINED else b""
    pieces = [PIXEL_DATA + b"OB\0\0" + struct.pack("<I", UNDEFINED), HEAD.pack(ITEM, len(table)), table]
    for frame in frames:
        pieces += [HEAD.pack(ITEM, len(frame)), frame]
    return [*pieces, HEAD.pack(END, 0)]


def native(frames: Sequence[bytes], allocated: int, implicit: bool) -> list[bytes]:
    """Uncompressed pixel data, little-endian. Raises BadFile when the element cannot be so long."""
    length = sum(map(len, frames))
    if length >= UNDEFINED - 1:
        raise BadFile("too-large", "uncompressed pixel data of 4 GiB and more do not fit into a DICOM file")
    vr = b"" if implicit else (b"OB" if allocated == 8 else b"OW") + b"\0\0"
    return [PIXEL_DATA + vr + struct.pack("<I", length + length % 2), *frames, bytes(length % 2)]
