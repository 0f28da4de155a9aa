"""The few calls of libturbojpeg that are needed, through ctypes: header, scaled decode, lossless transform.

Written against the TurboJPEG 2.x API, which 2.1 (Debian 12, JetPack 6) and 3.x both export unchanged
(https://libjpeg-turbo.org/Documentation/Documentation, turbojpeg.h). ctypes.CDLL releases the GIL around every call. A handle
is made for each call: that costs 5 to 10 us, and a handle that has seen a broken file is never used again.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_char_p, c_int, c_ulong, c_void_p
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from appliance.errors import AnonBoxError

COLORSPACES = ("RGB", "YCbCr", "grey", "CMYK", "YCCK")
"""enum TJCS."""

TRANSPOSE, ROTATE_90, ROTATE_180, ROTATE_270, FLIP_H, FLIP_V, TRANSVERSE, NO_OPERATION = 3, 5, 6, 7, 1, 2, 4, 0
"""enum TJXOP; rotations are clockwise."""

_NAMES = ("libturbojpeg.so.0", "libturbojpeg.so")
_TJPF_RGB = 0
_TJFLAG_LIMITSCANS = 32768  # more than 500 scans: an error instead of minutes of work
_TJXOPT_PERFECT, _TJXOPT_COPYNONE = 1, 64

_HARMLESS = re.compile(r"Corrupt JPEG data: \d+ extraneous bytes before marker 0xd9")
"""The one warning that leaves the picture whole: padding between its last MCU and the end marker, which some cameras write."""


class TurboError(Exception):
    """libjpeg-turbo refused, or warned of damage; the text is its own sentence, which quotes numbers, never text of the file."""


@dataclass(frozen=True)
class Header:
    """height, width : pixels; colorspace : one of COLORSPACES, how the coefficients are meant."""

    height: int
    width: int
    colorspace: str


class _Region(ctypes.Structure):
    _fields_ = (("x", c_int), ("y", c_int), ("w", c_int), ("h", c_int))


class _Transform(ctypes.Structure):
    _fields_ = (("r", _Region), ("op", c_int), ("options", c_int), ("data", c_void_p), ("customFilter", c_void_p))


@cache
def library() -> ctypes.CDLL:
    """The loaded library; call it once before rights to open files are given up. Raises AnonBoxError."""
    for name in _NAMES:
        try:
            lib = ctypes.CDLL(name)
        except OSError:
            continue
        return _declared(lib)
    raise AnonBoxError(f"none of {', '.join(_NAMES)} found: install libturbojpeg0 (Debian) or libturbojpeg (Ubuntu)")


def library_version() -> str:
    """For doctor; the library does not tell its version, but 3 brought new calls. Raises AnonBoxError."""
    return "TurboJPEG 3" if hasattr(library(), "tj3Init") else "TurboJPEG 2"


def _declared(lib: ctypes.CDLL) -> ctypes.CDLL:
    out = POINTER(c_int)
    signatures: dict[str, tuple[object, list[object]]] = {
        "tjInitDecompress": (c_void_p, []),
        "tjInitTransform": (c_void_p, []),
        "tjDestroy": (c_int, [c_void_p]),
        "tjFree": (None, [c_void_p]),
        "tjGetErrorStr2": (c_char_p, [c_void_p]),
        "tjDecompressHeader3": (c_int, [c_void_p, c_char_p, c_ulong, out, out, out, out]),
        "tjDecompress2": (c_int, [c_void_p, c_char_p, c_ulong, c_void_p, c_int, c_int, c_int, c_int, c_int]),
        "tjTransform": (c_int, [c_void_p, c_char_p, c_ulong, c_int, POINTER(c_void_p), POINTER(c_ulong), POINTER(_Transform), c_int]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


@contextmanager
def _handle(init: str) -> Iterator[c_void_p]:
    lib = library()
    handle = getattr(lib, init)()
    if not handle:
        raise MemoryError(f"{init} gave no handle")
    try:
        yield c_void_p(handle)
    finally:
        lib.tjDestroy(handle)


def _checked(status: int, handle: c_void_p) -> None:
    """Raise unless all went well. tjGetErrorCode is no help: after a warning it calls a fatal error a warning too. The text is
    that of the first warning, or of the error if one followed, so the harmless text stands only where nothing worse happened."""
    if status == 0:
        return
    message = library().tjGetErrorStr2(handle).decode("ascii", "replace")
    if not _HARMLESS.fullmatch(message):
        raise TurboError(message)


def header(data: bytes) -> Header:
    """What the header says, without decoding. Raises TurboError."""
    width, height, subsampling, colorspace = c_int(), c_int(), c_int(), c_int()
    with _handle("tjInitDecompress") as handle:
        found = byref(width), byref(height), byref(subsampling), byref(colorspace)
        _checked(library().tjDecompressHeader3(handle, data, len(data), *found), handle)
    return Header(height.value, width.value, COLORSPACES[colorspace.value])


def check_rows(out: NDArray[np.uint8]) -> None:
    """Raises ValueError unless libjpeg can write into the array: the caller is to blame, not the file."""
    if out.strides[1:] != (3, 1) or out.strides[0] < 3 * out.shape[1]:
        raise ValueError(f"pixels must be adjacent and rows in order, strides are {out.strides}")


def decode(data: bytes, out: NDArray[np.uint8]) -> None:
    """Decode to RGB straight into `out`; libjpeg picks the scale whose size is out's.

    out : (height, width, 3) uint8, pixels adjacent, rows at any positive distance (a view into a larger canvas)
    Raises TurboError.
    """
    check_rows(out)
    height, width = out.shape[:2]
    with _handle("tjInitDecompress") as handle:
        target = (out.ctypes.data, width, out.strides[0], height)
        _checked(library().tjDecompress2(handle, data, len(data), *target, _TJPF_RGB, _TJFLAG_LIMITSCANS), handle)


def transform(data: bytes, operation: int = NO_OPERATION) -> bytes:
    """Read the DCT coefficients and write them again, turned: baseline, no markers copied.

    operation : one of the operations above, refused unless it is lossless for every pixel
    Raises TurboError.
    """
    wish = _Transform(_Region(), operation, _TJXOPT_PERFECT | _TJXOPT_COPYNONE)
    buffer, size = c_void_p(), c_ulong()
    lib = library()
    with _handle("tjInitTransform") as handle:
        try:
            _checked(lib.tjTransform(handle, data, len(data), 1, byref(buffer), byref(size), byref(wish), _TJFLAG_LIMITSCANS), handle)
            return ctypes.string_at(buffer, size.value)
        finally:
            lib.tjFree(buffer)
