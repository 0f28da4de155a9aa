# mypy: disallow-subclassing-any=False, warn-unused-ignores=False, warn-return-any=False
"""EAST's losses: dice and weighted cross-entropy on the score, IoU and angle on the geometry."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

HARD_NEGATIVES = 3  # times as many of the worst cells without text as there are cells with text
FEWEST_NEGATIVES = 2048


@dataclass(frozen=True)
class Losses:
    """Scalars; total is what is minimised."""

    total: Tensor
    dice: Tensor
    cross: Tensor
    overlap: Tensor
    angle: Tensor


def score_losses(logits: Tensor, score: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """(dice, weighted cross-entropy) over a batch; all (n, h, w). Dice is taken over the whole batch, so that crops without text
    speak too; the cross-entropy of the text-free cells is that of the worst ones."""
    probability = torch.sigmoid(logits)
    both = (probability * score * weight).sum()
    dice = 1 - (2 * both + 1) / ((probability * weight).sum() + (score * weight).sum() + 1)
    each = F.binary_cross_entropy_with_logits(logits, score, reduction="none") * weight
    text = score > 0
    count = int(text.sum())
    on_text = each[text].sum() / weight[text].sum() if count else each.sum() * 0
    off = each[~text]
    worst = torch.topk(off, min(off.numel(), max(FEWEST_NEGATIVES, HARD_NEGATIVES * count))).values.mean()
    return dice, on_text + worst + off.mean()


def geometry_losses(found: Tensor, wanted: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """(-log IoU, 1 - cos of the angle's error), weighted means over text cells; found, wanted (cells, 5), weight (cells,)."""
    if found.shape[0] == 0:
        nothing = found.sum() * 0
        return nothing, nothing
    f_top, f_right, f_bottom, f_left, f_angle = found.unbind(1)
    w_top, w_right, w_bottom, w_left, w_angle = wanted.unbind(1)
    height = torch.minimum(f_top, w_top) + torch.minimum(f_bottom, w_bottom)
    width = torch.minimum(f_right, w_right) + torch.minimum(f_left, w_left)
    shared = height * width
    union = (f_top + f_bottom) * (f_left + f_right) + (w_top + w_bottom) * (w_left + w_right) - shared
    overlap = -torch.log((shared + 1) / (union + 1))
    turned = 1 - torch.cos(f_angle - w_angle)
    return (overlap * weight).sum() / weight.sum(), (turned * weight).sum() / weight.sum()


def east_losses(logits: Tensor, geometry: Tensor, score: Tensor, weight: Tensor, wanted: Tensor) -> Losses:
    """All of them; logits (n, 1, h, w), geometry and wanted (n, 5, h, w), score and weight (n, h, w)."""
    dice, cross = score_losses(logits[:, 0], score, weight)
    text = (score > 0) & (weight > 0)
    found = geometry.permute(0, 2, 3, 1)[text]
    overlap, angle = geometry_losses(found, wanted.permute(0, 2, 3, 1)[text], weight[text])
    return Losses(dice + 0.5 * cross + 0.3 * overlap + 3.0 * angle, dice, cross, overlap, angle)
