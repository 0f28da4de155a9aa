"""A JPEG's markers (ITU-T T.81 annex B): what decoding needs is kept, everything else is left out before any decoder sees it.

The cleaned stream holds SOI, one JFIF or Adobe segment of fixed content, DQT, SOF0/1/2, DHT, DRI, SOS with its data, EOI. So
metadata, thumbnails, further pictures after the first (MPF), junk between segments and bytes after the end are gone at once, and
a file that this box has written is its own cleaned stream.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from appliance.errors import BadFile
from appliance.formats import exif

SOI, EOI, SOS, DQT, DHT, DRI, APP0, APP1, APP2, APP14 = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xE0, 0xE1, 0xE2, 0xEE
PROGRESSIVE = 0xC2
_FRAMES = {0xC0, 0xC1, PROGRESSIVE}
_REFUSED = {
    **dict.fromkeys((0xC3, 0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "lossless or hierarchical"),
    **dict.fromkeys((0xC9, 0xCA, 0xCB, 0xCC), "arithmetic-coded"),
    0xDC: "DNL (height after the picture)",
}
_ALONE = {0x01, *range(0xD0, 0xD8)}  # TEM and RSTn have no length
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"  # version 1.1, aspect 1:1, no thumbnail, as libjpeg writes it
_ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"  # its last byte, the colour transform, follows
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # not \xff+: that is 30 times slower, and a fill byte may stay with the scan
_MAX_SEGMENTS = 10_000
_ZIGZAG = sorted(range(64), key=lambda i: (i // 8 + i % 8, i // 8 if (i // 8 + i % 8) % 2 else i % 8))
"""Natural index of the k-th coefficient in zigzag order."""


@dataclass(frozen=True)
class Component:
    """vertical, horizontal : sampling factors; table : its quantisation table's slot."""

    vertical: int
    horizontal: int
    table: int


@dataclass
class Jpeg:
    """What the markers say.

    height, width : as stored, pixels
    tables : slot -> 64 quantisation steps in natural order
    orientation : EXIF, 1..8
    clean : the stream without anything that decoding does not need
    """

    height: int = 0
    width: int = 0
    components: tuple[Component, ...] = ()
    tables: dict[int, tuple[int, ...]] = field(default_factory=dict)
    orientation: int = exif.UPRIGHT
    has_profile: bool = False
    clean: bytes = b""

    @property
    def mcu(self) -> tuple[int, int]:
        """(height, width) of an MCU, pixels."""
        return 8 * max(c.vertical for c in self.components), 8 * max(c.horizontal for c in self.components)


class _Walk:
    """One pass over the bytes; parts gathers the cleaned stream."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.jpeg = Jpeg()
        self.parts: list[bytes] = []
        self.frame = 0
        self.has_scan = self.has_jfif = self.has_exif = False
        self.adobe: int | None = None

    def run(self) -> Jpeg:
        if not self.data.startswith(b"\xff\xd8"):
            raise _cut_off() if len(self.data) < 2 else BadFile("damaged", "the JPEG does not begin with its start marker")
        position = 2
        for _ in range(_MAX_SEGMENTS):
            code, position = self._next_marker(position)
            if code == EOI:
                return self._finished()
            if code == SOI:
                raise BadFile("damaged", "the JPEG has a second start marker inside")
            if code in _REFUSED:
                raise BadFile("unsupported", f"the JPEG is {_REFUSED[code]}, baseline and progressive Huffman coding are handled")
            if code in _ALONE:
                continue
            end = position + int.from_bytes(self.data[position : position + 2], "big")
            if end > len(self.data) or position + 2 > len(self.data):
                raise _cut_off()
            if end < position + 2:
                raise BadFile("damaged", "the JPEG has a segment shorter than its own length field")
            self._segment(code, self.data[position + 2 : end])
            position = self._scan_end(end) if code == SOS else end
        raise BadFile("damaged", f"the JPEG has more than {_MAX_SEGMENTS} segments")

    def _next_marker(self, position: int) -> tuple[int, int]:
        """The next marker's code and the place after it; bytes before it are junk, as libjpeg treats them."""
        while (position := self.data.find(b"\xff", position)) >= 0:
            while self.data[position : position + 1] == b"\xff":
                position += 1
            if position == len(self.data):
                break
            if self.data[position]:
                return self.data[position], position + 1
        raise _cut_off()

    def _scan_end(self, start: int) -> int:
        found = _AFTER_SCAN.search(self.data, start)
        if not found:
            raise _cut_off()
        self.parts.append(self.data[start : found.start()])
        return found.start()

    def _segment(self, code: int, body: bytes) -> None:
        if code == SOS:
            body = self._scan_header(body)
        elif code in _FRAMES:
            self._frame_header(code, body)
        elif code == DQT:
            self._quantisation(body)
        elif code not in (DHT, DRI):
            self._application(code, body)
            return
        self.parts.append(bytes((0xFF, code)) + (len(body) + 2).to_bytes(2, "big") + body)

    def _frame_header(self, code: int, body: bytes) -> None:
        if self.frame:
            raise BadFile("damaged", "the JPEG has two frame headers")
        if len(body) < 6 or len(body) != 6 + 3 * body[5]:
            raise BadFile("damaged", "the JPEG's frame header has a wrong length")
        precision, count = body[0], body[5]
        self.frame = code
        self.jpeg.height, self.jpeg.width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
        if precision != 8:
            raise BadFile("unsupported", f"the JPEG has {precision} bits a sample, 8 are handled")
        if count not in (1, 3):
            raise BadFile("unsupported", f"the JPEG has {count} colour components (CMYK has 4), grey and colour with 3 are handled")
        if not self.jpeg.height or not self.jpeg.width:
            raise BadFile("damaged", f"the JPEG's header says {self.jpeg.width} x {self.jpeg.height} px")
        parts = [body[6 + 3 * i : 9 + 3 * i] for i in range(count)]
        if any(not (1 <= part[1] >> 4 <= 4 and 1 <= part[1] & 15 <= 4) for part in parts):
            raise BadFile("damaged", "the JPEG has a sampling factor outside 1..4")
        # a single component is stored block by block, whatever its sampling factors say (T.81 A.2.2)
        factors = [(1, 1)] if count == 1 else [(part[1] & 15, part[1] >> 4) for part in parts]
        self.jpeg.components = tuple(Component(v, h, part[2]) for (v, h), part in zip(factors, parts, strict=True))

    def _quantisation(self, body: bytes) -> None:
        while body:
            wide, slot = body[0] >> 4, body[0] & 15
            size = 128 if wide else 64
            steps = [int.from_bytes(body[1 + i : 1 + i + 1 + wide], "big") for i in range(0, size, 1 + wide)]
            if wide > 1 or slot > 3 or len(body) < 1 + size or 0 in steps:
                raise BadFile("damaged", "the JPEG has a broken quantisation table")
            natural = [0] * 64
            for place, step in zip(_ZIGZAG, steps, strict=True):
                natural[place] = step
            table = tuple(natural)
            if self.has_scan and self.jpeg.tables.get(slot, table) != table:
                raise BadFile("unsupported", "the JPEG changes a quantisation table between scans")
            self.jpeg.tables[slot] = table
            body = body[1 + size :]

    def _scan_header(self, body: bytes) -> bytes:
        if not self.frame or not body or len(body) != 4 + 2 * body[0]:
            raise BadFile("damaged", "the JPEG has a broken scan header")
        self.has_scan = True
        # some cameras leave nonsense in the three bytes that mean something in progressive files only
        return body if self.frame == PROGRESSIVE else body[:-3] + b"\x00\x3f\x00"

    def _application(self, code: int, body: bytes) -> None:
        if code == APP1 and body.startswith(b"Exif\x00") and not self.has_exif:
            self.has_exif = True
            self.jpeg.orientation = exif.orientation(body[6:])
        elif code == APP2 and body.startswith(b"ICC_PROFILE\x00"):
            self.jpeg.has_profile = True
        elif self.has_scan:
            return
        elif code == APP0 and body.startswith(b"JFIF\x00") and len(body) >= 14:
            self.has_jfif = True
        elif code == APP14 and body.startswith(b"Adobe") and len(body) >= 12:
            self.adobe = min(body[11], 1)  # 0 is RGB; libjpeg takes every other number for YCbCr, all but 1 with a warning

    def _finished(self) -> Jpeg:
        if not self.has_scan:
            raise BadFile("damaged", "the JPEG has no picture data")
        if any(c.table not in self.jpeg.tables for c in self.jpeg.components):
            raise BadFile("damaged", "the JPEG lacks a quantisation table")
        # with JFIF libjpeg takes three components for YCbCr, whatever Adobe says
        colour = _JFIF if self.has_jfif else b"" if self.adobe is None else _ADOBE + bytes((self.adobe,))
        self.jpeg.clean = b"".join((b"\xff\xd8", colour, *self.parts, b"\xff\xd9"))
        return self.jpeg


def parse(data: bytes) -> Jpeg:
    """Walk the markers up to the first picture's end. Raises BadFile ("incomplete" when the end is missing)."""
    return _Walk(data).run()


def _cut_off() -> BadFile:
    return BadFile("incomplete", "the JPEG is cut off: its end marker is missing")
