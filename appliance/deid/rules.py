"""What becomes of one attribute: the IOD's type, the table's action and the options meet here. Nothing here looks at a value."""

from __future__ import annotations

from typing import Literal

from appliance.deid.iods import Attribute
from appliance.deid.table import Row, row_of
from appliance.deid.terms import listed
from appliance.deid.values import Rules

Fate = Literal["keep", "new uid", "shift", "empty", "dummy", "drop"]
"""keep: if its value is a number, a word of the standard, a date or an age; shift: a date moves; empty: a value of zero length;
dummy: a value that says nothing; drop: not written."""

NEVER = listed(
    """BurnedInAnnotation RecognizableVisualFeatures PatientIdentityRemoved DeidentificationMethod DeidentificationMethodCodeSequence
    LongitudinalTemporalInformationModified SpecificCharacterSet PixelData DigitalSignaturesSequence MACParametersSequence
    EncryptedAttributesSequence OriginalAttributesSequence PixelDataProviderURL ExtendedOffsetTable ExtendedOffsetTableLengths
    PixelPaddingValue PixelPaddingRangeLimit SmallestImagePixelValue LargestImagePixelValue PatientBodyMassIndex
    PatientAlternativeCalendar"""
)
"""Statements that are made anew, of which the source's word is not taken; ciphers and checks of what is gone; what blackened pixels
change; and of the patient what the table does not name."""

CHARACTERISTICS = frozenset({"PatientSex", "PatientAge", "PatientSize", "PatientWeight"})
DEVICE = listed(
    """Manufacturer ManufacturerModelName SoftwareVersions SecondaryCaptureDeviceManufacturer SecondaryCaptureDeviceManufacturerModelName
    SecondaryCaptureDeviceSoftwareVersions"""
)
"""What names the device and is not in the table, which holds it harmless; it stays with the device's identity only."""

NUMBERS = frozenset({"US", "SS", "UL", "SL", "FL", "FD", "US or SS"})
DECIMALS = frozenset({"DS", "IS"})
LUTS = frozenset({"OW", "US or OW"})
TIMES = frozenset({"DA", "DT", "TM"})
TEXTS = frozenset({"LO", "SH"})
MAY_STAY = NUMBERS | DECIMALS | LUTS | {"CS", "AT", "SQ", "UI"}

MODIFIED_DATES, DEVICE_IDENTITY = "retain_longitudinal_modified_dates", "retain_device_identity"
"""The table's names for the options."""

ANYTHING = "X/Z/D"
"""The action for an attribute that is not in the table but may hold text: whichever leaves the IOD whole."""


def fate(attribute: Attribute, rules: Rules) -> Fate:
    """What becomes of an attribute that the source has."""
    row = row_of(attribute.tag)
    if attribute.keyword in NEVER:
        return "drop"
    if row is not None and rules.shift_dates and row.options.get(MODIFIED_DATES) == "C" and attribute.vr in TIMES:
        return "shift"
    if _retained(attribute, row, rules):
        return "keep"
    if row is None:
        stays = attribute.vr in MAY_STAY
        return removed(ANYTHING, attribute.type) if not stays else "new uid" if attribute.vr == "UI" else "keep"
    if "U" in row.basic:
        return "new uid" if attribute.vr == "UI" else "keep"  # U*: the sequence stays, with new UIDs in it
    return removed(row.basic, attribute.type)


def _retained(attribute: Attribute, row: Row | None, rules: Rules) -> bool:
    """Whether an option of the site's keeps it."""
    if rules.retain_characteristics and attribute.keyword in CHARACTERISTICS:
        return True
    named = row.options.get(DEVICE_IDENTITY) == "K" and attribute.vr in TEXTS | {"UI"} if row else attribute.keyword in DEVICE
    return rules.retain_device and named


def removed(basic: str, type_: str) -> Fate:
    """The first of the table's letters that leaves the IOD whole (PS3.15 E.1.1); a Type 2C attribute that was there stays, empty."""
    letters = basic.split("/")
    if type_ == "1" or (type_ == "1C" and "D" in letters):
        return "dummy"
    if type_ in ("2", "2C"):
        return "empty"
    return "drop" if "X" in letters else "empty" if "Z" in letters else "dummy"
