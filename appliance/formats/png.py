"""PNG (ISO/IEC 15948). Chunks are picked here, Pillow only undoes and makes the picture data.

Pillow keeps no samples of 1, 2 or 4 bits of grey, nor of 16 bits of grey with alpha. Such data are given to it under the name of
a type whose rows are the same bytes (palette of the same depth; RGBA of 8 bits), and named back afterwards. Of 16-bit RGB it
keeps one byte in two: it is asked twice, for the upper and for the lower, and such pictures are written here. Animations are
refused. The output is never interlaced.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from appliance.errors import BadFile
from appliance.formats import exif
from appliance.formats.common import DECODER_ERRORS, PROFILE_DROPPED, Limits, check_pixels, raster_memory
from appliance.formats.raster import FLATTENED, TURNED, Samples, Values, flattened, varies
from appliance.formats.raster_picture import Codec, RasterPicture, open_raster

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_DEPTHS = {_GREY: (1, 2, 4, 8, 16), _RGB: (8, 16), _PALETTE: (1, 2, 4, 8), _GREY_ALPHA: (8, 16), _RGBA: (8, 16)}
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGBA: 4}
_CRITICAL = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_MAX_CHUNKS = 200_000
_COMPRESS_LEVEL = 2  # of zlib; 6, the usual one, takes six times as long for 6 % less


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    depth: int
    kind: int
    interlaced: int

    def to_bytes(self) -> bytes:
        return struct.pack(">IIBBBBB", self.width, self.height, self.depth, self.kind, 0, 0, self.interlaced)

    @property
    def carrier(self) -> tuple[int, int]:
        """(depth, kind) under which Pillow hands out the same bytes unchanged."""
        if self.kind == _GREY and self.depth < 8:
            return self.depth, _PALETTE
        return (8, _RGBA) if (self.kind, self.depth) == (_GREY_ALPHA, 16) else (self.depth, self.kind)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """(name, body) of every chunk up to IEND. Raises BadFile."""
    chunks: list[tuple[bytes, bytes]] = []
    position = len(_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        if position + 12 > len(data):
            raise BadFile("incomplete", "the PNG is cut off: its end chunk is missing")
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if not chunks and (name, length) != (b"IHDR", 13):
            raise BadFile("damaged", "the PNG does not begin with a header chunk")
        if length > 2**31 - 1 or not name.isalpha():
            raise BadFile("damaged", "the PNG has a broken chunk header")
        if end > len(data):
            raise BadFile("incomplete", "the PNG is cut off inside a chunk")
        body = data[position + 8 : end - 4]
        critical = name[0] & 0x20 == 0
        if critical and zlib.crc32(data[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise BadFile("damaged", "the PNG has a chunk whose checksum is wrong")
        if critical and name not in _CRITICAL:
            raise BadFile("unsupported", "the PNG has a critical chunk that the standard does not know")
        chunks.append((name, body))
        if name == b"IEND":
            return chunks
        position = end
    raise BadFile("damaged", f"the PNG has more than {_MAX_CHUNKS} chunks")


def _header(body: bytes) -> _Header:
    width, height, depth, kind, compression, filters, interlaced = struct.unpack(">IIBBBBB", body)
    if depth not in _DEPTHS.get(kind, ()) or compression or filters or interlaced > 1 or not width or not height:
        raise BadFile("damaged", f"the PNG's header is not valid: {width} x {height} px, colour type {kind}, {depth} bits")
    return _Header(width, height, depth, kind, interlaced)


def read(data: bytes, limits: Limits) -> tuple[list[Samples], tuple[str, ...]]:
    """Raises BadFile. The layout is what tRNS says of the whole picture: its alpha where there is a palette, else its only colour."""
    header = _early_header(data)
    check_pixels([(header.height, header.width)], limits)
    chunks = _chunks(data)
    first = dict(reversed(chunks))
    if b"acTL" in first:
        raise BadFile("unsupported", "the PNG is animated, single pictures are handled")
    values = _decoded(header, b"".join(body for name, body in chunks if name == b"IDAT"))
    palette = _palette(header, first.get(b"PLTE", b""), values)
    samples, is_flat = _samples(header, values, palette, first.get(b"tRNS"))
    turn = exif.orientation(first.get(b"eXIf", b""))
    remarks = ((PROFILE_DROPPED, b"iCCP" in first), (TURNED, turn != exif.UPRIGHT), (FLATTENED, is_flat))
    upright: Values = np.ascontiguousarray(exif.upright(samples.values, turn))
    return [replace(samples, values=upright)], tuple(text for text, applies in remarks if applies)


def _early_header(data: bytes) -> _Header:
    """The header chunk alone, so that a huge picture is refused for its size even where nothing follows."""
    if len(data) < 33:
        raise BadFile("incomplete", "the PNG is cut off: its end chunk is missing")
    if data[8:16] != b"\x00\x00\x00\x0dIHDR":
        raise BadFile("damaged", "the PNG does not begin with a header chunk")
    return _header(data[16:29])


def _decoded(header: _Header, stream: bytes) -> Values:
    depth, kind = header.carrier
    carrier = _Header(header.width, header.height, depth, kind, header.interlaced)
    palette = _chunk(b"PLTE", bytes(3 << depth)) if kind == _PALETTE else b""
    parts = (_SIGNATURE, _chunk(b"IHDR", carrier.to_bytes()), palette, _chunk(b"IDAT", stream), _chunk(b"IEND", b""))
    file = b"".join(parts)
    if (header.kind, header.depth) == (_GREY_ALPHA, 16):
        pairs: Values = _pixels(file).view(">u2").astype(np.uint16)
        return pairs
    if header.depth == 16 and header.kind != _GREY:
        upper, lower = _pixels(file), _pixels(file, "RGB;16L" if header.kind == _RGB else "RGBA;16L")
        whole: Values = upper.astype(np.uint16) << 8 | lower
        return whole
    return _pixels(file)


def _pixels(file: bytes, raw_mode: str | None = None) -> NDArray[Any]:
    """raw_mode : how Pillow shall take the bytes of a pixel; ";16L" takes the second of every two for the upper one."""
    try:
        image = PngImagePlugin.PngImageFile(BytesIO(file))
        if raw_mode:
            image.tile = [tile._replace(args=raw_mode) for tile in image.tile]
        pixels: NDArray[Any] = np.array(image)
    except DECODER_ERRORS as error:
        raise BadFile("damaged", "the PNG's picture data cannot be decoded") from error
    return pixels


def _palette(header: _Header, body: bytes, values: Values) -> Values | None:
    if header.kind != _PALETTE:
        return None
    entries = np.frombuffer(body[: 3 * 2**header.depth], np.uint8)
    if not body or len(body) % 3 or int(values.max()) >= len(entries) // 3:
        raise BadFile("damaged", "the PNG's palette is missing or too short")
    return entries.reshape(-1, 3)


def _alpha(header: _Header, values: Values, key: bytes | None) -> Values | None:
    """(height, width), as high as the samples are deep where nothing is transparent; None without transparency. Raises BadFile."""
    if header.kind in (_GREY_ALPHA, _RGBA):
        alpha: Values = values[..., -1]
        return alpha
    if key is None:
        return None
    if header.kind == _PALETTE:
        table = np.full(256, 255, np.uint8)
        table[: min(len(key), 256)] = np.frombuffer(key[:256], np.uint8)
        return table[values]
    hidden = (values.reshape(*values.shape[:2], -1) == _key_colour(header, key)).all(axis=2)
    return np.where(hidden, 0, 2**header.depth - 1).astype(values.dtype)


def _key_colour(header: _Header, key: bytes) -> NDArray[np.uint16]:
    colour = np.frombuffer(key[: 2 * (len(key) // 2)], ">u2").astype(np.uint16)
    if colour.size != _CHANNELS[header.kind]:
        raise BadFile("damaged", "the PNG's transparency chunk has a wrong length")
    return colour


def _samples(header: _Header, values: Values, palette: Values | None, key: bytes | None) -> tuple[Samples, bool]:
    """Flattened where transparency varies; else with a layout of what tRNS says of every pixel, if it says anything. And whether it was."""
    alpha = _alpha(header, values, key)
    if alpha is not None and varies(alpha):
        colours = values if palette is None else palette[values]
        if header.kind in (_GREY_ALPHA, _RGBA):
            colours = values[..., 0] if header.kind == _GREY_ALPHA else values[..., :3]
        bits = header.depth if palette is None else 8
        return Samples(flattened(colours, alpha, 2**bits - 1), bits), True
    layout: tuple[int, ...] = ()
    if alpha is not None and key is not None and palette is not None and alpha.flat[0] < 255:
        layout = (int(alpha.flat[0]),)
    elif alpha is not None and key is not None and header.kind in (_GREY, _RGB) and not alpha.flat[0]:
        layout = tuple(_key_colour(header, key).tolist())
    return Samples(values, header.depth, palette, layout=layout), False


def write(pages: Sequence[Samples]) -> bytes:
    """One page; IHDR, PLTE and tRNS where needed, IDAT, IEND."""
    (page,) = pages
    header = _Header(page.size[1], page.size[0], page.bits, _kind(page), 0)
    palette = [] if page.palette is None else [(b"PLTE", page.palette.astype(np.uint8).tobytes())]
    stream = [(b"IDAT", _deep(page.values))] if header.depth == 16 and header.kind in (_RGB, _RGBA) else _encoded(header, page.values)
    clear = [(b"tRNS", _clear(page))] if page.layout else []
    return _file([(b"IHDR", header.to_bytes()), *palette, *clear, *stream, (b"IEND", b"")])


def _clear(page: Samples) -> bytes:
    return struct.pack(f">{len(page.layout)}H", *page.layout) if page.palette is None else bytes(page.layout) * len(page.palette)


def _deep(values: Values) -> bytes:
    """16-bit colours as a compressed stream: each row as differences from the pixel to its left, PNG's filter 1."""
    pixels = np.ascontiguousarray(values.astype(">u2")).view(np.uint8)
    rows = np.ones((pixels.shape[0], 1 + pixels.shape[1] * pixels.shape[2]), np.uint8)
    pixels[:, 1:] -= pixels[:, :-1].copy()
    rows[:, 1:] = pixels.reshape(len(pixels), -1)
    return zlib.compress(rows.tobytes(), _COMPRESS_LEVEL)


def _encoded(header: _Header, values: Values) -> list[tuple[bytes, bytes]]:
    """Picture data by Pillow, as chunks."""
    if (header.kind, header.depth) == (_GREY_ALPHA, 16):
        values = np.ascontiguousarray(values.astype(">u2")).view(np.uint8)
    image = Image.fromarray(values)
    options: dict[str, int] = {}
    if header.carrier[1] == _PALETTE:
        image.putpalette(bytes(768))
        options["bits"] = header.depth
    target = BytesIO()
    image.save(target, "PNG", compress_level=_COMPRESS_LEVEL, **options)
    return [(name, body) for name, body in _chunks(target.getvalue()) if name == b"IDAT"]


def _kind(page: Samples) -> int:
    if page.palette is not None:
        return _PALETTE
    return {1: _GREY, 2: _GREY_ALPHA, 3: _RGB, 4: _RGBA}[1 if page.values.ndim == 2 else page.values.shape[2]]


def _file(chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    return _SIGNATURE + b"".join(_chunk(name, body) for name, body in chunks)


def is_clean(data: bytes) -> bool:
    """Whether there are only the chunks that are written here, in order, with nothing between or after them."""
    chunks = _chunks(data)
    header, clear = _header(chunks[0][1]), dict(reversed(chunks)).get(b"tRNS")
    expected = [b"IHDR", *([b"PLTE"] if header.kind == _PALETTE else []), *([] if clear is None else [b"tRNS"]), b"IEND"]
    if [name for name, _ in chunks if name != b"IDAT"] != expected or _file(chunks) != data:
        return False
    return clear is None or _clear(read(data, Limits(header.width * header.height))[0][0]) == clear


def weigh(data: bytes, limits: Limits) -> int:
    """Raises BadFile."""
    header = _early_header(data)
    check_pixels([(header.height, header.width)], limits)
    return raster_memory(header.height, header.width, 4 if b"tRNS" in data else _CHANNELS[header.kind], header.depth)


CODEC = Codec("png", weigh, read, write, is_clean)


def open_file(data: bytes, limits: Limits) -> RasterPicture:
    """Raises BadFile."""
    return open_raster(CODEC, data, limits)
