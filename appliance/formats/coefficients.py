"""A JPEG's quantised DCT coefficients, from one entropy decode for all that is done with them. The work is done in coefficients.c.

The C file is built against the system's libjpeg-turbo when the package is installed. ctypes.CDLL releases the GIL around every call.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_ssize_t, c_uint, c_void_p
from functools import cache
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from appliance.errors import AnonBoxError
from appliance.formats.turbo import TurboError, check_rows
from appliance.types import Cells, Pixels

SMALLEST, LARGEST = 2, 16
"""Eighths at which pixels come from the coefficients; for 1/8 libjpeg would leave out most of them."""


@cache
def library() -> ctypes.CDLL:
    """The loaded library; call it once before rights to open files are given up. Raises AnonBoxError."""
    spec = find_spec("appliance.formats._coefficients")
    if spec is None or spec.origin is None:
        raise AnonBoxError("appliance/formats/coefficients.c is not built: run `make setup`, or pip install this folder")
    try:
        return _declared(ctypes.CDLL(spec.origin))
    except OSError as error:
        raise AnonBoxError(f"libjpeg-turbo cannot be loaded ({error}): run `make setup`, or deploy/system-packages.sh") from error


def library_version() -> str:
    """libjpeg-turbo's, as it was built against. Raises AnonBoxError."""
    return str(library().library_version().decode("ascii"))


def _declared(lib: ctypes.CDLL) -> ctypes.CDLL:
    mask = [c_char_p, c_int, c_int, c_void_p]
    signatures: dict[str, tuple[object, list[object]]] = {
        "library_version": (c_char_p, []),
        "picture_new": (c_void_p, []),
        "picture_free": (None, [c_void_p]),
        "picture_trouble": (c_char_p, [c_void_p]),
        "picture_decode": (c_int, [c_void_p, c_char_p, c_size_t, c_int, c_int]),
        "picture_read": (c_int, [c_void_p, c_void_p, c_ssize_t, c_uint, c_uint]),
        "picture_write": (c_int, [c_void_p, *mask, c_size_t, POINTER(c_void_p), POINTER(c_size_t)]),
        "picture_compare": (c_int, [c_void_p, c_void_p, *mask, POINTER(c_int), POINTER(c_int)]),
        "bytes_free": (None, [c_void_p]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


class Coefficients:
    """The coefficients of one JPEG, in libjpeg's memory. Used by one thread at a time; no longer of use after a TurboError.

    num : the scale, in eighths, at which `read` gives pixels, SMALLEST..LARGEST
    strict : harmless oddities of the file are refused too
    Raises TurboError when libjpeg refuses the file, warns of damage, or gets a coefficient that 8-bit baseline has no code for (T.81
    tables F.1 and F.2): broken data decode to such, and libjpeg-turbo's fast encoder does not look and would write nonsense.
    """

    def __init__(self, data: bytes, num: int, *, strict: bool = False) -> None:
        if not SMALLEST <= num <= LARGEST:
            raise ValueError(f"a scale of {num}/8 is not between {SMALLEST}/8 and {LARGEST}/8")
        self.num = num
        self._lib = library()
        handle = self._lib.picture_new()
        if not handle:
            raise MemoryError("no memory for a decoder")
        self._handle = c_void_p(handle)
        self._size = len(data)
        weakref.finalize(self, self._lib.picture_free, self._handle)
        self._checked(self._lib.picture_decode(self._handle, data, len(data), num, strict))

    def read(self, out: Pixels) -> None:
        """Write the picture at num/8 into out; may be called again.

        out : (ceil(height * num / 8), ceil(width * num / 8), 3) uint8, pixels adjacent, rows at any positive distance
        Raises TurboError.
        """
        check_rows(out)
        height, width = out.shape[:2]
        self._checked(self._lib.picture_read(self._handle, out.ctypes.data, out.strides[0], height, width))

    def write(self, cells: Cells, black: Sequence[int]) -> bytes:
        """The JPEG with the covered MCUs black: baseline, standard tables, no markers but those that decoding needs.

        cells : (rows, columns) bool, one an MCU, True = black
        black : for each component the quantised DC coefficient of black
        Raises TurboError.
        """
        data, size = c_void_p(), c_size_t()
        self._checked(self._lib.picture_write(self._handle, *_mask(cells, black), self._size, byref(data), byref(size)))
        try:
            return ctypes.string_at(data, size.value)
        finally:
            self._lib.bytes_free(data)

    def difference(self, finished: Coefficients, cells: Cells, black: Sequence[int]) -> tuple[int, int] | None:
        """Where the finished picture is not black under the mask and elsewhere the same, in every coefficient: the component and row
        of blocks, or None. cells, black : as for `write`. Raises TurboError."""
        component, row = c_int(), c_int()
        mask = _mask(cells, black)
        status = self._lib.picture_compare(self._handle, finished._handle, *mask, byref(component), byref(row))
        self._checked(min(status, 0))
        return (component.value, row.value) if status else None

    def _checked(self, status: int) -> None:
        if status:
            raise TurboError(self._lib.picture_trouble(self._handle).decode("ascii", "replace"))


def _mask(cells: Cells, black: Sequence[int]) -> tuple[bytes, int, int, NDArray[np.int16]]:
    return cells.tobytes(), *cells.shape, np.array(black, np.int16).ctypes.data_as(c_void_p)
