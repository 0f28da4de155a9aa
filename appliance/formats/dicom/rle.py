"""RLE (PS3.5 annex G): a header of 64 bytes, then one PackBits segment for each byte of each sample, the highest byte first."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np

from appliance.errors import BadFile
from appliance.formats.dicom.image import Image
from appliance.formats.raster import Values

HEADER = struct.Struct("<16I")
SPARE = 256
"""Bytes that a segment may hold beyond the picture: padding that was packed."""


def decode(frame: bytes, image: Image) -> Values:
    """Raises BadFile."""
    wanted = image.samples * image.allocated // 8
    if len(frame) < HEADER.size:
        raise BadFile("damaged", "the DICOM file's RLE frame is too short")
    count, *offsets = HEADER.unpack_from(frame)
    if count != wanted:
        raise BadFile("damaged", f"the DICOM file's RLE frame has {count} segments, {wanted} are needed")
    ends = [*offsets[1:count], len(frame)]
    planes = [_plane(frame[start:end], image) for start, end in zip(offsets[:count], ends, strict=True)]
    per = image.allocated // 8
    samples = [planes[index].astype(image.dtype) for index in range(0, count, per)]
    if per == 2:
        samples = [np.left_shift(high, 8) | planes[2 * index + 1] for index, high in enumerate(samples)]
    return np.ascontiguousarray(samples[0] if image.samples == 1 else np.stack(samples, axis=-1))


def _plane(segment: bytes, image: Image) -> Values:
    size = image.rows * image.columns
    plain = imagecodecs.packbits_decode(segment, out=size + SPARE) if segment else b""
    if len(plain) < size:
        raise BadFile("damaged", "the DICOM file's RLE frame is shorter than the picture")
    return np.frombuffer(plain, np.uint8, size).reshape(image.rows, image.columns)


def encode(values: Values, image: Image) -> bytes:
    """Each row packed by itself, as G.3.1 demands."""
    channels = [values] if image.samples == 1 else [values[..., channel] for channel in range(image.samples)]
    planes = [channel >> shift & 0xFF for channel in channels for shift in range(image.allocated - 8, -1, -8)]
    segments = [b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in plane.astype(np.uint8)) for plane in planes]
    segments = [segment + bytes(len(segment) % 2) for segment in segments]
    offsets = [HEADER.size + sum(map(len, segments[:index])) for index in range(len(segments))]
    return HEADER.pack(len(segments), *offsets, *[0] * (15 - len(offsets))) + b"".join(segments)
