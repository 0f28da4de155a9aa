"""TIFF 6.0, several pages, through Pillow as the decompressor of strips and tiles.

Every page is given to Pillow as a grey picture of 8 bits whose rows are the page's bytes: so one way serves 1 to 16 bits, grey,
palette, RGB, either byte order, and the predictor is undone here. JPEG and fax alone are decoded as what they are. Compression is
kept among none, LZW, deflate and PackBits; JPEG becomes deflate, because encoding it again would alter pixels, and so does fax.
Reduced copies of a page (thumbnails, bit 0 of NewSubfileType) and directories below a page are dropped. Written: little-endian,
strips.

A TIFF has no end mark. Where strips are not compressed and the directory comes before them, a half-copied file whose place on
disk was reserved beforehand shows black rows, and only the daemon's settling time tells it from a whole one.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from appliance.errors import BadFile
from appliance.formats import exif, ifd, markers
from appliance.formats.common import DECODER_ERRORS, PROFILE_DROPPED, Limits, check_pixels, raster_memory
from appliance.formats.ifd import Directory
from appliance.formats.raster import FLATTENED, TURNED, Samples, Values, flattened, pack, refuse_varying, unpack, varies
from appliance.formats.raster_picture import Codec, RasterPicture, open_raster
from appliance.formats.tiff_types import (
    ASSOCIATED,
    BLACK_IS_ZERO,
    DEFLATE,
    FAX,
    HORIZONTAL,
    JPEG,
    KEPT,
    LZW,
    PACKBITS,
    PALETTE,
    RAW,
    RGB,
    UNASSOCIATED,
    WHITE_IS_ZERO,
    extra_channel,
    refuse_unhandled,
)

_STRIP_BYTES = 1 << 18
_DEFLATE_LEVEL = 2  # as in png.py
_WRITTEN = {
    *(ifd.WIDTH, ifd.HEIGHT, ifd.BITS, ifd.COMPRESSION, ifd.PHOTOMETRIC, ifd.STRIP_OFFSETS, ifd.CHANNELS, ifd.ROWS_PER_STRIP),
    *(ifd.STRIP_COUNTS, ifd.PREDICTOR, ifd.COLOR_MAP, ifd.EXTRA),
}
THUMBNAIL_DROPPED = "reduced copy of a page dropped"
PALETTE_ROUNDED = "palette rounded to the 8 bits that screens show"
FAX_UNPACKED = "fax compression written as deflate"
JPEG_UNPACKED = "JPEG inside the TIFF written as deflate, so that no pixel changes"


def read(data: bytes, limits: Limits) -> tuple[list[Samples], tuple[str, ...]]:
    """Raises BadFile. A layout is the compression, and what is said of a channel beside the colours."""
    order, every = ifd.read(data)
    pages = [page for page in every if not page.one(ifd.SUBFILE, 0) & 1]
    if not pages:
        raise BadFile("unsupported", "the TIFF holds only reduced copies of a picture that is not in it")
    for page in pages:
        refuse_unhandled(page)
    check_pixels([(page.one(ifd.HEIGHT, 0), page.one(ifd.WIDTH, 0)) for page in pages], limits)
    remarks = (
        (THUMBNAIL_DROPPED, len(pages) < len(every)),
        (PROFILE_DROPPED, any(page.has_profile for page in pages)),
        (TURNED, any(_orientation(page) != exif.UPRIGHT for page in pages)),
        (PALETTE_ROUNDED, any(_is_rounded(page) for page in pages)),
        (FAX_UNPACKED, any(page.one(ifd.COMPRESSION, RAW) in FAX for page in pages)),
        (JPEG_UNPACKED, any(page.one(ifd.COMPRESSION, RAW) == JPEG for page in pages)),
    )
    read = [_samples(order, page) for page in pages]
    is_flat = any(page.one(ifd.CHANNELS, 1) in (2, 4) and not _is_alpha(one.values) for page, one in zip(pages, read, strict=True))
    return read, tuple(text for text, applies in (*remarks, (FLATTENED, is_flat)) if applies)


def _orientation(page: Directory) -> int:
    value = page.one(ifd.ORIENTATION, exif.UPRIGHT)
    return value if 1 <= value <= 8 else exif.UPRIGHT


def _samples(order: str, page: Directory) -> Samples:
    compression = page.one(ifd.COMPRESSION, RAW)
    decode = _jpeg_values if compression == JPEG else _fax_values if compression in FAX else _plain_values
    values = decode(order, page)
    extra = extra_channel(page)
    if _is_alpha(values) and varies(values[..., -1]):
        if extra not in ((ASSOCIATED,), (UNASSOCIATED,)) or page.one(ifd.PHOTOMETRIC, -1) == WHITE_IS_ZERO:
            refuse_varying(values[..., -1])
        below = values[..., 0] if values.shape[2] == 2 else values[..., :3]
        values = flattened(below, values[..., -1], 2 ** page.one(ifd.BITS, 1) - 1, extra == (ASSOCIATED,))
        extra = ()
    bits, photometric = page.one(ifd.BITS, 1), page.one(ifd.PHOTOMETRIC, -1)
    palette: Values | None = None
    if photometric == PALETTE:
        colours = page.tags.get(ifd.COLOR_MAP, ())
        if len(colours) != 3 * 2**bits:
            raise BadFile("damaged", f"the TIFF's palette has {len(colours)} numbers, {3 * 2**bits} are needed")
        palette = np.ascontiguousarray(_screen_colours(np.array(colours)).reshape(3, -1).T)
    upright: Values = np.ascontiguousarray(exif.upright(values, _orientation(page)))
    multiplied = int(values[0, 0, -1]) if extra == (ASSOCIATED,) else 0
    layout = (compression if compression in KEPT else DEFLATE, *extra)
    return Samples(upright, bits, palette, photometric == WHITE_IS_ZERO, multiplied, layout)


def _is_alpha(values: Values) -> bool:
    """Whether there is a channel beside the colours."""
    return values.ndim == 3 and values.shape[2] in (2, 4)


def _screen_colours(colours: NDArray[np.int64]) -> Values:
    """A palette's 16 bits as the 8 that every viewer shows: the upper ones; or the lower ones, of old writers that filled no others.
    What text the rest may hold cannot be shown, and is not kept."""
    return (colours >> 8 if colours.max() > 255 else colours).astype(np.uint8)


def _is_rounded(page: Directory) -> bool:
    """Whether the palette says more than its screen colours, which writers make 16 bits of in two ways."""
    if page.one(ifd.PHOTOMETRIC, -1) != PALETTE or not (colours := np.array(page.tags.get(ifd.COLOR_MAP, ()))).size:
        return False
    return bool(colours.max() > 255 and (colours & 255).any() and (colours & 255 != colours >> 8).any())


@dataclass(frozen=True)
class _Geometry:
    """wide, high : of a tile or strip, px; beside : how many are side by side; chunks : those that the picture needs, and no more,
    because Pillow writes a surplus one over the first"""

    wide: int
    high: int
    beside: int
    chunks: tuple[bytes, ...]


def _geometry(page: Directory) -> _Geometry:
    """Raises BadFile unless all strips or tiles are there, and the uncompressed ones whole."""
    width, height = page.one(ifd.WIDTH, 0), page.one(ifd.HEIGHT, 0)
    is_tiled = ifd.TILE_OFFSETS in page.tags
    if is_tiled:
        wide, high = page.one(ifd.TILE_WIDTH, 0), page.one(ifd.TILE_HEIGHT, 0)
        if not (0 < wide <= 65536 and 0 < high <= 65536) or wide % 16 or high % 16:
            raise BadFile("damaged", f"the TIFF has tiles of {wide} x {high} px, multiples of 16 are needed")
    else:
        wide, high = width, min(page.one(ifd.ROWS_PER_STRIP, height) or height, height)
    beside, needed = -(-width // wide), -(-width // wide) * -(-height // high)
    if len(page.chunks) < needed:
        raise BadFile("damaged", f"the TIFF has {len(page.chunks)} strips or tiles, {needed} are needed")
    rows = [high] * (needed - 1) + [high if is_tiled else height - high * (needed - 1)]
    for index, (chunk, count) in enumerate(zip(page.chunks, rows, strict=False)):
        _refuse_short(page, index, chunk, (wide, count))
    return _Geometry(wide, high, beside, page.chunks[:needed])


def _refuse_short(page: Directory, index: int, chunk: bytes, size: tuple[int, int]) -> None:
    """A decoder fills what is missing with the next strip's bytes, or with grey. libtiff tells for the other compressions.

    size : (width, rows)
    Raises BadFile.
    """
    compression = page.one(ifd.COMPRESSION, RAW)
    if compression == RAW:
        needed = -(-size[0] * page.one(ifd.CHANNELS, 1) * page.one(ifd.BITS, 1) // 8) * size[1]
        if len(chunk) < needed:
            raise BadFile("incomplete", f"the TIFF's strip or tile {index + 1} has {len(chunk)} bytes, {needed} are needed")
    elif compression == JPEG:
        tables = bytes(page.tags.get(ifd.JPEG_TABLES, ()))[2:-2]
        jpeg = markers.parse(chunk[:2] + tables + chunk[2:])
        if jpeg.width < size[0] or jpeg.height < size[1]:
            found = f"{jpeg.width} x {jpeg.height} px"
            raise BadFile("incomplete", f"the TIFF's strip or tile {index + 1} holds {found}, {size[0]} x {size[1]} are needed")


def _plain_values(order: str, page: Directory) -> Values:
    """Decompress the page as grey rows of bytes, then make samples of them."""
    width, height, bits = page.one(ifd.WIDTH, 0), page.one(ifd.HEIGHT, 0), page.one(ifd.BITS, 1)
    channels = page.one(ifd.CHANNELS, 1)
    geometry = _geometry(page)
    wide, high, beside = geometry.wide, geometry.high, geometry.beside
    row = -(-wide * channels * bits // 8)  # bytes of one row of one tile or strip
    tags: ifd.Tags = {
        **{ifd.WIDTH: (row * beside,), ifd.HEIGHT: (height,), ifd.BITS: (8,), ifd.COMPRESSION: (page.one(ifd.COMPRESSION, RAW),)},
        **{ifd.PHOTOMETRIC: (BLACK_IS_ZERO,), ifd.CHANNELS: (1,)},
        **({ifd.TILE_WIDTH: (row,), ifd.TILE_HEIGHT: (high,)} if ifd.TILE_OFFSETS in page.tags else {ifd.ROWS_PER_STRIP: (high,)}),
    }
    packed = _decoded(ifd.build(order, [(tags, geometry.chunks)]), "L")
    if bits < 8:
        return unpack(packed, width, bits)
    kind = np.dtype(np.uint8) if bits == 8 else np.dtype(order + "u2")
    values: Values = packed.view(kind).reshape(height, beside, wide, channels)
    values = values.astype(np.uint8 if bits == 8 else np.uint16, copy=False)
    if page.one(ifd.PREDICTOR, 1) == HORIZONTAL:
        values = np.cumsum(values, axis=2, dtype=values.dtype)
    values = values.reshape(height, beside * wide, channels)[:, :width]
    return values[..., 0] if channels == 1 else values


def _jpeg_values(order: str, page: Directory) -> Values:
    """Decode JPEG strips or tiles as Pillow does, YCbCr to RGB."""
    geometry = _geometry(page)
    channels = page.one(ifd.CHANNELS, 1)
    single = (ifd.WIDTH, ifd.HEIGHT, ifd.COMPRESSION, ifd.PHOTOMETRIC, ifd.CHANNELS, ifd.ROWS_PER_STRIP, ifd.TILE_WIDTH, ifd.TILE_HEIGHT)
    several = (ifd.JPEG_TABLES, ifd.YCBCR_SAMPLING, ifd.YCBCR_REFERENCE)
    tags: ifd.Tags = {
        **{tag: values[:1] for tag, values in page.tags.items() if tag in single and values},
        **{tag: values for tag, values in page.tags.items() if tag in several and values},
        ifd.BITS: (8,) * channels,
    }
    return _decoded(ifd.build(order, [(tags, geometry.chunks)]), "L" if channels == 1 else "RGB")


def _fax_values(order: str, page: Directory) -> Values:
    """Bits as they are stored, 0 and 1. What a cut stream lacks is white: libtiff does not tell."""
    kept = (ifd.WIDTH, ifd.HEIGHT, ifd.COMPRESSION, ifd.ROWS_PER_STRIP, ifd.TILE_WIDTH, ifd.TILE_HEIGHT, ifd.FILL_ORDER)
    tags: ifd.Tags = {
        **{tag: page.tags[tag][:1] for tag in (*kept, ifd.T4_OPTIONS, ifd.T6_OPTIONS) if page.tags.get(tag)},
        **{ifd.BITS: (1,), ifd.PHOTOMETRIC: (BLACK_IS_ZERO,), ifd.CHANNELS: (1,)},
    }
    return _decoded(ifd.build(order, [(tags, _geometry(page).chunks)]), "1").astype(np.uint8)


def _decoded(file: bytes, mode: str) -> NDArray[np.uint8]:
    try:
        image = TiffImagePlugin.TiffImageFile(BytesIO(file))
        pixels: NDArray[np.uint8] = np.array(image.convert(mode) if image.mode != mode else image)
    except DECODER_ERRORS as error:
        raise BadFile("damaged", "the TIFF's picture data cannot be decoded") from error
    return pixels


def write(pages: Sequence[Samples]) -> bytes:
    """Each page in strips, with the tags that describe it and no others."""
    return ifd.build("<", [_page(page) for page in pages])


def _page(page: Samples) -> tuple[ifd.Tags, Sequence[bytes]]:
    (height, width), (compression, *extra) = page.size, page.layout
    values = page.values.reshape(height, width, -1)
    channels = values.shape[2]
    differs = compression in (LZW, DEFLATE) and page.bits >= 8 and page.palette is None
    if differs:
        values = values.copy()
        values[:, 1:] -= page.values.reshape(height, width, -1)[:, :-1]
    if page.bits < 8:
        rows = pack(values[..., 0].astype(np.uint8), page.bits)
    else:
        rows = np.ascontiguousarray(values.astype("<u2" if page.bits == 16 else np.uint8)).reshape(height, -1).view(np.uint8)
    high, strips = _strips(rows, compression)
    photometric = RGB if channels >= 3 else PALETTE if page.palette is not None else 1 - page.inverted
    tags: ifd.Tags = {
        **{ifd.WIDTH: (width,), ifd.HEIGHT: (height,), ifd.BITS: (page.bits,) * channels, ifd.COMPRESSION: (compression,)},
        **{ifd.PHOTOMETRIC: (photometric,), ifd.CHANNELS: (channels,), ifd.ROWS_PER_STRIP: (high,)},
        **({ifd.PREDICTOR: (HORIZONTAL,)} if differs else {}),
        **({ifd.EXTRA: tuple(extra)} if extra else {}),
        **({} if page.palette is None else {ifd.COLOR_MAP: tuple((page.palette.T.astype(int) * 257).ravel().tolist())}),
    }
    return tags, strips


def _strips(rows: NDArray[np.uint8], compression: int) -> tuple[int, Sequence[bytes]]:
    """(height, bytes) rows -> rows per strip, compressed strips."""
    if compression in (LZW, PACKBITS):
        target = BytesIO()
        Image.fromarray(rows).save(target, "TIFF", compression="tiff_lzw" if compression == LZW else "packbits")
        _, (page,) = ifd.read(target.getvalue())
        return page.one(ifd.ROWS_PER_STRIP, len(rows)), page.chunks
    high = max(1, _STRIP_BYTES // rows.shape[1])
    strips = [rows[top : top + high].tobytes() for top in range(0, len(rows), high)]
    return high, strips if compression == RAW else [zlib.compress(strip, _DEFLATE_LEVEL) for strip in strips]


def is_clean(data: bytes) -> bool:
    """Whether there are only tags that are written here, and no byte that belongs to none of them."""
    _, pages = ifd.read(data)
    return all(set(page.tags_seen) <= _WRITTEN for page in pages) and not ifd.leftover(data, pages)


def weigh(data: bytes, limits: Limits) -> int:
    """Raises BadFile. Of tags that `read` refuses anything may be said."""
    pages = [page for page in ifd.read(data)[1] if not page.one(ifd.SUBFILE, 0) & 1]
    sizes = [(page.one(ifd.HEIGHT, 0), page.one(ifd.WIDTH, 0)) for page in pages]
    check_pixels(sizes, limits)
    return sum(raster_memory(*size, page.one(ifd.CHANNELS, 1), page.one(ifd.BITS, 1)) for size, page in zip(sizes, pages, strict=True))


CODEC = Codec("tiff", weigh, read, write, is_clean)


def open_file(data: bytes, limits: Limits) -> RasterPicture:
    """Raises BadFile."""
    return open_raster(CODEC, data, limits)
