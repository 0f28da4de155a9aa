"""The gate: a finished file is read back as a stranger would read it. The only way out of the redactor leads through here."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.formats import Picture
from appliance.redactor.detector import Sight
from appliance.redactor.stages import Stages
from appliance.types import Mask


def left_over(picture: Picture, finished: bytes, masks: Sequence[Mask], sight: Sight, stages: Stages) -> list[Mask]:
    """Check the finished bytes against the source and look at them once more for text.

    Returns, page by page, the cells in which text is still seen (all False: the file may go out). Cells that are already black
    do not count. Raises BadFile("not-faithful") when the file is not what `masks` promised: another size or mode, a covered cell
    that is not black, an uncovered one that changed, a marker, chunk or tag that is not on the list.
    """
    with stages("verify"):
        reopened = picture.check(finished, masks)
    seen = [sight.look_again(page, stages) for page in reopened.pages]
    return [Mask(found.cells & ~mask.cells, mask.cell, mask.size) for found, mask in zip(seen, masks, strict=True)]
