"""Frames to samples and back, one pair of functions a codec; every encoder is lossless. Decoders get nothing but one frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import imagecodecs
import numpy as np
from openjpeg.utils import decode as decode_jpeg_2000

from appliance.errors import BadFile
from appliance.formats.common import DECODER_ERRORS
from appliance.formats.dicom import rle
from appliance.formats.dicom.image import Image
from appliance.formats.dicom.syntaxes import JPEG_2000, WITHOUT_HTJ2K, Syntax
from appliance.formats.raster import Values

Decode = Callable[[bytes, Image], Values]
Encode = Callable[[Values, Image], bytes]

ERRORS = (*DECODER_ERRORS, RuntimeError)
"""imagecodecs and openjpeg raise RuntimeError and its kin on broken data."""

SIZ, COD = b"\xff\x51", b"\xff\x52"
SPIFF, APP14 = 0xE8, 0xEE


def decode(frame: bytes, image: Image, syntax: Syntax) -> Values:
    """(rows, columns) or (rows, columns, 3), uint8 or uint16 as the header says; 4:2:2 as it stands. Raises BadFile."""
    try:
        values = _DECODERS[syntax.codec](frame, image)
    except ERRORS as error:
        raise BadFile("damaged", "a frame of the DICOM file is damaged: it cannot be decoded") from error
    if syntax.is_native:
        return values
    if values.shape != image.shape:
        raise BadFile("damaged", "a frame of the DICOM file has another size or number of colours than its header says")
    unsigned = values.view(np.uint8 if values.dtype.itemsize == 1 else np.uint16)
    if unsigned.dtype.itemsize > image.allocated // 8:
        raise BadFile("damaged", "a frame of the DICOM file has more bits than its header says")
    if unsigned.dtype != image.dtype and image.signed:
        raise BadFile("unsupported", "a frame of the DICOM file has signs and fewer bits than its header says")
    return np.ascontiguousarray(unsigned.astype(image.dtype, copy=False))


def encode(values: Values, image: Image, syntax: Syntax) -> bytes:
    """Raises BadFile when the library cannot."""
    try:
        return _ENCODERS[syntax.codec](values, image)
    except ERRORS as error:
        raise BadFile("unsupported", "a frame of the DICOM file cannot be encoded again by this box") from error


def multiple_component(frame: bytes) -> bool:
    """Whether a JPEG 2000 codestream mixes its colours before coding (T.800 A.6.1, SGcod)."""
    place = frame.find(COD)
    return 0 <= place < len(frame) - 8 and frame[place + 8] == 1


def encodable(syntax: Syntax) -> Syntax:
    """The syntax, or its successor where this machine's library cannot write it."""
    if syntax.codec != "htj2k" or imagecodecs.HTJ2K.available:
        return syntax
    return replace(syntax, codec="jpeg 2000", result=JPEG_2000, note=WITHOUT_HTJ2K)


def _native(frame: bytes, image: Image) -> Values:
    if image.photometric == "YBR_FULL_422":
        return np.frombuffer(frame, np.uint8).reshape(image.rows, image.columns // 2, 4)
    values = np.frombuffer(frame, image.dtype)
    if image.samples == 1 or image.planar == 0:
        return values.reshape(image.shape)
    return np.ascontiguousarray(np.moveaxis(values.reshape(image.samples, image.rows, image.columns), 0, -1))


def _to_native(values: Values, image: Image) -> bytes:
    if image.samples == 3 and image.planar == 1 and image.photometric != "YBR_FULL_422":
        values = np.moveaxis(values, -1, 0)
    return values.astype(values.dtype.newbyteorder("<")).tobytes()


def _jpeg_size(frame: bytes, image: Image) -> None:
    """A frame header that is another size is refused before a decoder makes room for it."""
    position = 2
    while position + 9 < len(frame) and frame[position] == 0xFF:
        code, length = frame[position + 1], int.from_bytes(frame[position + 2 : position + 4], "big")
        if (0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC)) or code == 0xF7:
            size = int.from_bytes(frame[position + 5 : position + 7], "big"), int.from_bytes(frame[position + 7 : position + 9], "big")
            if size == (image.rows, image.columns):
                return
            break
        position += 1 if code == 0xFF else 2 + length
    raise ValueError("another size")


def _jpeg(frame: bytes, image: Image) -> Values:
    """Lossless and 12-bit JPEG, colours as they are coded."""
    _jpeg_size(frame, image)
    if image.samples == 1:
        return np.asarray(imagecodecs.jpeg8_decode(frame))
    return np.asarray(imagecodecs.jpeg8_decode(_as_rgb(frame), colorspace="rgb", outcolorspace="rgb"))


def _as_rgb(frame: bytes) -> bytes:
    """With an Adobe marker that says "no conversion": libjpeg would convert what it takes for YCbCr."""
    return frame[:2] + b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00" + _without(frame[2:], {0xE0, APP14})


def _to_jpeg_lossless(values: Values, image: Image) -> bytes:
    colours = None if image.samples == 1 else "rgb"
    bits = 8 if image.allocated == 8 else max(image.stored, 9)
    encoded = imagecodecs.jpeg8_encode(values, lossless=True, predictor=1, bitspersample=bits, colorspace=colours, outcolorspace=colours)
    is_rgb = image.samples == 3 and image.photometric == "RGB"
    return bytes(encoded) if is_rgb else bytes(encoded[:2]) + _without(bytes(encoded[2:]), {APP14})


def _jpeg_ls(frame: bytes, image: Image) -> Values:
    _jpeg_size(frame, image)
    return np.asarray(imagecodecs.jpegls_decode(frame))


def _to_jpeg_ls(values: Values, image: Image) -> bytes:
    encoded = bytes(imagecodecs.jpegls_encode(values, out=values.nbytes * 2 + 2**16))  # noise grows
    return encoded[:2] + _without(encoded[2:], {SPIFF})  # a resolution that nobody knows


def _without(segments: bytes, codes: set[int]) -> bytes:
    """The segments after SOI, but for those leading ones whose marker is in `codes`."""
    position, kept = 0, b""
    while segments[position] == 0xFF and 0xE0 <= segments[position + 1] <= 0xEF:
        end = position + 2 + int.from_bytes(segments[position + 2 : position + 4], "big")
        kept += b"" if segments[position + 1] in codes else segments[position:end]
        position = end
    return kept + segments[position:]


def _jpeg_2000(frame: bytes, image: Image) -> Values:
    place = frame.find(SIZ)
    size = [int.from_bytes(frame[place + at : place + at + 4], "big") for at in (6, 10, 14, 18)]
    if place < 0 or (size[1] - size[3], size[0] - size[2]) != (image.rows, image.columns):
        raise ValueError("another size")
    return np.asarray(decode_jpeg_2000(BytesIO(frame), 0))


def _to_jpeg_2000(values: Values, image: Image) -> bytes:
    signed = values.view(np.int8 if image.allocated == 8 else np.int16) if image.signed else values
    bits = None if image.signed or image.stored == image.allocated else image.stored
    mixes = image.photometric == "YBR_RCT"
    return bytes(
        imagecodecs.jpeg2k_encode(
            signed,
            level=0,
            codecformat="j2k",
            reversible=True,
            mct=mixes,
            bitspersample=bits,
            resolutions=_resolutions(image),
            numthreads=1,
        )
    )


def _to_htj2k(values: Values, image: Image) -> bytes:
    signed = values.view(np.int8 if image.allocated == 8 else np.int16) if image.signed else values
    return bytes(imagecodecs.htj2k_encode(signed, reversible=True, rgb=image.photometric == "YBR_RCT" or None, tlm=True))


def _resolutions(image: Image) -> int:
    """OpenJPEG refuses more than the smaller side allows."""
    return max(1, min(6, min(image.rows, image.columns).bit_length()))


_DECODERS: dict[str, Decode] = {
    "native": _native,
    "rle": rle.decode,
    "jpeg12": _jpeg,
    "jpeg lossless": _jpeg,
    "jpeg-ls": _jpeg_ls,
    "jpeg 2000": _jpeg_2000,
    "htj2k": _jpeg_2000,
}

_ENCODERS: dict[str, Encode] = {
    "native": _to_native,
    "rle": rle.encode,
    "jpeg12": _to_jpeg_lossless,
    "jpeg lossless": _to_jpeg_lossless,
    "jpeg-ls": _to_jpeg_ls,
    "jpeg 2000": _to_jpeg_2000,
    "htj2k": _to_htj2k,
}
