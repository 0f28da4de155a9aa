"""Masks of a film: text stays for a while, so what one look sees is covered before and after it, and through the whole shot."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from appliance.types import Cells, Mask, Pixels, grid

REACH_S = Fraction(1, 2)
"""Before and after a look, also beyond a cut: text fades in and out, and was not looked for in every frame."""

LONGEST_SHOT_S = 10
"""A longer shot is taken in parts, so that what is wrongly seen in a moving picture does not add up over an examination."""

CUT = 24.0
"""Mean difference of luma between two frames that makes a cut, of 255. Between frames of one endoscopic shot it stays below 10."""
THUMBNAIL = 16
"""Every so many rows and columns are compared for that."""

PAGE = 0.3
"""A shot of which so much is text is a page of text, and is covered whole."""


class Shots:
    """Where shots begin and what was found in which frame. Frames come in order, once.

    size, cell : of the masks, see Mask
    """

    def __init__(self, size: tuple[int, int], cell: tuple[int, int]) -> None:
        self._size, self._cell = size, cell
        self._starts: list[int] = []
        self._last: NDArray[np.int16] | None = None
        self._count, self._reach, self._longest = 0, 1, 1
        self._found: dict[int, Cells] = {}
        self._order: list[int] = []
        self._made: dict[tuple[int, ...], Mask] = {}

    def see(self, luma: Pixels) -> None:
        """The next frame's luma, for the cuts."""
        small = luma[::THUMBNAIL, ::THUMBNAIL].astype(np.int16)
        if self._last is None or float(np.abs(small - self._last).mean()) > CUT:
            self._starts.append(self._count)
        self._last, self._count = small, self._count + 1

    def timed(self, step: Fraction) -> None:
        """Say how long a frame is shown, seconds, once all were seen."""
        self._reach = max(1, round(REACH_S / step))
        longest = max(1, round(LONGEST_SHOT_S / step))
        ends = [*self._starts[1:], self._count]
        self._starts = [part for start, end in zip(self._starts, ends, strict=True) for part in range(start, end, longest)]

    def add(self, index: int, cells: Cells) -> None:
        """What a look at a frame found."""
        if cells.any():
            self._found[index] = self._found[index] | cells if index in self._found else cells
            self._order = sorted(self._found)
            self._made.clear()

    @property
    def is_empty(self) -> bool:
        return not self._found

    def mask_at(self, index: int) -> Mask:
        """What is covered in a frame."""
        shot = bisect_right(self._starts, index) - 1
        inside = self._between(self._starts[shot], self._end(shot))
        near = [*self._between(index - self._reach, index + self._reach + 1)]
        key = (shot, *sorted({*near} - {*inside}))
        if key not in self._made:
            self._made = {**({} if len(self._made) > 1 else self._made), key: self._joined(inside, near)}
        return self._made[key]

    def unions(self) -> list[Mask]:
        """One mask a shot."""
        shots = range(len(self._starts))
        return [self._joined(self._between(self._starts[shot], self._end(shot)), []) for shot in shots]

    @property
    def pages(self) -> int:
        """How many shots are pages of text."""
        return sum(bool(mask.cells.all()) for mask in self.unions())

    def _joined(self, inside: list[int], near: list[int]) -> Mask:
        cells = np.zeros(grid(self._size, self._cell), np.bool_)
        for index in inside:
            cells |= self._found[index]
        if cells.mean() > PAGE:
            cells[:] = True
        for index in near:
            cells |= self._found[index]
        return Mask(cells, self._cell, self._size)

    def _between(self, first: int, end: int) -> list[int]:
        return self._order[bisect_left(self._order, first) : bisect_left(self._order, end)]

    def _end(self, shot: int) -> int:
        return self._starts[shot + 1] if shot + 1 < len(self._starts) else self._count
