"""Drawings as SVG path data: the last hour in bars, and a picture's silhouette. Nothing but numbers goes in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.status.silhouette import Silhouette, bits
from appliance.status.snapshot import Hour

HEIGHT, STEP, BAR = 100, 10, 8
"""A chart's height, and a minute's and its bar's width, in the drawing's own units; the page stretches it to what room there is."""


@dataclass(frozen=True)
class Chart:
    """Two layers of bars, one a minute, and the largest value, which is as high as the chart. width : of the drawing"""

    front: str
    back: str
    top: int
    width: int


def throughput(hour: Hour) -> Chart:
    """Published in front, refused on top of them behind."""
    return _chart(hour.done, [done + refused for done, refused in zip(hour.done, hour.refused)])


def latency(hour: Hour) -> Chart:
    """The median in front, the slowest behind."""
    return _chart([took or 0 for took in hour.median_ms], [took or 0 for took in hour.slowest_ms])


def _chart(front: Sequence[int], back: Sequence[int]) -> Chart:
    top = max(*back, 1)
    return Chart(_bars(front, top), _bars(back, top), max(back), STEP * len(back))


def _bars(values: Sequence[int], top: int) -> str:
    heights = [value * HEIGHT / top for value in values]
    return "".join(f"M{i * STEP + 1} {HEIGHT}v{-height:.1f}h{BAR}v{height:.1f}z" for i, height in enumerate(heights) if height)


def outline(shape: Silhouette) -> str:
    """What is white of a silhouette, one unit a cell. Raises ValueError when its digits do not fit its size."""
    runs = ((row, run) for row, line in enumerate(bits(shape)) for run in re.finditer("1+", line))
    return "".join(f"M{run.start()} {row}h{len(run[0])}v1h-{len(run[0])}z" for row, run in runs)
