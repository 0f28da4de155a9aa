"""What a file says of its own de-identification (PS3.15 E.1.1; PS3.3 C.7.1.1, C.12.1; PS3.16 CID 7050), and its File Meta Information."""

from __future__ import annotations

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from appliance import __version__
from appliance.deid.table import EDITION
from appliance.deid.values import Rules, Verdict

CODES = {
    "113100": "Basic Application Confidentiality Profile",
    "113101": "Clean Pixel Data Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
    "113109": "Retain Device Identity Option",
}
"""CID 7050, coding scheme DCM."""

PROGRAM, PROFILE = f"AnonBox {__version__}", f"PS3.15 {EDITION} Basic"
IMPLEMENTATION = UID("2.25.169496540495643261698694742603868855815")
"""Implementation Class UID (PS3.7 D.3.3.2): a UUID drawn once for this program."""
IMPLEMENTATION_NAME = f"ANONBOX_{__version__}"[:16]

OWN = frozenset(
    text.encode() for text in (*CODES, *CODES.values(), "DCM", PROGRAM, PROFILE, IMPLEMENTATION, IMPLEMENTATION_NAME, "REMOVED", "MODIFIED")
)
"""Every text written here."""


def file_of(header: Dataset, transfer_syntax: str, rules: Rules) -> FileDataset:
    """The header with what the rules did to it, as the beginning of a file."""
    header.DeidentificationMethod = [PROGRAM, PROFILE]
    header.DeidentificationMethodCodeSequence = Sequence(concept("DCM", code, CODES[code]) for code in codes_of(rules))
    header.LongitudinalTemporalInformationModified = "MODIFIED" if rules.shift_dates else "REMOVED"
    if any(not str(element.value).isascii() for element in header if element.VR in {"LO", "SH"}):  # a device's name that was retained
        header.SpecificCharacterSet = "ISO_IR 192"
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID, meta.ImplementationVersionName = IMPLEMENTATION, IMPLEMENTATION_NAME
    return FileDataset("", header, preamble=bytes(128), file_meta=meta)


def codes_of(rules: Rules) -> list[str]:
    """What the header's cleaning alone may claim."""
    options = (("113107", rules.shift_dates), ("113108", rules.retain_characteristics), ("113109", rules.retain_device))
    return ["113100", *(code for code, chosen in options if chosen)]


def confirm(dataset: Dataset, verdict: Verdict) -> None:
    """State in a dataset from `clean` that its pixels were cleaned; called by the one function that holds the gate's verdict.

    Raises ValueError for a dataset that was not cleaned.
    """
    sequence = dataset.get("DeidentificationMethodCodeSequence")
    if not sequence or sequence[0].CodeValue != "113100":
        raise ValueError("only a header that was cleaned can be confirmed")
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = [PROGRAM, PROFILE, f"Model {verdict.model}"]
    dataset.DeidentificationMethodCodeSequence = Sequence(
        [sequence[0], concept("DCM", "113101", CODES["113101"]), *(item for item in sequence[1:] if item.CodeValue != "113101")]
    )
    dataset.BurnedInAnnotation = "NO"


def concept(scheme: str, value: str, meaning: str) -> Dataset:
    """An item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item
