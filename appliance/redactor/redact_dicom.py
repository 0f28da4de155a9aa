"""DICOM, header and pixels in one step: a new header, every frame freed of text, one file that was read back whole."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmread, dcmwrite
from pydicom.dataset import FileDataset
from pydicom.uid import UID

from appliance import deid
from appliance.detect.agree import agree
from appliance.errors import BadFile
from appliance.formats import Limits, Picture
from appliance.formats.dicom import Frames, open_frames, read_header, reread
from appliance.formats.dicom.dataset import Header as Elements
from appliance.formats.dicom.dataset import guarded
from appliance.redactor import Progress
from appliance.redactor.detector import Detector, Sight
from appliance.redactor.redact import freed
from appliance.redactor.room import Share
from appliance.redactor.stages import Stages
from appliance.types import Header, Mask, Report

SAMPLE = 3
"""Bytes a pixel by which a deflated file's room is reckoned, besides its header."""
ROOM_FOR_HEADER = 16 * 2**20

KEPT_PIXELS, KEPT_BYTES = 32_000_000, 6
"""Pixels of frames that stay opened between the first look and the rewriting, and bytes they may take; frames beyond are opened once
more."""

NO_HEADER = "DICOM files are not taken here: nothing says under which number"


@dataclass
class _Sequence:
    """A file's frames on their way through the two passes."""

    frames: Frames
    sight: Sight
    stages: Stages
    told: list[int]
    """What was looked at for the first time, of how many."""

    def free(self) -> tuple[list[bytes], list[Mask], int, set[str]]:
        """Every frame freed of text: the frames as they are written, masks, the most looks that one needed, remarks.

        Raises BadFile, DeviceLost.
        """
        count = len(self.frames)
        kept: dict[int, Picture] = {}
        masks, finished, most, notes = [], [], 0, set[str]()
        room = KEPT_PIXELS // (self.frames.image.rows * self.frames.image.columns)
        for index in range(count):
            picture = self._open(index)
            masks.append(self.sight.look(picture.pages[0], self.stages))
            notes.update(picture.notes)
            if index < room:
                kept[index] = picture
            self.told[0] = index + 1
        masks = agree(masks)
        for index in range(count):
            picture = kept.pop(index) if index in kept else self._open(index)
            if count > 1:
                self.sight.show(picture.pages[0], self.stages)
            frame, (masks[index],), looks = freed(picture, [masks[index]], self.sight, self.stages)
            finished.append(self.frames.padded(frame))
            most = max(most, looks)
        return finished, masks, most, notes

    def _open(self, index: int) -> Picture:
        with self.stages("read"):
            return self.frames.open(index)


def redact_dicom(
    data: bytes, detector: Detector, limits: Limits, progress: Progress, share: Share, header: Header | None
) -> tuple[bytes, Report]:
    """See redact.redact."""
    if header is None:
        raise BadFile("unsupported", NO_HEADER)
    told = [0, 0]
    stages = Stages(lambda: progress(*told))
    with stages("header"):
        elements = read_header(data, SAMPLE * limits.max_pixels + ROOM_FOR_HEADER)
        with guarded():
            cleaned = deid.clean(elements.dataset, _rules(header), _identity(header, elements))
    with stages("read"):
        frames = open_frames(elements, limits)
        told[1] = len(frames)
        share.memory(2 * len(elements.data) + frames.memory + KEPT_PIXELS * KEPT_BYTES)
        share.tiles(len(frames) * detector.tiles(frames.open(0).pages[0]))
    with detector.sight() as sight:
        parts, masks, looks, notes = _Sequence(frames, sight, stages, told).free()
    verdict = deid.Verdict(detector.engine.info.model, looks)
    with stages("header"):
        finished = b"".join([_released(cleaned.dataset, frames, verdict), *frames.joined(parts)])
    with stages("verify"):
        _check(finished, cleaned, frames, parts)
    remarks = (*elements.notes, *frames.notes, *cleaned.notes, *sorted(notes))
    return finished, Report("dicom", tuple(masks), looks, tuple(dict.fromkeys(remarks)), stages.ms)


def _rules(header: Header) -> deid.Rules:
    uids: deid.UidScope = "box" if header.uids == "box" else "examination"
    return deid.Rules(header.retain_characteristics, header.retain_device, header.shift_dates, uids)


def _identity(header: Header, elements: Elements) -> deid.Identity:
    """Where no examination gives a number, each patient of the source gets one of its own, so that a PACS does not merge them."""
    number = header.number
    if not number:
        patient = "\0".join(str(elements.dataset.get(keyword) or "") for keyword in ("PatientID", "IssuerOfPatientID", "PatientName"))
        digest = hmac.new(header.secret, patient.encode("utf-8", "replace"), hashlib.sha256).digest()
        number = f"E{int.from_bytes(digest[:8], 'big') % 10**12:012}"
    return deid.Identity(number, header.index, header.secret)


def _released(dataset: FileDataset, frames: Frames, verdict: deid.Verdict) -> bytes:
    """The file up to its pixel data, with what the gate's verdict entitles it to say. The only caller of deid.confirm."""
    deid.confirm(dataset, verdict)
    image, syntax = frames.result, frames.written
    dataset.file_meta.TransferSyntaxUID = UID(syntax.result)
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = image.rows, image.columns, image.samples
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = image.allocated, image.stored, image.stored - 1
    dataset.PixelRepresentation, dataset.PhotometricInterpretation = int(image.signed), image.photometric
    if image.samples > 1:
        dataset.PlanarConfiguration = image.planar
    if image.frames > 1 or "NumberOfFrames" in dataset:
        dataset.NumberOfFrames = image.frames
    for keyword in ("PixelPaddingValue", "SmallestImagePixelValue", "LargestImagePixelValue"):
        dataset.pop(keyword, None)  # the black cells are not in them
    stream = BytesIO()
    dcmwrite(stream, dataset, implicit_vr=syntax.is_implicit, little_endian=True, enforce_file_format=True)
    return stream.getvalue()


def _check(finished: bytes, cleaned: deid.Cleaned, frames: Frames, parts: Sequence[bytes]) -> None:
    """Read the whole file back: its frames must be those that passed the gate, to the byte, and no text of the source be in it.

    Raises BadFile("not-faithful").
    """
    try:
        if reread(finished, frames) != list(parts):
            raise BadFile("not-faithful", "the finished DICOM file's frames are not those that were checked")
        again = dcmread(BytesIO(finished), stop_before_pixels=True)
    except BadFile as error:
        raise BadFile("not-faithful", f"the finished DICOM file cannot be read: {error.reason}") from error
    if again.SOPInstanceUID != again.file_meta.MediaStorageSOPInstanceUID:
        raise BadFile("not-faithful", "the finished DICOM file has two instance UIDs")
    deid.check(cleaned, finished)
