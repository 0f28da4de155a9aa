"""One small DICOM file of every codec, drawn and encoded here, so that no decoder is loaded after the lock-down."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL import Image as Pillow
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from appliance.formats.dicom import codecs
from appliance.formats.dicom.encapsulation import encapsulated, native
from appliance.formats.dicom.image import Image
from appliance.formats.dicom.syntaxes import EXPLICIT, EXTENDED, JPEG, JPEG_2000, JPEG_LOSSLESS, RLE, SYNTAXES

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
UID_ = "1.2.826.0.1.3680043.8.498.1"

GREY = Image(64, 96, 1, 1, 16, 12, False, 0, "MONOCHROME2")
COLOUR = Image(64, 96, 1, 3, 8, 8, False, 0, "RGB")

KINDS = (
    *((uid, image) for uid in (EXPLICIT, RLE, JPEG_LOSSLESS, f"{JPEG}80") for image in (GREY, COLOUR)),
    (JPEG_2000, GREY),
    (JPEG_2000, replace(COLOUR, photometric="YBR_RCT")),
    (f"{JPEG}201", replace(COLOUR, photometric="YBR_RCT")),
    (EXPLICIT, replace(COLOUR, photometric="YBR_FULL")),
    (f"{JPEG}50", replace(COLOUR, photometric="YBR_FULL_422")),
    (EXTENDED, replace(COLOUR, photometric="RGB")),  # its JPEG says YCbCr: two readings
)


def files() -> Iterator[bytes]:
    for uid, image in KINDS:
        syntax = SYNTAXES[uid]
        if codecs.encodable(syntax) is syntax:
            yield file_of(uid, image, [_frame(uid, image)])


def _frame(uid: str, image: Image) -> bytes:
    ramp = np.add.outer(np.arange(image.rows), np.arange(image.columns))
    values = (ramp if image.samples == 1 else np.repeat(ramp[..., None], 3, axis=2)).astype(image.dtype)
    if SYNTAXES[uid].codec != "jpeg":
        return codecs.encode(values, image, SYNTAXES[uid])
    file = io.BytesIO()
    Pillow.fromarray(values).save(file, "JPEG", subsampling=2)
    return file.getvalue()


def file_of(uid: str, image: Image, frames: list[bytes]) -> bytes:
    """A Secondary Capture file of nobody. frames : as `uid` codes them"""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(SECONDARY_CAPTURE), UID(UID_)
    meta.TransferSyntaxUID, meta.ImplementationClassUID = UID(uid), UID(UID_)
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{UID_}.1", f"{UID_}.2"
    dataset.Modality, dataset.ConversionType = "OT", "WSD"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = image.samples, image.photometric
    if image.samples > 1:
        dataset.PlanarConfiguration = image.planar
    if image.frames > 1:
        dataset.NumberOfFrames = image.frames
    dataset.Rows, dataset.Columns, dataset.PixelRepresentation = image.rows, image.columns, int(image.signed)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = image.allocated, image.stored, image.stored - 1
    stream = io.BytesIO()
    syntax = SYNTAXES[uid]
    dcmwrite(stream, dataset, implicit_vr=syntax.is_implicit, little_endian=True, enforce_file_format=True)
    if syntax.is_native:
        return stream.getvalue() + b"".join(native(frames, image.allocated, syntax.is_implicit))
    return stream.getvalue() + b"".join(encapsulated([frame + bytes(len(frame) % 2) for frame in frames]))
