# mypy: disallow-subclassing-any=False, warn-unused-ignores=False, warn-return-any=False
"""EAST (Zhou et al. 2017, arXiv:1704.03155): a ResNet trunk, a U-shaped merge, a score head and an RBOX geometry head.

One class gives all sizes: `EastSize.slim()`, the network that ships; `EastSize.paper()`, the study's ResNet-50 baseline; and
`EastSize.lean()`, at 0.4 of the slim one's operations. The lean one goes from pixels to 1/4 in one step, so that nothing runs at full or
half resolution, reaches down to 1/64, where one cell sees a letter as tall as the picture, and merges by sums. All convolutions are
followed by batch norm, so an export folds to plain convolutions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 4  # detector pixels a cell of the output maps, each way
MAX_LOG_DISTANCE = 7.0  # exp(7) = 1097 px, longer than any side of the canvas


@dataclass(frozen=True)
class EastSize:
    """How large a network is; stored in every checkpoint. Channels are multiples of 16, the CPU's vector length: others are
    padded to it, and training with 8 corrupts memory in oneDNN (torch 2.13, float32, channels last).

    stem : channels after the first convolution
    stem_stride : 2 for a 3x3 convolution to 1/2, 4 for a 6x6 one to 1/4, whose map is then the merge's last
    widths : channels of the stages, each at half the resolution of what is before it
    blocks : residual blocks a stage
    bottleneck : True for 1x1-3x3-1x1 blocks, whose output is 4 x the width (ResNet-50)
    merge : channels of the merge's steps, the last of them at 1/4
    sums : True where the merge adds the two maps, False where it concatenates them, as the paper does
    """

    stem: int = 16
    stem_stride: int = 2
    widths: tuple[int, ...] = (16, 32, 64, 128)
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    bottleneck: bool = False
    merge: tuple[int, ...] = (64, 32, 32)
    sums: bool = False

    def __post_init__(self) -> None:
        odd = [channels for channels in (self.stem, *self.widths, *self.merge) if channels % 16 or channels <= 0]
        if odd:
            raise ValueError(f"a layer has {odd[0]} channels, must be a multiple of 16")
        if self.stem_stride not in (2, 4):
            raise ValueError(f"the first convolution's stride is {self.stem_stride}, must be 2 or 4")
        steps = len(self.widths) - (self.stem_stride == 2)
        if len(self.blocks) != len(self.widths) or len(self.merge) != steps:
            raise ValueError(f"{len(self.widths)} stages need as many counts of blocks and {steps} steps of the merge to reach 1/4")

    @property
    def multiple(self) -> int:
        """What the sides of the input must be a multiple of: px a cell of the last stage."""
        return int(self.stem_stride * 2 ** len(self.widths))

    @classmethod
    def slim(cls) -> EastSize:
        """The network that ships: about 0.8 M parameters, 2.1 GMAC on a canvas of 960 x 576 px."""
        return cls()

    @classmethod
    def lean(cls) -> EastSize:
        """About 0.7 M parameters, 0.86 GMAC on the same canvas."""
        return cls(stem=32, stem_stride=4, widths=(32, 64, 96, 128), blocks=(1, 1, 1, 1), merge=(96, 64, 32, 16), sums=True)

    @classmethod
    def paper(cls) -> EastSize:
        """The study's size: ResNet-50 trunk, merge of 128, 64 and 32 channels."""
        return cls(stem=64, widths=(64, 128, 256, 512), blocks=(3, 4, 6, 3), bottleneck=True, merge=(128, 64, 32))


class ConvNorm(nn.Sequential):
    """Convolution, batch norm, and ReLU unless told otherwise."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, relu: bool = True) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, size, stride, (size - stride + 1) // 2, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        if relu:
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class Block(nn.Module):
    """Residual block (He et al. 2015), basic or bottleneck; the first of a stage halves the resolution."""

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        outputs = width * 4 if bottleneck else width
        if bottleneck:
            self.body = nn.Sequential(
                ConvNorm(inputs, width, 1), ConvNorm(width, width, 3, stride), ConvNorm(width, outputs, 1, relu=False)
            )
        else:
            self.body = nn.Sequential(ConvNorm(inputs, width, 3, stride), ConvNorm(width, outputs, 3, relu=False))
        same = inputs == outputs and stride == 1
        self.shortcut: nn.Module = nn.Identity() if same else ConvNorm(inputs, outputs, 1, stride, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class Merge(nn.Module):
    """One step up the U: the deeper map at twice its size, beside the trunk's map, through 1x1 and 3x3."""

    def __init__(self, deep: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.mix = ConvNorm(deep + skip, outputs, 1)
        self.smooth = ConvNorm(outputs, outputs, 3)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        smooth: Tensor = self.smooth(self.mix(torch.cat([_twice(deep), skip], dim=1)))
        return smooth


class Sum(nn.Module):
    """The same step at less than the cost: a 1x1 convolution commutes with the enlargement, so the deeper map goes through its half
    of it while it is small."""

    def __init__(self, deep: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.deep = ConvNorm(deep, outputs, 1, relu=False)
        self.skip = ConvNorm(skip, outputs, 1, relu=False)
        self.smooth = ConvNorm(outputs, outputs, 3)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        smooth: Tensor = self.smooth(F.relu(self.skip(skip) + _twice(self.deep(deep))))
        return smooth


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class East(nn.Module):
    """The detector.

    forward : (n, 3, H, W) float, pixels scaled to -1..1, H and W multiples of size.multiple ->
        score logits (n, 1, H/4, W/4) and geometry (n, 5, H/4, W/4): distances from the cell's centre (x*4 + 2, y*4 + 2) to
        the box's top, right, bottom and left side in detector pixels, and the box's angle in radians, positive
        counter-clockwise on the screen, within +-pi/4. Along the text runs (cos a, -sin a), down it (sin a, cos a).
    """

    def __init__(self, size: EastSize) -> None:
        super().__init__()
        self.size = size
        growth = 4 if size.bottleneck else 1
        self.stem = ConvNorm(3, size.stem, 3 if size.stem_stride == 2 else 6, size.stem_stride)
        stages: list[nn.Module] = []
        inputs = size.stem
        for width, count in zip(size.widths, size.blocks, strict=True):
            steps: list[nn.Module] = []
            for index in range(count):
                steps.append(Block(inputs, width, 2 if index == 0 else 1, size.bottleneck))
                inputs = width * growth
            stages.append(nn.Sequential(*steps))
        self.stages = nn.ModuleList(stages)
        outs = [width * growth for width in size.widths]
        skips = outs[:-1] if size.stem_stride == 2 else [size.stem, *outs[:-1]]
        deeps = [outs[-1], *size.merge]
        step = Sum if size.sums else Merge
        self.merges = nn.ModuleList([step(*channels) for channels in zip(deeps, reversed(skips), size.merge)])
        self.last = nn.Identity() if size.sums else ConvNorm(size.merge[-1], size.merge[-1], 3)
        self.score = nn.Conv2d(size.merge[-1], 1, 1)
        self.geometry = nn.Conv2d(size.merge[-1], 5, 1)
        self._start()

    def _start(self) -> None:
        """Begin near "no text" (as focal loss does) and at boxes of about 16 px, so that the first steps do not explode."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.geometry.weight, std=0.01)
        nn.init.normal_(self.score.weight, std=0.01)
        nn.init.constant_(self.score.bias, -3.0)  # type: ignore[arg-type]
        nn.init.constant_(self.geometry.bias, 2.0)  # type: ignore[arg-type]
        with torch.no_grad():
            self.geometry.bias[4] = 0.0  # type: ignore[index]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(x)
        maps: list[Tensor] = [x]
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        for merge, skip in zip(self.merges, reversed(maps[:-1])):
            x = merge(x, skip)
        x = self.last(x)
        raw = self.geometry(x)
        distances = torch.exp(torch.clamp(raw[:, :4], max=MAX_LOG_DISTANCE))
        angle = torch.tanh(raw[:, 4:]) * (math.pi / 4)
        return self.score(x), torch.cat([distances, angle], dim=1)


def parameter_count(network: nn.Module) -> int:
    """Number of trained values."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
