"""TurboJPEG's lossless transform with a filter: what it reads and writes is what the product's own reading and writing must equal."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import byref, c_int, c_ulong, c_void_p

import numpy as np

from appliance.formats import turbo

RowFilter = Callable[[int, int, np.ndarray], None]
"""Called with component, row of blocks and its coefficients, (blocks, 64) int16 in natural order, quantised, writable."""

_COPYNONE = 64
_Filter = ctypes.CFUNCTYPE(c_int, c_void_p, turbo._Region, turbo._Region, c_int, c_int, c_void_p)


def transform(data: bytes, row_filter: RowFilter) -> bytes:
    """Raises what the filter raises, and RuntimeError."""
    failure: list[BaseException] = []

    def on_row(address: int, array: turbo._Region, plane: turbo._Region, component: int, _index: int, _transform: int) -> int:
        if array.y >= plane.h:  # libjpeg pads a component to whole MCUs; these rows are not part of the picture
            return 0
        try:
            blocks = (ctypes.c_int16 * (array.w * 8)).from_address(address)
            row_filter(component, array.y // 8, np.frombuffer(blocks, np.int16).reshape(-1, 64))
        except BaseException as error:  # noqa: BLE001 - nothing may cross the C frame; it is raised below
            failure.append(error)
            return -1
        return 0

    lib, called = turbo.library(), _Filter(on_row)
    wish = turbo._Transform(turbo._Region(), 0, _COPYNONE, None, ctypes.cast(called, c_void_p))
    handle, buffer, size = c_void_p(lib.tjInitTransform()), c_void_p(), c_ulong()
    status = lib.tjTransform(handle, data, len(data), 1, byref(buffer), byref(size), byref(wish), 0)
    written = ctypes.string_at(buffer, size.value) if buffer else b""
    lib.tjFree(buffer)
    lib.tjDestroy(handle)
    if failure:
        raise failure[0]
    if status:
        raise RuntimeError("tjTransform")
    return written


def coefficients(data: bytes) -> dict[tuple[int, int], np.ndarray]:
    """(component, row of blocks) -> (blocks, 64)."""
    rows: dict[tuple[int, int], np.ndarray] = {}

    def keep(component: int, row: int, blocks: np.ndarray) -> None:
        rows[component, row] = blocks.copy()

    transform(data, keep)
    return rows
