"""Masks agreed over the frames of a sequence: overlays stand still, so what was seen in one frame is covered in its neighbours too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from appliance.types import Cells, Mask

ALIKE = 0.5
"""Two frames are of one layout when so much of the smaller one's text is the other's too."""

REACH = 12
"""Frames, each way, over which text that only some frames of a run show is covered: half a second of film at 25 frames a second."""


def agree(masks: Sequence[Mask]) -> list[Mask]:
    """The masks, each joined with those of its neighbours of the same layout.

    masks : one a frame, in the order they are shown
    A frame without text lies between layouts and belongs to the run that goes on behind it. Masks on another grid end a run.
    """
    agreed: list[Mask] = []
    for run in runs(masks):
        agreed += _joined(masks[run])
    return agreed


def runs(masks: Sequence[Mask]) -> list[slice]:
    """Where one layout begins and ends."""
    found, start, last = [], 0, None
    for index, mask in enumerate(masks):
        changed = index > start and (mask.size, mask.cell) != (masks[start].size, masks[start].cell)
        if changed or (last is not None and mask.cells.any() and not _alike(last, mask.cells)):
            found.append(slice(start, index))
            start, last = index, None
        if mask.cells.any():
            last = mask.cells
    return [*found, slice(start, len(masks))] if masks else []


def _alike(one: Cells, other: Cells) -> bool:
    smaller = min(int(one.sum()), int(other.sum()))
    return int((one & other).sum()) >= ALIKE * smaller


def _joined(masks: Sequence[Mask]) -> list[Mask]:
    """Each mask with those within REACH, by running sums so that long runs cost no more a frame than short ones."""
    cells = np.stack([mask.cells for mask in masks]) if masks else np.zeros((0, 0, 0), np.bool_)
    count = np.zeros(cells.shape[1:], np.int32)
    joined = []
    for index in range(-REACH, len(masks)):
        if index + REACH < len(masks):
            count += cells[index + REACH]
        if index - REACH - 1 >= 0:
            count -= cells[index - REACH - 1]
        if index >= 0:
            joined.append(Mask(count > 0, masks[0].cell, masks[0].size))
    return joined
