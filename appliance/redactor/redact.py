"""The whole idea on one page: bytes in, redacted and verified bytes and a report out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appliance.errors import BadFile
from appliance.formats import Limits, Picture, open_picture, sniff
from appliance.formats.signatures import HEAD
from appliance.redactor.detector import Detector, Sight
from appliance.redactor.stages import Stages
from appliance.redactor.verify import left_over
from appliance.types import Header, Mask, Report

GROW_FROM = 3
"""What the second look adds is taken as it is; from here on with a cell around it, so that looking ends."""

MOST_LOOKS = 8
"""After so many looks a picture that still shows text is refused. Of the 50 evaluation pictures 47 need two, the others three."""

Progress = Callable[[int, int], None]
"""Called with what is done and how much there is, whenever a part of a long job is over."""


def redact(
    data: bytes, detector: Detector, limits: Limits, header: Header | None = None, progress: Progress = lambda done, total: None
) -> tuple[bytes, Report]:
    """Remove all text from a picture file and everything from the file that is not needed to show it.

    data : the whole file
    header : who a DICOM file is from here on; without it none is taken
    Returns the finished file, which was read back and found free of text, and the report of what was done.
    Raises BadFile when the file cannot be released, DeviceLost when the engine failed; there is no third outcome.
    """
    if sniff(data[:HEAD]) == "dicom":
        from appliance.redactor.redact_dicom import redact_dicom  # its libraries are large

        return redact_dicom(data, detector, limits, header, progress)
    stages = Stages()
    with stages("read"):
        picture = open_picture(data, limits)
    with detector.sight() as sight:
        masks = [sight.look(page, stages) for page in picture.pages]
        finished, masks, looks = freed(picture, masks, sight, stages)
    return finished, Report(picture.format, tuple(masks), looks, tuple(picture.notes), stages.ms)


def freed(picture: Picture, masks: Sequence[Mask], sight: Sight, stages: Stages) -> tuple[bytes, Sequence[Mask], int]:
    """Cover what was found, read back, look again, until no text is seen: the finished picture, its masks, the number of looks.

    Raises BadFile, DeviceLost.
    """
    for looks in range(2, MOST_LOOKS + 1):
        with stages("rewrite"):
            finished = picture.rewrite(masks)
        more = left_over(picture, finished, masks, sight, stages)
        if not any(mask.cells.any() for mask in more):
            return finished, masks, looks
        masks = [mask.union(extra.grown() if looks >= GROW_FROM else extra) for mask, extra in zip(masks, more, strict=True)]
    raise BadFile("text-left", f"text was still seen after {MOST_LOOKS} looks; look at the picture and cover the text by hand")
