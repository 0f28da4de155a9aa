"""BMP (Windows, BITMAPINFOHEADER and its successors): uncompressed rows, read and written with NumPy alone.

Handled: palettes of 1, 4 and 8 bits, 16 bits (written with 24), 24 bits, 32 bits in the usual order of bytes. Refused: run-length
ones, OS/2 headers. Written: a 40-byte header, the palette, the rows, nothing between them; resolution 0.

A BMP has no end mark. One whose place on disk was reserved before its rows arrived is full of zeros, which are black pixels, and
endoscopes leave the edges of a screen black: only the daemon's settling time tells a half-copied file from a whole one.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from appliance.errors import BadFile
from appliance.formats.common import PROFILE_DROPPED, Limits, check_pixels, raster_memory
from appliance.formats.raster import Samples, Values, pack, refuse_varying, unpack
from appliance.formats.raster_picture import Codec, RasterPicture, open_raster

_HEADERS = (40, 52, 56, 108, 124)
_BI_RGB, _BI_BITFIELDS = 0, 3
_FIVE_FIVE_FIVE, _FIVE_SIX_FIVE = (0x7C00, 0x3E0, 0x1F), (0xF800, 0x7E0, 0x1F)
_BGR_MASKS = (0xFF0000, 0xFF00, 0xFF)
_FILE_HEADER, _INFO_HEADER = struct.Struct("<2sIII"), struct.Struct("<IiiHHIIiiII")
_START = _FILE_HEADER.size + _INFO_HEADER.size

SPREAD = "16-bit colours written with 24 bits"


def read(data: bytes, limits: Limits) -> tuple[list[Samples], tuple[str, ...]]:
    """Raises BadFile. A 32-bit file's layout is (32, its fourth byte); a palette is filled up to 2**bits entries."""
    if len(data) < _START:
        raise BadFile("incomplete", "the BMP is cut off inside its header")
    offset = _FILE_HEADER.unpack_from(data)[3]
    size, width, height, planes, bits, compression, _, _, _, entries, _ = _INFO_HEADER.unpack_from(data, _FILE_HEADER.size)
    if size not in _HEADERS:
        raise BadFile("unsupported", f"the BMP has a header of {size} bytes, Windows headers of 40 to 124 are handled")
    if width <= 0 or not height or planes != 1:
        raise BadFile("damaged", f"the BMP's header says {width} x {abs(height)} px in {planes} planes")
    check_pixels([(abs(height), width)], limits)
    if bits not in (1, 4, 8, 16, 24, 32):
        raise BadFile("unsupported", f"the BMP has {bits} bits a pixel; 1, 4, 8, 16, 24 and 32 are handled")
    if compression not in ((_BI_RGB, _BI_BITFIELDS) if bits in (16, 32) else (_BI_RGB,)):
        raise BadFile("unsupported", f"the BMP of {bits} bits a pixel has compression {compression}, such as run lengths; none is handled")
    if offset < _START + 12 * (bits == 16 and compression == _BI_BITFIELDS):
        raise BadFile("damaged", f"the BMP's pixels begin at byte {offset}, inside its header")
    stride = (width * bits + 31) // 32 * 4
    end = offset + stride * abs(height)
    if len(data) < end - stride + (width * bits + 7) // 8:
        raise BadFile("incomplete", f"the BMP is cut off: it has {len(data)} bytes, its header asks for {end}")
    data = data.ljust(end, b"\x00")  # some writers leave the last row's padding out
    rows: NDArray[np.uint8] = np.frombuffer(data, np.uint8, stride * abs(height), offset).reshape(abs(height), stride)
    if height > 0:
        rows = rows[::-1]
    notes = (PROFILE_DROPPED,) if size == 124 and _profile_size(data) else ()
    if bits == 16:
        packed = np.ascontiguousarray(rows[:, : 2 * width]).view("<u2")
        return [Samples(_five_bits(packed, data, compression), 8, layout=(24,))], (*notes, SPREAD)
    if bits >= 24:
        pixels = rows[:, : width * bits // 8].reshape(abs(height), width, bits // 8)
        layout = (24,) if bits == 24 else (32, _fourth_byte(data, size, compression, pixels[..., 3]))
        return [Samples(np.ascontiguousarray(pixels[..., 2::-1]), 8, layout=layout)], notes
    values = np.ascontiguousarray(rows[:, :width] if bits == 8 else unpack(np.ascontiguousarray(rows), width, bits))
    palette, known = _palette(data, size, bits, min(entries or 2**bits, 2**bits), offset)
    if (used := int(values.max())) >= known:
        raise BadFile("damaged", f"the BMP's pixels use entry {used} of a palette that has {known}: it is cut off, or its offset is wrong")
    return [Samples(values, bits, palette)], notes


def _profile_size(data: bytes) -> int:
    return int.from_bytes(data[130:134], "little")


def _palette(data: bytes, size: int, bits: int, entries: int, offset: int) -> tuple[Values, int]:
    """(2**bits, 3) colours, and how many of them are in the file: what would be read beyond them are pixels."""
    start = _FILE_HEADER.size + size
    held = np.frombuffer(data[start : min(start + 4 * entries, max(offset, start))], np.uint8)
    known = held[: held.size // 4 * 4].reshape(-1, 4)
    palette = np.zeros((2**bits, 3), np.uint8)
    palette[: len(known)] = known[:, 2::-1]
    return palette, len(known)


def _five_bits(packed: NDArray[np.uint16], data: bytes, compression: int) -> Values:
    """(height, width, 3) uint8 of pixels of 16 bits: each colour's 5 or 6 bits spread to 0..255; what belongs to none is dropped."""
    masks = struct.unpack_from("<3I", data, _START) if compression == _BI_BITFIELDS else _FIVE_FIVE_FIVE
    if masks not in (_FIVE_FIVE_FIVE, _FIVE_SIX_FIVE):
        raise BadFile("unsupported", "the BMP has an unusual order of colours; blue, green, red is handled")
    pixels = np.empty((*packed.shape, 3), np.uint8)
    for channel, mask in enumerate(masks):
        lowest = mask & -mask
        levels = (np.arange(mask // lowest + 1) * 255 / (mask // lowest) + 0.5).astype(np.uint8)
        pixels[..., channel] = levels[(packed & mask) // lowest]
    return pixels


def _fourth_byte(data: bytes, size: int, compression: int, fourth: Values) -> int:
    """The value of every pixel's fourth byte: alpha must be the same everywhere; where it means nothing it is cleared."""
    alpha = 0
    if compression == _BI_BITFIELDS:
        fields = data[_START : _START + 16].ljust(16, b"\x00")
        *masks, alpha = struct.unpack("<4I", fields)
        alpha = alpha if size >= 56 else 0
        if tuple(masks) != _BGR_MASKS or alpha not in (0, 0xFF000000):
            raise BadFile("unsupported", "the BMP has an unusual order of colours; blue, green, red is handled")
    if alpha:
        refuse_varying(fourth)
    return int(fourth.flat[0]) if (fourth == fourth.flat[0]).all() else 0


def write(pages: Sequence[Samples]) -> bytes:
    """One page, rows from the bottom up."""
    (page,) = pages
    height, width = page.size
    bits = page.layout[0] if page.layout else page.bits
    if page.palette is None:
        pixels = page.values[..., ::-1]
        if bits == 32:
            pixels = np.concatenate([pixels, np.full((height, width, 1), page.layout[1])], axis=2)
        packed: NDArray[np.uint8] = pixels.reshape(height, -1).astype(np.uint8)
        palette = b""
    else:
        values = page.values.astype(np.uint8)
        packed = values if bits == 8 else pack(values, bits)
        palette = np.pad(page.palette[:, ::-1].astype(np.uint8), ((0, 0), (0, 1))).tobytes()
    stride = (width * bits + 31) // 32 * 4
    rows = np.zeros((height, stride), np.uint8)
    rows[:, : packed.shape[1]] = packed[::-1]
    offset, entries = _START + len(palette), len(palette) // 4
    head = _FILE_HEADER.pack(b"BM", offset + rows.size, 0, offset)
    info = _INFO_HEADER.pack(40, width, height, 1, bits, _BI_RGB, rows.size, 0, 0, entries, 0)
    return b"".join((head, info, palette, rows.tobytes()))


def is_clean(data: bytes) -> bool:
    """Whether the file is what `write` makes of its samples, to the byte."""
    height = abs(_INFO_HEADER.unpack_from(data, _FILE_HEADER.size)[2])
    width = _INFO_HEADER.unpack_from(data, _FILE_HEADER.size)[1]
    return write(read(data, Limits(height * width))[0]) == data


def weigh(data: bytes, limits: Limits) -> int:
    """Raises BadFile. Of a header that `read` refuses anything may be said."""
    if len(data) < _START:
        raise BadFile("incomplete", "the BMP is cut off inside its header")
    _, width, height, _, bits, *_ = _INFO_HEADER.unpack_from(data, _FILE_HEADER.size)
    check_pixels([(abs(height), abs(width))], limits)
    return raster_memory(abs(height), abs(width), 3 if bits == 16 else max(1, bits // 8), 8)


CODEC = Codec("bmp", weigh, read, write, is_clean)


def open_file(data: bytes, limits: Limits) -> RasterPicture:
    """Raises BadFile."""
    return open_raster(CODEC, data, limits)
