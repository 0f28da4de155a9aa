"""Runs one small drawn picture of every kind through the whole way, so that nothing is loaded or compiled after the lock-down."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from appliance.errors import BadFile
from appliance.formats import Limits
from appliance.redactor.detector import Detector
from appliance.redactor.redact import redact

KINDS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("JPEG", "RGB", {"subsampling": 2}),
    ("JPEG", "L", {"progressive": True}),
    ("PNG", "RGB", {}),
    ("PNG", "P", {}),
    ("BMP", "RGB", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "L", {"compression": "tiff_adobe_deflate"}),
)


def warm_up(detector: Detector, limits: Limits) -> None:
    """Raises DeviceLost when the engine cannot run; a picture that is refused is no fault here."""
    ramp = np.add.outer(np.arange(96), np.arange(128)).astype(np.uint8)
    for kind, mode, options in KINDS:
        file = io.BytesIO()
        Image.fromarray(ramp).convert(mode).save(file, kind, **options)
        for data in (file.getvalue(), file.getvalue()[:-40]):  # the cut-off one loads what refusing needs
            try:
                redact(data, detector, limits)
            except BadFile:
                continue
