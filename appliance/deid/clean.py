"""Builds the new header from the old one: walks the IOD, not the file, and takes from the file what the rules let stay."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID

from appliance.deid import convert, statement, terms
from appliance.deid.iods import Attribute, attributes_of, sop_classes
from appliance.deid.rules import ANYTHING, DECIMALS, LUTS, NUMBERS, TEXTS, TIMES, Fate, fate, removed
from appliance.deid.search import strings_of
from appliance.deid.uids import WELL_KNOWN, days_back, new_uid
from appliance.deid.values import Cleaned, Identity, Rules
from appliance.errors import BadFile

DUMMIES = {"DA": "19000101", "DT": "19000101000000", "TM": "000000"} | dict.fromkeys(
    ("PN", "LO", "SH", "ST", "LT", "UT", "UC"), "ANONYMIZED"
)
"""What a Type 1 attribute holds that must not be empty, by VR (PS3.15 E.1.1, D); one of another VR is left out."""

FRAME_POINTERS = {tag_for_keyword(keyword) for keyword in ("FrameTime", "FrameTimeVector", "PageNumberVector", "SliceLocationVector")}
"""What a Frame Increment Pointer may point to: a pointer is 32 bits of anybody's choice otherwise."""

DEVICE_UIDS = frozenset({"DeviceUID", "ManufacturerDeviceClassUID"})


def clean(source: Dataset, rules: Rules, identity: Identity) -> Cleaned:
    """A new dataset with what the source's IOD has and no rule takes out.

    source : as dcmread gives it; it is read, never changed
    Raises BadFile: "unsupported" for a SOP class that is not a picture's or a film's, "damaged" for sequences nested too deep.
    """
    sop_class = _sop_class(source)
    strings, runs = strings_of(source)
    made = _Maker(rules, identity)
    header = made.header(source, sop_class)
    own = frozenset(value.encode() for value in made.own) | statement.OWN
    told = frozenset(value.encode() for value in made.kept) | own | terms.words()
    dataset = statement.file_of(header, _transfer_syntax(source), rules)
    return Cleaned(dataset, strings - told, runs - told, own, tuple(made.notes))


def _sop_class(source: Dataset) -> str:
    found = str(source.get("SOPClassUID") or _meta(source).get("MediaStorageSOPClassUID") or "")
    if not found:
        raise BadFile("unsupported", "the DICOM file does not say what it is (it has no SOP Class UID)")
    if found not in sop_classes():
        name = UID(found).name
        raise BadFile(
            "unsupported", f"the DICOM file is no picture or film that this box handles{f', but {name}' if name != found else ''}"
        )
    return found


def _meta(source: Dataset) -> Dataset:
    return getattr(source, "file_meta", None) or Dataset()


def _transfer_syntax(source: Dataset) -> str:
    return str(_meta(source).get("TransferSyntaxUID") or "1.2.840.10008.1.2")  # PS3.5 10: the default where none is named


class _Maker:
    """One file's new header, element by element.

    own : values that were made here
    kept : values of the source that stay
    """

    def __init__(self, rules: Rules, identity: Identity) -> None:
        self.rules, self.identity = rules, identity
        self.days = datetime.timedelta(days_back(identity.secret, identity.number))
        self.own: set[str] = {identity.number, *DUMMIES.values()}
        self.kept: set[str] = set()
        self.notes: list[str] = []

    def header(self, source: Dataset, sop_class: str) -> Dataset:
        attributes = attributes_of(sop_class)
        made = self._level(source, attributes.values())[0]
        made.SOPClassUID = sop_class
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):  # a file without one still has a place
            if not made.get(keyword):
                place = f"/{self.identity.index}" if keyword == "SOPInstanceUID" else ""
                setattr(made, keyword, self._new_uid(f"{keyword}/{self.identity.number}{place}"))
        made.PatientName = made.PatientID = self.identity.number
        for attribute in attributes.values():
            if attribute.mandatory and attribute.type == "2" and attribute.tag not in made:
                made.add(convert.element(attribute, attribute.vr.split(" ")[0], []))
        return made

    def _level(self, source: Dataset, attributes: Iterable[Attribute]) -> tuple[Dataset, bool]:
        """What stays of a dataset or an item, and whether a Type 1 attribute that it had was lost."""
        made, lost, present = Dataset(), False, source.keys()
        for attribute in attributes:
            if attribute.tag not in present:
                continue
            element = self._element(source, attribute, fate(attribute, self.rules))
            if element is not None:
                made.add(element)
            elif attribute.type == "1":
                lost = True
        return made, lost

    def _element(self, source: Dataset, attribute: Attribute, decided: Fate) -> DataElement | None:
        if decided in ("keep", "new uid", "shift"):
            values = self._values(source, attribute)
            if values:
                return convert.element(attribute, convert.vr_to_write(attribute, source), values)
            decided = removed(ANYTHING, attribute.type)  # nothing in it may stay
        if decided == "empty":
            return convert.element(attribute, convert.vr_to_write(attribute, source), [])
        return self._dummy(attribute) if decided == "dummy" else None

    def _dummy(self, attribute: Attribute) -> DataElement | None:
        if attribute.keyword in terms.INSTEAD:
            return convert.element(attribute, attribute.vr, terms.INSTEAD[attribute.keyword])
        return convert.element(attribute, attribute.vr, DUMMIES[attribute.vr]) if attribute.vr in DUMMIES else None

    def _values(self, source: Dataset, attribute: Attribute) -> list[Any]:
        """Those values of an attribute that may stay, as they are written; [] for none."""
        if attribute.vr == "SQ":
            return self._items(source, attribute)
        values = convert.values_of(source, attribute)
        if attribute.vr in NUMBERS or attribute.vr in LUTS:
            return values if attribute.vr not in LUTS else values[:1]
        if attribute.vr == "AT":
            return values if all(value in FRAME_POINTERS for value in values) else []
        if attribute.vr == "CS":
            return self._words(attribute, values)
        stay = [self._value(attribute, value) for value in values]
        return [value for value in stay if value is not None] if None not in stay else []

    def _value(self, attribute: Attribute, value: str) -> str | None:
        if attribute.vr in DECIMALS:
            return self._kept(convert.number(attribute.vr, value))
        if attribute.vr == "UI":
            return self._uid(attribute, value)
        if attribute.vr in TIMES:
            return self._earlier(attribute.vr, value)
        if attribute.vr == "AS":
            return self._kept(value if convert.AGE.fullmatch(value) else None)
        return self._kept(convert.text(value) or None) if attribute.vr in TEXTS else None

    def _kept(self, value: str | None) -> str | None:
        if value is not None:
            self.kept.add(value)
        return value

    def _words(self, attribute: Attribute, values: list[str]) -> list[str]:
        """Up to the first that is not the standard's: what comes later has its meaning by its place."""
        stay: list[str] = []
        for value in values:
            if not terms.allowed(attribute.keyword, value):
                break
            stay.append(value)
        return stay if len(stay) >= terms.FEWEST.get(attribute.keyword, 1) else []

    def _uid(self, attribute: Attribute, value: str) -> str | None:
        if not convert.UID.fullmatch(value):
            return None
        if self.rules.retain_device and attribute.keyword in DEVICE_UIDS:
            return self._kept(value)
        return value if value.startswith(WELL_KNOWN) else self._new_uid(value)

    def _new_uid(self, value: str) -> str:
        made = new_uid(self.identity.secret, value)
        self.own.add(made)
        return made

    def _earlier(self, vr: str, value: str) -> str | None:
        """A date by the examination's days; times of the day stay, since all files move by whole days."""
        if vr == "TM":
            return self._kept(value) if convert.TIME.fullmatch(value) else None
        found = (convert.DATE if vr == "DA" else convert.DATE_TIME).fullmatch(value)
        if not found:
            return None
        day, rest = ("".join(found.groups()), "") if vr == "DA" else (found[1], found[2])
        try:
            moved = f"{datetime.datetime.strptime(day, '%Y%m%d').date() - self.days:%Y%m%d}{rest}"
        except (ValueError, OverflowError):
            return None
        self.own.add(moved)
        return moved

    def _items(self, source: Dataset, attribute: Attribute) -> list[Dataset]:
        """A sequence's items; one that cannot stay whole does not stay at all."""
        sequence = source[attribute.tag].value
        made = [self._concept(item) if attribute.is_concept else self._item(item, attribute) for item in sequence or ()]
        return [item for item in made if item is not None]

    def _item(self, item: Dataset, attribute: Attribute) -> Dataset | None:
        made, lost = self._level(item, attribute.items.values())
        return made if len(made) and not lost else None

    def _concept(self, item: Dataset) -> Dataset | None:
        """A coded concept with the standard's own meaning, whatever the source says that it means."""
        scheme, value = (str(item.get(keyword) or "") for keyword in ("CodingSchemeDesignator", "CodeValue"))
        meaning = terms.codes().get(scheme, {}).get(value)
        return statement.concept(scheme, value, meaning) if meaning else None
