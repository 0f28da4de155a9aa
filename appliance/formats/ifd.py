"""TIFF 6.0's container: directories of tags and the strips or tiles they point to, read with fixed limits, written compactly."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from appliance.errors import BadFile

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
FILL_ORDER, STRIP_OFFSETS, ORIENTATION, CHANNELS, ROWS_PER_STRIP, STRIP_COUNTS = 266, 273, 274, 277, 278, 279
PLANAR, PREDICTOR, COLOR_MAP, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 284, 317, 320, 322, 323, 324, 325
SUBFILE, EXTRA, SAMPLE_FORMAT, JPEG_TABLES, YCBCR_SAMPLING, YCBCR_REFERENCE, PROFILE = 254, 338, 339, 347, 530, 532, 34675
T4_OPTIONS, T6_OPTIONS = 292, 293

_READ = {
    *(SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, STRIP_OFFSETS, ORIENTATION, CHANNELS, ROWS_PER_STRIP),
    *(STRIP_COUNTS, PLANAR, PREDICTOR, COLOR_MAP, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, EXTRA, SAMPLE_FORMAT),
    *(JPEG_TABLES, YCBCR_SAMPLING, YCBCR_REFERENCE, T4_OPTIONS, T6_OPTIONS),
}
_BYTE, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 1, 3, 4, 5, 7
_TYPES = {_BYTE: "B", _SHORT: "H", _LONG: "I", _RATIONAL: "II", _UNDEFINED: "B"}
_MAX_PAGES, _MAX_VALUES = 1000, 2_000_000

Tags = dict[int, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Directory:
    """One page: tag -> numbers (only tags that decoding may need), whether it has an ICC profile, its strips or tiles.

    tags_seen : every tag of the directory, known or not
    spans : (start, end) of everything in the file that belongs to it
    """

    tags: Tags
    has_profile: bool
    tags_seen: tuple[int, ...]
    chunks: tuple[bytes, ...]
    spans: tuple[tuple[int, int], ...]

    def one(self, tag: int, default: int) -> int:
        """A tag's first number."""
        values = self.tags.get(tag, ())
        return values[0] if values else default


def read(data: bytes) -> tuple[str, list[Directory]]:
    """The byte order, "<" or ">", and the pages in order. Raises BadFile."""
    if data[2:4] in (b"+\x00", b"\x00+"):
        raise BadFile("unsupported", "the file is a BigTIFF, TIFF 6.0 is handled")
    if len(data) < 8:
        raise BadFile("incomplete", "the TIFF is cut off inside its header")
    order = "<" if data.startswith(b"II") else ">"
    pages: list[Directory] = []
    seen: set[int] = set()
    taken = 0
    (position,) = struct.unpack_from(order + "I", data, 4)
    while position:
        if position in seen or len(pages) == _MAX_PAGES:
            raise BadFile("damaged", f"the TIFF's directories form a ring or are more than {_MAX_PAGES}")
        seen.add(position)
        directory, position = _directory(data, order, position)
        taken += sum(map(len, directory.chunks))
        if taken > len(data):
            raise BadFile("damaged", "the TIFF's pages share their strips")
        pages.append(directory)
    if not pages:
        raise BadFile("damaged", "the TIFF has no page")
    return order, pages


def _directory(data: bytes, order: str, start: int) -> tuple[Directory, int]:
    count = int.from_bytes(_part(data, start, 2), "little" if order == "<" else "big")
    end = start + 2 + 12 * count
    body = _part(data, start + 2, 12 * count + 4)
    tags: Tags = {}
    seen: list[int] = []
    spans = [(start, end + 4)]
    for index in range(count):
        tag, kind, number = struct.unpack_from(order + "HHI", body, 12 * index)
        if tag in seen and tag in _READ:
            raise BadFile("damaged", f"the TIFF has tag {tag} twice")
        seen.append(tag)
        if tag not in _READ or kind not in _TYPES:
            continue
        size = struct.calcsize(order + _TYPES[kind]) * number
        if number > _MAX_VALUES:
            raise BadFile("damaged", f"the TIFF has a tag of {number} values, the limit is {_MAX_VALUES}")
        place = start + 2 + 12 * index + 8
        if size > 4:
            place = struct.unpack_from(order + "I", data, place)[0]
            spans.append((place, place + size))
        tags[tag] = struct.unpack(order + _TYPES[kind] * number, _part(data, place, size))
    tiled = TILE_OFFSETS in tags
    offsets, sizes = (tags.get(t, ()) for t in ((TILE_OFFSETS, TILE_COUNTS) if tiled else (STRIP_OFFSETS, STRIP_COUNTS)))
    if offsets and not sizes:
        raise BadFile("unsupported", "the TIFF does not say how long its strips or tiles are; save it again with another program")
    if len(offsets) != len(sizes) or not offsets:
        raise BadFile("damaged", f"the TIFF has {len(offsets)} strips or tiles and {len(sizes)} lengths")
    if sum(sizes) > len(data):
        raise BadFile("incomplete", "the TIFF is cut off: it is shorter than its strips together")
    chunks = tuple(_part(data, offset, size) for offset, size in zip(offsets, sizes, strict=True))
    spans += [(offset, offset + size) for offset, size in zip(offsets, sizes, strict=True)]
    (following,) = struct.unpack_from(order + "I", body, 12 * count)
    return Directory(tags, PROFILE in seen, tuple(seen), chunks, tuple(spans)), following


def _part(data: bytes, start: int, size: int) -> bytes:
    if start + size > len(data):
        raise BadFile("incomplete", "the TIFF is cut off: it points beyond its end")
    return data[start : start + size]


def build(order: str, pages: Sequence[tuple[Mapping[int, tuple[int, ...]], Sequence[bytes]]]) -> bytes:
    """A TIFF of nothing but these pages: for each its tags, without offsets and lengths, and its strips, or tiles if it has a
    TILE_WIDTH. Every part begins at an even place, filled up with a zero byte."""
    out = bytearray((b"II*\x00" if order == "<" else b"MM\x00*") + bytes(4))
    link = 4
    for tags, chunks in pages:
        offsets = []
        for chunk in chunks:
            offsets.append(len(out))
            out += chunk + bytes(len(chunk) % 2)
        places = (TILE_OFFSETS, TILE_COUNTS) if TILE_WIDTH in tags else (STRIP_OFFSETS, STRIP_COUNTS)
        whole = {**tags, places[0]: tuple(offsets), places[1]: tuple(len(chunk) for chunk in chunks)}
        entries = b""
        for tag, values in sorted(whole.items()):
            kind = _type(tag, values)
            packed = struct.pack(order + _TYPES[kind][0] * len(values), *values)
            number = len(values) // len(_TYPES[kind])
            if len(packed) > 4:
                place = len(out)
                out += packed + bytes(len(packed) % 2)
                packed = struct.pack(order + "I", place)
            entries += struct.pack(order + "HHI", tag, kind, number) + packed.ljust(4, b"\x00")
        struct.pack_into(order + "I", out, link, len(out))
        out += struct.pack(order + "H", len(whole)) + entries
        link = len(out)
        out += bytes(4)
    return bytes(out)


def _type(tag: int, values: tuple[int, ...]) -> int:
    if tag == JPEG_TABLES:
        return _UNDEFINED
    if tag == YCBCR_REFERENCE:
        return _RATIONAL
    return _LONG if tag in (STRIP_OFFSETS, STRIP_COUNTS, TILE_OFFSETS, TILE_COUNTS) or max(values) > 0xFFFF else _SHORT


def leftover(data: bytes, pages: Sequence[Directory]) -> bool:
    """Whether the file holds a byte that belongs to no page, other than a zero that makes a place even, or parts that overlap."""
    position = 8
    for start, end in sorted(span for page in pages for span in page.spans):
        if start not in (position, position + position % 2) or any(data[position:start]):
            return True
        position = end
    return any(data[position:]) or len(data) - position > position % 2
