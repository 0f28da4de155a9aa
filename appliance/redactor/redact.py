"""The whole idea on one page: bytes in, redacted and verified bytes and a report out."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.errors import BadFile
from appliance.formats import Limits, Picture, open_picture, sniff
from appliance.formats.signatures import FILMS, HEAD
from appliance.redactor import Progress, ignore
from appliance.redactor.detector import Detector, Sight
from appliance.redactor.room import Share
from appliance.redactor.stages import Stages
from appliance.redactor.verify import left_over
from appliance.types import Header, Mask, Report

GROW_FROM = 3
"""What the second look adds is taken as it is; from here on with a cell around it, so that looking ends."""

MOST_LOOKS = 8
"""After so many looks a picture that still shows text is refused. Of the 50 evaluation pictures 47 need two, the others three."""


def redact(
    data: bytes,
    detector: Detector,
    limits: Limits,
    progress: Progress = ignore,
    share: Share | None = None,
    header: Header | None = None,
) -> tuple[bytes, Report]:
    """Remove all text from a picture file and everything from the file that is not needed to show it.

    data : the whole file
    progress : told how many pages were looked at for the first time, of how many; the same again after every later stage
    share : what the file may take where others are in work
    header : who a DICOM file is from here on; without it none is taken
    Returns the finished file, which was read back and found free of text, and the report of what was done.
    Raises BadFile when the file cannot be released, DeviceLost when the engine failed, MustRunAlone when its share is too
    small, before anything was decoded or looked at.
    """
    kind = sniff(data[:HEAD])
    if kind in FILMS:
        from appliance.redactor.redact_film import redact_film  # so are its libraries, and they may be absent

        return redact_film(data, kind, detector, limits, progress, share or Share())
    if kind == "dicom":
        from appliance.redactor.redact_dicom import redact_dicom  # its libraries are large

        return redact_dicom(data, detector, limits, progress, share or Share(), header)
    done = total = 0
    stages = Stages(lambda: progress(done, total))
    with stages("read"):
        share = share or Share()
        picture = open_picture(data, limits, share.memory)
        share.tiles(sum(detector.tiles(page) for page in picture.pages))
    total = len(picture.pages)
    with detector.sight() as sight:
        masks = []
        for page in picture.pages:
            masks.append(sight.look(page, stages))
            done = len(masks)
        finished, agreed, looks = freed(picture, masks, sight, stages)
    return finished, Report(picture.format, tuple(agreed), looks, tuple(picture.notes), stages.ms)


def freed(picture: Picture, masks: Sequence[Mask], sight: Sight, stages: Stages) -> tuple[bytes, Sequence[Mask], int]:
    """Cover what was found, read back and look again, until no text is seen: the finished picture, its masks, the number of looks.

    masks : what the first look found, one a page
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
