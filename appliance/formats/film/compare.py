"""The finished film against its source, frame by frame: both are decoded side by side, so that nothing is believed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import zip_longest

import numpy as np

from appliance.errors import BadFile
from appliance.formats.film import mp4
from appliance.formats.film.film import CELL, NO_COLOUR, Film, Frame, MaskAt, open_film, spread
from appliance.types import Cells

BRIGHTEST, MOST_COLOUR = 20, 8
"""Luma that no sample under a mask exceeds, and how far its colours may be from grey: what an encoder gets there is black."""

LEAST_PSNR = 41.0
"""dB, of luma outside the mask. What x264 makes of endoscopic film at CRF 18 lies at 43 to 45."""

SHORTEST_WORD = 6
"""Characters of a text of the source's container that the result must not hold; shorter ones occur by chance in a film's bytes."""
ENCODINGS = (("utf-8", "surrogateescape"), ("utf-16-le", "surrogatepass"), ("utf-16-be", "surrogatepass"))
FIXED = ("VideoHandler", "isomiso2", "isom", "mp41", "mp42")
"""What every MP4 says."""


def compared(film: Film, finished: bytes, mask_at: MaskAt | None) -> Iterator[Frame]:
    """Each frame of the finished film, once it is known to be what it should.

    mask_at : what was made black; None: the packets were copied, and every sample must be the source's
    Raises BadFile("not-faithful").
    """
    mp4.check(finished, film.count)
    _check_words(film, finished)
    try:
        again = open_film(finished, "mp4")
        if (again.properties.codec, again.properties.others) != (film.properties.codec, ()):
            raise _unlike("has other streams than its source's picture")
        if (again.properties.aspect or 1) != (film.properties.aspect or 1):
            raise _unlike("has pixels of another shape than its source")
        for own, frame in zip_longest(film.frames(), again.frames()):
            if own is None or frame is None:
                raise _unlike("has another number of frames than its source")
            _check_frame(film, again, own, frame)
            if mask_at is None:
                _check_same(own, frame)
            else:
                _check_masked(own, frame, mask_at(frame.index).cells)
            yield frame
    except BadFile as error:
        if error.code == "not-faithful":
            raise
        raise BadFile("not-faithful", f"the finished film cannot be read: {error.reason}") from error


def _check_words(film: Film, finished: bytes) -> None:
    for word in film.properties.words:
        text = word.strip()
        if (
            len(text) >= SHORTEST_WORD
            and not text.startswith(FIXED)
            and any(text.encode(code, errors) in finished for code, errors in ENCODINGS)
        ):
            raise _unlike("holds a text of its source's container")


def _check_frame(film: Film, again: Film, own: Frame, frame: Frame) -> None:
    if own.size != frame.size:
        raise _unlike("has another size than its source")
    if abs(own.time * film.properties.base - frame.time * again.properties.base) > film.properties.base:
        raise _unlike("shows a frame at another time than its source")
    if _colours(own) != _colours(frame):
        raise _unlike("describes its colours otherwise than its source")


def _colours(frame: Frame) -> tuple[bool, int, int, int]:
    return frame.is_full, frame.raw.colorspace, frame.raw.color_primaries, frame.raw.color_trc


def _check_same(own: Frame, frame: Frame) -> None:
    if not all(np.array_equal(plane, other) for plane, other in zip(own.planes, frame.planes, strict=True)):
        raise _unlike("differs from its source, whose packets it was to have")


def _check_masked(own: Frame, frame: Frame, cells: Cells) -> None:
    side = CELL[0]
    covered = spread(cells, frame.planes[0], side)
    if cells.any():
        if int(frame.planes[0][covered].max()) > BRIGHTEST:
            raise _unlike("is not black where it was covered")
        colours = spread(cells, frame.planes[1], side // 2)
        if any(np.abs(plane[colours].astype(np.int16) - NO_COLOUR).max() > MOST_COLOUR for plane in frame.planes[1:]):
            raise _unlike("has colour where it was covered")
    if frame.index % 2 and not covered.all() and psnr(own, frame, covered) < LEAST_PSNR:
        raise _unlike("differs too much from its source")


def psnr(own: Frame, frame: Frame, covered: Cells) -> float:
    """Of luma outside what is covered, dB."""
    differences = own.planes[0].astype(np.int16) - frame.planes[0]
    differences[covered] = 0
    error = float(np.square(differences.astype(np.int32)).sum()) / (covered.size - int(covered.sum()))
    return 10 * math.log10(255**2 / error) if error else math.inf


def _unlike(what: str) -> BadFile:
    return BadFile("not-faithful", f"the finished film is not as it should be: it {what}")
