"""DICOM (PS3.5, PS3.10): a header and one or more frames, each of which is looked at, masked and checked like a picture of its own.

A frame that is baseline JPEG goes through the DCT path and keeps every coefficient outside the mask; every other one is decoded, covered
and encoded without loss, so that the pixels outside the mask are those of the source's decode. The header is no business of this package:
appliance/deid builds a new one.

Refused, though others can read it: films (MPEG-2, H.264, HEVC), JPEG XL, JPIP, progressive JPEG, floating-point or 32-bit samples, 1-bit
segmentations, segmented palettes, alpha and CMYK, bits beyond those that the header calls stored.
"""

from __future__ import annotations

from appliance.formats.dicom.dataset import Header, read_header
from appliance.formats.dicom.frames import Frames, open_frames, reread

__all__ = ["Frames", "Header", "open_frames", "read_header", "reread"]
