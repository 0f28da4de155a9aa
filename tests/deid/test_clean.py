"""The header's cleaning: nothing of the source but what the standard itself could have said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from dicoms import ENDOSCOPIC, SECONDARY, ULTRASOUND, as_file, endoscopic, planted, read_again, written
from pydicom import Dataset
from pydicom.sequence import Sequence

from appliance.deid import Cleaned, Identity, Rules, Verdict, check, clean, confirm
from appliance.deid.document import document
from appliance.deid.table import DATA, EDITION, rows
from appliance.errors import BadFile

ROOT = Path(__file__).parents[2]
IDENTITY = Identity("E000123", "0001", b"k" * 32)
VERDICT = Verdict("903783d37baf", 2)


def finished(cleaned: Cleaned, pixels: bytes = bytes(768)) -> bytes:
    cleaned.dataset.add_new(0x7FE00010, "OB", pixels)
    return written(cleaned.dataset)


def test_two_transcriptions_of_the_table_agree() -> None:
    (second,) = Path(__file__).parent.glob("second_*.json")
    other = json.loads(second.read_text())
    ours = {tag: row.basic for tag, row in rows().items()}
    shared = ours.keys() & other.keys()
    assert len(shared) > 640
    assert {tag for tag in shared if ours[tag] != other[tag]} == set()
    assert sum(tag.isalnum() and "x" not in tag and tag != "PRIVATE" for tag in ours.keys() - other.keys()) <= 1  # 2026d has one more
    assert other.keys() - ours.keys() == set()


def test_the_edition_is_in_the_name_and_in_the_data() -> None:
    assert json.loads((DATA / f"ps315_{EDITION}.json").read_text())["source"]["edition"] == EDITION


def test_the_conformance_statement_is_of_these_tables() -> None:
    assert (ROOT / "deploy" / "docs" / "dicom-conformance.md").read_text() == document()


@pytest.mark.parametrize("again", [read_again, lambda dataset: dataset], ids=["from a file", "looked at before"])
def test_no_marker_is_left(again: Callable[[Dataset], Dataset]) -> None:
    source, places = planted()
    cleaned = clean(again(source), Rules(), IDENTITY)
    confirm(cleaned.dataset, VERDICT)
    result = finished(cleaned)
    assert [place for marker, place in places.items() if marker in result or marker.decode().encode("utf-16-le") in result] == []
    assert len(places) > 700
    check(cleaned, result)


def test_every_marker_is_searched_for() -> None:
    """Also where a rule would forget it: the search gathers for itself."""
    source, places = planted()
    cleaned = clean(read_again(source), Rules(), IDENTITY)
    sought = cleaned.strings | cleaned.runs
    assert [place for marker, place in places.items() if not any(marker in text for text in sought)] == []


def test_the_source_stays_as_it_was() -> None:
    source = endoscopic()
    before = written(source)
    clean(source, Rules(), IDENTITY)
    assert written(source) == before


@pytest.mark.parametrize(
    "leak",
    [
        lambda made: setattr(made, "StudyDescription", "of Zacarias"),
        lambda made: setattr(made, "StudyDate", "20261123"),
        lambda made: setattr(made, "AcquisitionDateTime", "20261123101112.5"),
        lambda made: setattr(made, "PatientComments", "see PX-778899"),
        lambda made: setattr(made.file_meta, "SourceApplicationEntityTitle", "RAUMDREI"),
        lambda made: setattr(made, "SeriesInstanceUID", "1.2.276.0.7230010.3.1.3.33"),
        lambda made: made.add_new((0x0028, 0x1201), "OW", b"Zacarias"),
    ],
)
def test_a_text_of_the_source_in_the_header_is_not_released(leak: Callable[[Dataset], None]) -> None:
    cleaned = clean(read_again(endoscopic()), Rules(), IDENTITY)
    leak(cleaned.dataset)
    with pytest.raises(BadFile) as caught:
        check(cleaned, finished(cleaned))
    assert caught.value.code == "not-faithful"
    assert "Zacarias" not in caught.value.reason


@pytest.mark.parametrize("offset", range(5))
def test_a_text_of_the_source_in_the_pixel_data_is_not_released(offset: int) -> None:
    cleaned = clean(read_again(endoscopic()), Rules(), IDENTITY)
    with pytest.raises(BadFile) as caught:
        check(cleaned, finished(cleaned, bytes(100 + offset) + b"Zacarias" + bytes(50)))
    assert caught.value.code == "not-faithful"


def test_what_pixels_look_like_by_chance_is_no_text() -> None:
    """A grey wedge holds "12345678", and a flat field "AAAAAAAA"."""
    source = endoscopic(PatientID="12345678", StudyID="AAAAAAAA", ReferringPhysicianName="ABCDEFGH")
    cleaned = clean(read_again(source), Rules(), IDENTITY)
    check(cleaned, finished(cleaned, bytes(range(256)) + b"A" * 256))


def test_measured_values_that_look_like_a_short_number_are_no_text() -> None:
    source = endoscopic(ULTRASOUND, PatientID="1024", MechanicalIndex="1024")
    cleaned = clean(read_again(source), Rules(), IDENTITY)
    assert cleaned.dataset.MechanicalIndex == 1024
    check(cleaned, finished(cleaned))


def test_the_patient_is_the_examinations_number() -> None:
    made = clean(endoscopic(), Rules(), IDENTITY).dataset
    assert (made.PatientName, made.PatientID) == ("E000123", "E000123")
    assert [made[keyword].is_empty for keyword in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyID", "AccessionNumber")] == [
        True
    ] * 5
    assert made.preamble == bytes(128)


def test_uids_hold_together_in_one_examination_and_not_between_two() -> None:
    first, second = (clean(endoscopic(SOPInstanceUID=f"1.2.3.4444.{n}"), Rules(), IDENTITY).dataset for n in (1, 2))
    other = clean(endoscopic(), Rules(), Identity("E000124", "0001", b"j" * 32)).dataset
    assert first.StudyInstanceUID == second.StudyInstanceUID != other.StudyInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SOPInstanceUID == first.file_meta.MediaStorageSOPInstanceUID
    assert first.StudyInstanceUID.startswith("2.25.") and first.StudyInstanceUID.is_valid
    assert first.SOPClassUID == ENDOSCOPIC


def test_a_reference_leads_to_the_file_it_led_to() -> None:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = ENDOSCOPIC, "1.2.276.0.7230010.3.1.4.11"
    target = clean(endoscopic(), Rules(), IDENTITY).dataset
    made = clean(read_again(endoscopic(SourceImageSequence=Sequence([reference]))), Rules(), IDENTITY).dataset
    assert made.SourceImageSequence[0].ReferencedSOPInstanceUID == target.SOPInstanceUID
    assert made.SourceImageSequence[0].ReferencedSOPClassUID == ENDOSCOPIC


def test_a_file_without_uids_gets_a_place_of_its_own() -> None:
    source = endoscopic()
    del source.StudyInstanceUID, source.SeriesInstanceUID, source.SOPInstanceUID
    first, second = (clean(source, Rules(), Identity("E000123", index, b"k" * 32)).dataset for index in ("0001", "0002"))
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_a_code_keeps_the_standards_meaning_and_an_unknown_one_goes() -> None:
    known, unknown = Dataset(), Dataset()
    known.CodeValue, known.CodingSchemeDesignator, known.CodeMeaning = "69695003", "SCT", "Zacarias' stomach"
    unknown.CodeValue, unknown.CodingSchemeDesignator, unknown.CodeMeaning = "Z1", "99HOUSE", "room 3"
    made = clean(read_again(endoscopic(AnatomicRegionSequence=Sequence([known, unknown]))), Rules(), IDENTITY).dataset
    assert [item.CodeMeaning for item in made.AnatomicRegionSequence] == ["Stomach"]


def test_regions_of_an_ultrasound_picture_stay() -> None:
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0, region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 1, 2, 3, 4
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 2
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = 0.0125
    made = clean(read_again(endoscopic(ULTRASOUND, SequenceOfUltrasoundRegions=Sequence([region]))), Rules(), IDENTITY).dataset
    assert made.SequenceOfUltrasoundRegions[0].PhysicalDeltaX == 0.0125


def test_characteristics_stay_only_when_they_are_to() -> None:
    plain, retained = (clean(read_again(endoscopic()), Rules(retain_characteristics=on), IDENTITY).dataset for on in (False, True))
    assert (retained.PatientSex, retained.PatientAge, retained.PatientSize) == ("M", "059Y", 1.83)
    assert not plain.PatientSex and "PatientAge" not in plain and "PatientSize" not in plain
    assert [item.CodeValue for item in retained.DeidentificationMethodCodeSequence] == ["113100", "113108"]


def test_the_device_stays_only_when_it_is_to() -> None:
    plain, retained = (clean(read_again(endoscopic()), Rules(retain_device=on), IDENTITY) for on in (False, True))
    made = retained.dataset
    assert (made.Manufacturer, made.SoftwareVersions, made.DeviceSerialNumber) == ("Kamerawerk", "7.7.7-beta", "SN-4711-0815")
    assert not plain.dataset.Manufacturer and "DeviceSerialNumber" not in plain.dataset
    check(retained, finished(retained))


def test_a_devices_name_in_another_alphabet_stays_readable() -> None:
    source = read_again(endoscopic(SpecificCharacterSet="ISO_IR 144", ManufacturerModelName="Эндоскоп"))
    made = clean(source, Rules(retain_device=True), IDENTITY)
    confirm(made.dataset, VERDICT)
    assert read_again(made.dataset).ManufacturerModelName == "Эндоскоп"


def test_shifted_dates_move_by_whole_days_together_and_the_source_is_not_found() -> None:
    made = clean(read_again(endoscopic()), Rules(shift_dates=True), IDENTITY)
    study = made.dataset.StudyDate
    assert study == made.dataset.ContentDate == made.dataset.AcquisitionDateTime[:8] and "20161101" < study < "20251201"
    assert made.dataset.StudyTime == "101112" and made.dataset.LongitudinalTemporalInformationModified == "MODIFIED"
    assert not made.dataset.PatientBirthDate
    check(made, finished(made))
    other = clean(endoscopic(), Rules(shift_dates=True), Identity("E000124", "0001", IDENTITY.secret)).dataset
    assert other.StudyDate != study


def test_the_statement_says_no_more_than_was_done() -> None:
    made = clean(read_again(endoscopic(PatientIdentityRemoved="YES", DeidentificationMethod="by hand")), Rules(), IDENTITY).dataset
    assert "PatientIdentityRemoved" not in made and "BurnedInAnnotation" not in made
    assert [item.CodeValue for item in made.DeidentificationMethodCodeSequence] == ["113100"]
    confirm(made, VERDICT)
    confirm(made, VERDICT)  # twice is the same as once
    assert (made.PatientIdentityRemoved, made.BurnedInAnnotation, made.LongitudinalTemporalInformationModified) == ("YES", "NO", "REMOVED")
    assert [item.CodeValue for item in made.DeidentificationMethodCodeSequence] == ["113100", "113101"]
    assert made.DeidentificationMethod[2] == "Model 903783d37baf"


def test_what_was_not_cleaned_cannot_be_confirmed() -> None:
    with pytest.raises(ValueError, match="cleaned"):
        confirm(endoscopic(), VERDICT)


@pytest.mark.parametrize("sop_class", ["1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.104.1", "1.2.3.4"])
def test_what_is_no_picture_is_refused(sop_class: str) -> None:
    with pytest.raises(BadFile) as caught:
        clean(endoscopic(sop_class), Rules(), IDENTITY)
    assert caught.value.code == "unsupported"


def test_sequences_nested_too_deep_are_refused() -> None:
    deepest = Dataset()
    for _ in range(17):
        outer = Dataset()
        outer.ContentSequence = Sequence([deepest])
        deepest = outer
    with pytest.raises(BadFile) as caught:
        clean(read_again(as_file(endoscopic(ContentSequence=Sequence([deepest])))), Rules(), IDENTITY)
    assert caught.value.code == "damaged"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("MechanicalIndex", "Zacarias"),
        ("Rows", "Zacarias"),
        ("ImageType", "Zacarias"),
        ("InstanceNumber", "7 Zacarias"),
        ("FrameTime", "inf"),
    ],
)
def test_a_value_of_the_wrong_kind_does_not_stay(keyword: str, value: str) -> None:
    source = endoscopic(SECONDARY)
    source.add_new(keyword, "LO", value)
    made = clean(read_again(source), Rules(), IDENTITY)
    assert value not in str(made.dataset)
    check(made, finished(made))


def test_the_secret_is_in_no_message() -> None:
    assert "kkk" not in repr(IDENTITY)
