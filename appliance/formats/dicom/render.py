"""How a frame of samples looks on a screen, in every way in which its text may show; and what black is in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from appliance.errors import BadFile
from appliance.formats.dicom.image import Image
from appliance.formats.raster import Samples, Values, spans
from appliance.types import Pixels

DARKEST = 48
"""Of 255: a palette's entry that is no brighter in any colour is black enough to cover text."""

YBR_BLACK = (0, 128, 128)

Span = tuple[float, float]


@dataclass(frozen=True)
class Rendering:
    """span : stored values that become 0 and 255; None: 8 bits as they are; ybr : colours are YBR_FULL"""

    span: Span | None = None
    ybr: bool = False


def renderings(values: Values, image: Image, mixed: bool) -> tuple[Rendering, ...]:
    """In how many ways this frame is shown.

    mixed : the codec has undone YBR_RCT or YBR_ICT, so that the colours are RGB
    """
    if image.palette is not None:
        return (Rendering(),)
    if image.samples == 3:
        ways = _colours(image, mixed)
        if image.stored == 8:
            return tuple(Rendering(ybr=ybr) for ybr in ways)
        return tuple(Rendering(span, ybr) for ybr in ways for span in _spans(values, image))
    if image.stored == 8 and not image.signed and not image.windows:
        return (Rendering(),)
    return tuple(Rendering(span) for span in _spans(numbers(values, image), image))


def _colours(image: Image, mixed: bool) -> tuple[bool, ...]:
    if image.photometric in ("YBR_FULL", "YBR_FULL_422"):
        return (True,)
    if image.photometric in ("YBR_RCT", "YBR_ICT") and not mixed:
        return (False, True)  # header and codestream disagree
    return (False,)


def _spans(values: Values, image: Image) -> tuple[Span, ...]:
    """The header's windows; from the lowest to the highest value; all that the bits allow; what pictures of 16 bits are shown by."""
    low = -(2 ** (image.stored - 1)) if image.signed else 0
    found: list[Span] = [*image.windows, (low, low + 2**image.stored - 1)]
    if image.stored > 8:
        shifted = (values.astype(np.int32) - low).astype(np.uint16)
        found += [(bottom + low, top + low) for bottom, top in spans(Samples(shifted, 16))]
    return tuple(dict.fromkeys((float(bottom), float(max(top, bottom + 1))) for bottom, top in found))


def numbers(values: Values, image: Image) -> NDArray[np.int32] | Values:
    """Stored bits as the numbers they mean."""
    if not image.signed:
        return values
    shift = 32 - image.stored
    return (values.astype(np.int32) << shift) >> shift


def shown(values: Values, image: Image, rendering: Rendering) -> Pixels:
    """(rows, columns, 3) uint8 RGB."""
    if image.palette is not None:
        indices = numbers(values, image).astype(np.int32) - image.first
        return image.palette[np.clip(indices, 0, len(image.palette) - 1)]
    if image.photometric == "YBR_FULL_422" and values.shape[-1] == 4:
        values = _full(values)
    if rendering.span is not None:
        low, high = rendering.span
        values = ((np.clip(numbers(values, image), low, high) - low) * (255 / (high - low))).astype(np.uint8)
    if image.photometric == "MONOCHROME1":
        values = 255 - values
    if values.ndim == 2:
        return np.repeat(values[..., None], 3, axis=2)
    return np.asarray(Pillow.fromarray(values, "YCbCr").convert("RGB")) if rendering.ybr else np.ascontiguousarray(values)


def _full(values: Values) -> Values:
    """(rows, columns / 2, 4) of Y Y Cb Cr -> (rows, columns, 3)."""
    rows, pairs, _ = values.shape
    out = np.empty((rows, pairs, 2, 3), np.uint8)
    out[..., 0] = values[..., :2]
    out[..., 1:] = values[..., None, 2:]
    return out.reshape(rows, 2 * pairs, 3)


def black(image: Image) -> int | tuple[int, ...]:
    """What a covered pixel's samples are. Raises BadFile for a palette that has no dark colour."""
    if image.palette is not None:
        return _dark_index(image)
    if image.photometric == "YBR_FULL_422":
        return (0, *YBR_BLACK)
    if image.photometric == "YBR_FULL":
        return tuple(part << (image.stored - 8) if image.stored > 8 else part for part in YBR_BLACK)
    if image.samples == 3:
        return (0, 0, 0)
    lowest, highest = (2 ** (image.stored - 1), 2 ** (image.stored - 1) - 1) if image.signed else (0, 2**image.stored - 1)
    chosen = highest if image.photometric == "MONOCHROME1" else lowest
    if image.signed and image.photometric != "MONOCHROME1":  # extend the sign to all allocated bits
        chosen |= (2**image.allocated - 1) ^ (2**image.stored - 1)
    return int(chosen)


def _dark_index(image: Image) -> int:
    assert image.palette is not None
    reachable = image.palette[: max(0, 2**image.stored - max(image.first, 0))]
    index = int((reachable.astype(np.int64) @ (299, 587, 114)).argmin()) if len(reachable) else 0
    if not len(reachable) or reachable[index].max() > DARKEST:
        raise BadFile("unsupported", "the DICOM file's palette has no dark colour to cover text with")
    return int((index + image.first) % 2**image.stored)


def covered(values: Values, hidden: NDArray[np.bool_], image: Image) -> Values:
    """A copy that is black where `hidden`, (rows, columns), says so."""
    done = values.copy()
    if image.photometric == "YBR_FULL_422" and values.shape[-1] == 4 and values.ndim == 3:
        hidden = hidden[:, ::2]  # cells are whole pairs of pixels
    done[hidden] = black(image)
    return done
