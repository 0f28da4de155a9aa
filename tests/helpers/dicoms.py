"""DICOM headers drawn in code: a small endoscopic picture's, and one with a marker in every place that can hold a text."""

from __future__ import annotations

import io
import itertools
from typing import Any

from pydicom import Dataset, dcmread
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

ENDOSCOPIC, ULTRASOUND, SECONDARY = (f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in ("77.1.1", "6.1", "7"))
TEXTS = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
NOT_PLANTED = {"SpecificCharacterSet", "ImageType", "Modality", "PhotometricInterpretation"}
PIXELS = bytes(range(256)) * 3


def endoscopic(sop_class: str = ENDOSCOPIC, **more: Any) -> FileDataset:
    """What a capture station writes for one picture of 16 x 16 pixels."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = sop_class, "1.2.276.0.7230010.3.1.4.11"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.276.0.7230010.3.1.2.22", "1.2.276.0.7230010.3.1.3.33"
    made.PatientName, made.PatientID, made.PatientBirthDate = "Quispe^Zacarias", "PX-778899", "19670812"
    made.PatientSex, made.PatientAge, made.PatientSize, made.PatientWeight = "M", "059Y", "1.83", "81.5"
    made.StudyDate = made.ContentDate = "20261123"
    made.StudyTime = made.ContentTime = "101112"
    made.AcquisitionDateTime = "20261123101112.5"
    made.Modality, made.ImageType = "ES", ["ORIGINAL", "PRIMARY"]
    made.Manufacturer, made.ManufacturerModelName, made.SoftwareVersions = "Kamerawerk", "Tubus 9", "7.7.7-beta"
    made.DeviceSerialNumber, made.StationName = "SN-4711-0815", "ENDO-RAUM-3"
    made.SeriesNumber, made.InstanceNumber = "1", "7"
    made.ReferringPhysicianName, made.StudyID, made.AccessionNumber = "Overweg^Ilse", "ST-5566", "ACC-1234567"
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "RGB", 0
    made.Rows = made.Columns = 16
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.BurnedInAnnotation = "YES"
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return as_file(made)


def as_file(made: Dataset, syntax: str = ExplicitVRLittleEndian) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = made.SOPClassUID, made.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.SourceApplicationEntityTitle = "RAUMDREI"
    made.PixelData = encapsulate([PIXELS]) if syntax == JPEGBaseline8Bit else PIXELS
    made["PixelData"].VR = "OB"
    return FileDataset("", made, preamble=b"II*\0Zacarias in the preamble".ljust(128, b"\0"), file_meta=meta)


def read_again(dataset: Dataset) -> FileDataset:
    """As it comes from a file: elements not looked at yet."""
    return dcmread(io.BytesIO(written(dataset)))


def written(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def planted() -> tuple[FileDataset, dict[bytes, str]]:
    """A picture with a marker in every text attribute of the dictionary and in places of their own, and marker -> where it is."""
    made, places, numbers = endoscopic(), {}, itertools.count(1)

    def marker(place: str) -> str:
        text = f"QZ{next(numbers):04d}X"
        places[text.encode()] = place
        return text

    for tag, (vr, _, _, _, keyword) in sorted(DicomDictionary.items()):
        if vr in TEXTS and 0x0008 <= tag >> 16 < 0x5000 and keyword and keyword not in NOT_PLANTED:
            made.add_new(tag, vr, marker(keyword))
    made.ImageType = ["ORIGINAL", "PRIMARY", marker("ImageType value 3")]
    for group in range(0x6000, 0x6020, 2):
        made.add_new((group, 0x0022), "LO", marker(f"overlay {group:04X}"))
        made.add_new((group, 0x3000), "OB", marker(f"overlay data {group:04X}").encode() + b"\0")
        made.add_new((group - 0x1000, 0x3000), "OB", marker(f"curve data {group - 0x1000:04X}").encode() + b"\0")
    private = made.private_block(0x0009, marker("private creator"), create=True)
    private.add_new(1, "PN", marker("private PN"))
    private.add_new(2, "OB", marker("private OB").encode() + b"\0")
    made.add_new((0x0018, 0x7777), "LO", marker("no such tag"))
    made.add_new((0x0010, 0xFFF0), "UN", marker("no such tag, UN").encode() + b"\0")
    made.add_new((0xFFFC, 0xFFFC), "OB", marker("trailing padding").encode() + b"\0")
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "69695003", "SCT", marker("meaning of a known code")
    item.TextValue = marker("beside a known code")
    made.AnatomicRegionSequence = Sequence([item])
    deepest = Dataset()
    deepest.PatientName = marker("twelve deep")
    for _ in range(12):
        outer = Dataset()
        outer.ContentSequence = Sequence([deepest])
        deepest = outer
    made.ViewCodeSequence = Sequence([deepest])
    return made, places
