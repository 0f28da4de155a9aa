"""Picture and detector pixels: how far a picture is reduced before the detector looks at it, and how a large one is cut in tiles."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.types import ceil_eighths

EIGHTHS = 8
"""Scales are eighths, as JPEG's DCT gives them for less than a full decode."""

STRIDE = 4
"""Detector pixels per cell of the score map, each way."""

LARGEST = 12
"""A small picture is enlarged to 12/8 at most. On the 22 text-free evaluation frames that halves what is removed in vain (0.22 to
0.11 % of the picture), at the same recall."""

MIN_SIDE = 480
"""A reduced picture's shorter side keeps so many detector pixels: the faintest real overlays are 1.6 % of the height, 8 px of 480.
Whoever changes either shows recall before and after."""

LEAST = 4
"""No picture is reduced below 4/8, what a screen of 1080 lines is shown at: a large one may be several such screens beside each other.
Only what is looked at in tiles anyway is also shown whole and smaller, for letters taller than a tile."""

OVERLAP = 96
"""Detector pixels that neighbouring tiles share, at least: more than twice the tallest overlay text, so that what one tile cuts
another sees with room around it."""


@dataclass(frozen=True)
class Scale:
    """Detector pixels = picture pixels * num / 8; num 1..16, TurboJPEG's scaling factors."""

    num: int

    def __post_init__(self) -> None:
        if not 1 <= self.num <= 2 * EIGHTHS:
            raise ValueError(f"a scale of {self.num}/8 is not between 1/8 and 16/8")

    def reduced(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the reduced picture."""
        return ceil_eighths(size, self.num)


@dataclass(frozen=True)
class View:
    """A part of the reduced picture, pixels; top and left are multiples of STRIDE."""

    top: int
    left: int
    height: int
    width: int


def scale_for(size: tuple[int, int], canvas: tuple[int, int]) -> Scale:
    """The largest scale up to LARGEST at which the picture fits the canvas, unless that is below LEAST or reduces its shorter side below
    MIN_SIDE; then the smallest that does neither, and the picture is cut in tiles.

    size, canvas : (height, width), picture and detector pixels
    """
    shortest = min(size)
    fit = _fitting(size, canvas, LARGEST, LEAST)
    if fit is not None and (fit.num >= EIGHTHS or shortest * fit.num >= MIN_SIDE * EIGHTHS):
        return fit
    return Scale(max(LEAST, min(EIGHTHS, -(-MIN_SIDE * EIGHTHS // shortest))))


def scales_for(size: tuple[int, int], canvas: tuple[int, int]) -> tuple[Scale, ...]:
    """Every scale that a picture is looked at: scale_for's, and where that takes tiles the largest at which it fits, if any does."""
    zoom = scale_for(size, canvas)
    whole = None if _fits(zoom.reduced(size), canvas) else _fitting(size, canvas, zoom.num - 1, 1)
    return (zoom, whole) if whole else (zoom,)


def _fitting(size: tuple[int, int], canvas: tuple[int, int], most: int, least: int) -> Scale | None:
    """The largest scale from `most` down to `least` at which the picture fits."""
    return next((zoom for zoom in map(Scale, range(most, least - 1, -1)) if _fits(zoom.reduced(size), canvas)), None)


def _fits(reduced: tuple[int, int], canvas: tuple[int, int]) -> bool:
    return reduced[0] <= canvas[0] and reduced[1] <= canvas[1]


def views(reduced: tuple[int, int], canvas: tuple[int, int]) -> tuple[View, ...]:
    """The whole picture if it fits the canvas, else tiles no larger than it that overlap by OVERLAP or more, row by row.

    reduced, canvas : (height, width) detector pixels; a canvas side that must be tiled has to exceed OVERLAP + 2 * STRIDE
    """
    rows, columns = (_spans(length, room) for length, room in zip(reduced, canvas, strict=True))
    return tuple(View(top, left, height, width) for top, height in rows for left, width in columns)


def _spans(length: int, room: int) -> list[tuple[int, int]]:
    """(start, length) of evenly spread spans that cover 0..length."""
    if length <= room:
        return [(0, length)]
    step = room - OVERLAP - 2 * STRIDE  # starts are rounded to STRIDE, which may cost as much of the overlap at either end
    if step <= 0:
        raise ValueError(f"a canvas side of {room} px is too short to be tiled with {OVERLAP} px of overlap")
    count = -(-(length - room) // step) + 1
    last = -(-(length - room) // STRIDE) * STRIDE
    starts = [index * last // (count - 1) // STRIDE * STRIDE for index in range(count)]
    return [(start, min(room, length - start)) for start in starts]
