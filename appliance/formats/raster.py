"""Pages of plain samples, as PNG, BMP and TIFF store them: how they look, and how they are blackened.

Samples are kept as the file stores them (bit depth, palette indices, 16 bit), so that what is written outside a mask is what was
read. Transparency is accepted only where it is the same everywhere, because text may hide in it from a detector that looks at
colours, and colours may hide under it; else it is flattened, so that what is looked at is all that is written.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from appliance.errors import BadFile
from appliance.types import Mask, Pixels

Image.MAX_IMAGE_PIXELS = None  # Pillow's guard takes bytes for pixels here; check_pixels is ours, and comes first

CELL = (8, 8)
"""Cells of the masks; any size would do, this one keeps masks small."""

TURNED = "orientation applied"
FLATTENED = "the picture was transparent in places, and is opaque now"
NO_BLACK = "the palette is full and has no black: its darkest colour covers the text"

Values = NDArray[Any]
"""uint8 or uint16."""

_BLOCK, _FLAT = 16, 64  # px, and ranks of 65535
_BAND = 64  # rows that are counted at once, because counting takes eight bytes a sample


@dataclass(frozen=True, eq=False)
class Samples:
    """One page, as stored.

    values : (height, width) grey or palette indices, or (height, width, channels): 2 grey and alpha, 3 RGB, 4 RGB and alpha
    bits : of each sample, 1, 2, 4, 8 or 16
    palette : (entries, 3) uint8, or None
    inverted : grey where 0 is white
    multiplied : the alpha, the same everywhere, that the colours are multiplied by already; a viewer shows this value as white; or 0
    layout : what else the format's writer keeps, such as TIFF's compression
    """

    values: Values
    bits: int
    palette: Values | None = None
    inverted: bool = False
    multiplied: int = 0
    layout: tuple[int, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        return self.values.shape[0], self.values.shape[1]

    @property
    def colours(self) -> int:
        """How many leading channels are colour; an alpha channel is the last."""
        return 1 if self.values.ndim == 2 else self.values.shape[2] - (self.values.shape[2] + 1) % 2


def refuse_varying(alpha: NDArray[np.generic]) -> None:
    """alpha : any shape. Raises BadFile unless it is the same everywhere."""
    if alpha.size and (alpha != alpha.flat[0]).any():
        raise BadFile("unsupported", "the picture is transparent in places, where text could hide; save it without transparency")


def varies(alpha: Values) -> bool:
    return bool((alpha != alpha.flat[0]).any())


def flattened(colours: Values, alpha: Values, full: int, multiplied: bool = False) -> Values:
    """Colours as they show on black or on white, whichever is farther from them, so that the picture stays readable.

    colours : (height, width) or (height, width, 3), 0 to full; alpha : (height, width); multiplied : the colours are, by alpha
    """
    colours = colours[..., None] if colours.ndim == 2 else colours
    weights = (np.full(1, full) if multiplied else row.astype(np.float64) for row in alpha)
    seen = sum(float((weight * row.mean(axis=1)).sum()) for weight, row in zip(weights, colours, strict=True))
    ground = 0 if seen > float(alpha.sum(dtype=np.float64)) * full / 2 else full
    flat = np.empty_like(colours, order="C")
    for top in range(0, len(flat), _BAND):
        share = alpha[top : top + _BAND, :, None].astype(np.int64)
        shown = colours[top : top + _BAND] * (full if multiplied else share) + ground * (full - share)
        flat[top : top + _BAND] = np.minimum((shown + full // 2) // full, full)
    return flat[..., 0] if flat.shape[2] == 1 else flat


def unpack(packed: NDArray[np.uint8], width: int, bits: int) -> NDArray[np.uint8]:
    """(height, bytes) rows of packed samples of 1, 2 or 4 bits, first sample highest -> (height, width) uint8."""
    spread = np.unpackbits(packed, axis=1).reshape(packed.shape[0], -1, bits)
    weights = (1 << np.arange(bits - 1, -1, -1)).astype(np.uint8)
    values: NDArray[np.uint8] = (spread * weights).sum(axis=2, dtype=np.uint8)
    return values[:, :width]


def pack(values: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """The reverse of unpack; rows are filled up with zero bits to whole bytes."""
    spread = (values[..., None] >> np.arange(bits - 1, -1, -1, dtype=np.uint8)) & 1
    return np.packbits(spread.reshape(values.shape[0], -1), axis=1)


def as_shown(samples: Samples) -> Values:
    """(height, width) or (height, width, 3) as a viewer shows them, 0 is black: palette and inversion applied, no alpha."""
    if samples.palette is not None:
        looked_up: Values = samples.palette[samples.values]
        return looked_up
    values = samples.values if samples.values.ndim == 2 else samples.values[..., : samples.colours]
    return 2**samples.bits - 1 - values if samples.inverted else values


def spans(samples: Samples) -> tuple[tuple[int, int], ...]:
    """(low, high) colours, low < high, that become 0 and 255; one a rendering.

    Of 16 bits a screen shows 8, and a few bright pixels would put all text among the darkest: so these pages are shown from their
    minimum to maximum, from the 1st to the 99th percentile and from the 1st to the 90th.
    """
    shown = as_shown(samples)
    if shown.dtype == np.uint8:
        full = _full(samples)
        return ((0, full), (0, samples.multiplied)) if 0 < samples.multiplied < full else ((0, full),)
    counts = _histogram(shown)
    reached, held = counts.cumsum(), np.flatnonzero(counts)
    bottom, *tops = np.searchsorted(reached, np.multiply((0.01, 0.99, 0.9), shown.size)).tolist()
    found = [(int(held[0]), int(held[-1])), *((bottom, top) for top in tops)]
    return tuple(dict.fromkeys((min(low, 65534), max(high, min(low, 65534) + 1)) for low, high in found))


def _histogram(shown: Values) -> NDArray[np.int64]:
    """(65536,) how often each level occurs."""
    counts = np.zeros(65536, np.int64)
    for top in range(0, len(shown), _BAND):
        counts += np.bincount(shown[top : top + _BAND].ravel(), minlength=65536)
    return counts


def _full(samples: Samples) -> int:
    return 255 if samples.palette is not None else 2**samples.bits - 1


def to_rgb(samples: Samples, span: tuple[int, int]) -> Pixels:
    """(height, width, 3) uint8 for the detector; colours outside the span become 0 or 255."""
    values, (low, high) = as_shown(samples), span
    if values.dtype == np.uint8 and high == _full(samples):
        values = values * np.uint8(255 // high)
    else:
        values = ((np.clip(values, low, high) - low) * np.float32(255 / (high - low))).astype(np.uint8)
    if values.ndim == 2:
        values = values[..., None]
    rgb: Pixels = np.broadcast_to(values, (*samples.size, 3)).astype(np.uint8, copy=False)
    return rgb


def local_rgb(samples: Samples) -> Pixels:
    """(height, width, 3) uint8 of 16 bits: each colour by its rank, from the lowest to the highest around it.

    Text that is 100 of 65535 levels above its ground shows in no window of the whole picture, but a viewer's window can be set to
    that ground. Ranks (histogram equalisation) part levels by how many pixels have them, however near or far they are, so that a
    strong edge beside the text does not take the contrast; what differs by less than _FLAT ranks is not stretched to full.
    """
    shown = as_shown(samples)
    values = shown[..., None] if shown.ndim == 2 else shown
    counts = _histogram(shown)
    ranks = ((counts.cumsum() - counts / 2) * (65535 / shown.size)).astype(np.float32)
    low, high = (ranks[_around(values, extreme)] for extreme in (np.minimum, np.maximum))
    rgb: Pixels = np.empty((*samples.size, 3), np.uint8)
    for top in range(0, len(values), _BAND):
        band = ranks[values[top : top + _BAND]]
        bottom, ceiling = (_between(blocks, top, band.shape) for blocks in (low, high))
        rgb[top : top + _BAND] = np.clip((band - bottom) * 255 / np.maximum(ceiling - bottom, _FLAT), 0, 255)
    return rgb


def _around(values: Values, extreme: np.ufunc) -> Values:
    """(rows, columns, channels) of blocks: the extreme of each and of its eight neighbours."""
    for axis in (0, 1):
        values = extreme.reduceat(values, np.arange(0, values.shape[axis], _BLOCK), axis=axis)
    for axis in (0, 1):
        wide = np.pad(values, [(1, 1) if each == axis else (0, 0) for each in range(3)], mode="edge")
        before, here, after = (np.arange(values.shape[axis]) + step for step in range(3))
        values = extreme(extreme(wide.take(before, axis), wide.take(here, axis)), wide.take(after, axis))
    return values


def _between(blocks: NDArray[np.float32], top: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Rows from `top` on of the blocks drawn at full size, (height, width, channels), linear between their middles."""
    for axis, start in ((0, top), (1, 0)):
        place = np.clip((np.arange(start, start + shape[axis], dtype=np.float32) + 0.5) / _BLOCK - 0.5, 0, blocks.shape[axis] - 1)
        first = place.astype(np.intp)
        share = np.expand_dims(place - first, tuple(each for each in range(3) if each != axis))
        second = np.minimum(first + 1, blocks.shape[axis] - 1)
        blocks = blocks.take(first, axis) * (1 - share) + blocks.take(second, axis) * share
    return blocks


def blacken(samples: Samples, mask: Mask) -> tuple[Samples, bool]:
    """The page with covered samples black, and whether its palette had a black to offer. Of palette entries of one colour one is
    used, because text may be written in the indices of colours that look the same. Unused entries become 0, unless the palette
    is the ramp of greys, which tells nothing and without which a grey BMP would be taken for a coloured one."""
    hidden = mask.to_pixels()
    if samples.palette is None:
        values = samples.values.copy()
        colours = values if values.ndim == 2 else values[..., : samples.colours]
        colours[hidden] = 2**samples.bits - 1 if samples.inverted else 0
        return replace(samples, values=values), True
    values = merged(samples.palette)[samples.values]
    index, palette = _black_entry(samples.palette, np.bincount(values[~hidden], minlength=256), samples.bits)
    values[hidden] = index
    if not is_grey_ramp(palette):
        palette[np.bincount(values.ravel(), minlength=len(palette)) == 0] = 0
    return replace(samples, values=values, palette=palette), not palette[index].any()


def merged(palette: Values) -> Values:
    """(entries,) uint8: for each entry the first one of the same colour."""
    _, first, group = np.unique(palette, axis=0, return_index=True, return_inverse=True)
    return first[group.ravel()].astype(np.uint8)


def is_grey_ramp(palette: Values) -> bool:
    """Whether the entries go in equal steps from black to white."""
    steps = len(palette) - 1
    return steps > 0 and bool((palette.astype(np.int64) * steps == np.arange(steps + 1)[:, None] * 255).all())


def _black_entry(old: Values, uses: NDArray[np.int64], bits: int) -> tuple[int, Values]:
    """The index of a black entry and a palette that has one: an entry that is black, is free or can be added; else the darkest.

    uses : how often each index occurs outside the mask
    """
    palette: Values = old.copy()
    black = np.flatnonzero(~palette.any(axis=1))
    if black.size:
        return int(black[0]), palette
    free = np.flatnonzero(uses[: len(palette)] == 0)
    if free.size:
        palette[free[0]] = 0
        return int(free[0]), palette
    if len(palette) < 2**bits:
        return len(palette), np.concatenate([palette, np.zeros_like(palette[:1])])
    return darkest(palette), palette


def darkest(palette: Values) -> int:
    return int((palette.astype(np.int64) @ (299, 587, 114)).argmin())
