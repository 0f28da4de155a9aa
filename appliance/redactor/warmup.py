"""Runs one small drawn picture of every kind through the whole way, so that nothing is loaded or compiled after the lock-down.

The first of them holds text, and an engine that does not find it is not used.
"""

from __future__ import annotations

import io
from contextlib import suppress

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from appliance.errors import BadFile, DeviceLost
from appliance.formats import Limits
from appliance.redactor import warmup_dicom, warmup_film
from appliance.redactor.detector import Detector
from appliance.redactor.redact import redact
from appliance.types import Header

KINDS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("JPEG", "RGB", {"subsampling": 2}),
    ("JPEG", "L", {"progressive": True}),
    ("PNG", "RGB", {}),
    ("PNG", "P", {}),
    ("BMP", "RGB", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "L", {"compression": "tiff_adobe_deflate"}),
)


NOBODY = Header("E000000", "0001", bytes(32))

TEXT, PLACE, HEIGHT = "NAME: MUSTERMANN 12.08.1967", (40, 40), 20


def warm_up(detector: Detector, limits: Limits) -> None:
    """Raises DeviceLost when the engine cannot run or does not see; a picture that is refused is no fault here."""
    ramp = Image.fromarray(np.add.outer(np.arange(192), np.arange(400)).astype(np.uint8) // 4)
    _find_text(ramp, detector, limits)
    for kind, mode, options in KINDS:
        _try(_file(ramp.convert(mode), kind, **options), detector, limits)
    for data in (*warmup_dicom.files(), *warmup_film.files()):
        _try(data, detector, limits)


def _try(data: bytes, detector: Detector, limits: Limits) -> None:
    for whole_or_cut in (data, data[:-40]):  # the cut-off one loads what refusing needs
        with suppress(BadFile):
            redact(whole_or_cut, detector, limits, header=NOBODY)


def _find_text(ground: Image.Image, detector: Detector, limits: Limits) -> None:
    """A known answer: damaged weights or a broken chip may run well and find nothing."""
    picture, font = ground.convert("RGB"), ImageFont.load_default(size=HEIGHT)
    draw = ImageDraw.Draw(picture)
    draw.text(PLACE, TEXT, fill="white", font=font)
    left, top, right, bottom = (int(side) for side in draw.textbbox(PLACE, TEXT, font=font))
    _, report = redact(_file(picture, "PNG"), detector, limits)
    if not report.masks[0].to_pixels()[top:bottom, left:right].all():
        raise DeviceLost("warm-up", "the network does not find the text of a drawn picture; restore engines/weights or see to the chip")


def _file(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()
