"""The pictures of the measurements, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

STUDY_MS = {
    "PyTorch FP32, boxes": 263.0,
    "optimised post-processing": 189.0,
    "PyTorch BF16": 152.0,
    "OpenVINO": 127.0,
    "GPU JPEG (DALI, nvJPEG)": 74.6,
    "TurboJPEG": 52.6,
    "mask mode": 48.1,
    "batch 4": 47.8,
    "multi-core": 29.3,
}
"""The study's table 2, on an RTX 2080 Ti, beside the row that comes nearest: FP16 for BF16, TensorRT for OpenVINO."""


def ladder(path: Path, found: Mapping[str, Any]) -> None:
    """Milliseconds of each stage, stacked, row by row, on a logarithmic axis; the study's times as marks.

    Where pictures overlap, the stages share the time between two pictures as they share the time of all lanes.
    """
    from matplotlib.figure import Figure

    rows = [row for row in [*found["rows"], found["shipped"]] if row["available"]]
    figure = Figure(figsize=(10, 0.45 * len(rows) + 2), layout="constrained")
    axes = figure.subplots()
    names = [row["name"] for row in rows]
    left = [0.0] * len(rows)
    for stage in dict.fromkeys(stage for row in rows for stage in row["stages_ms"]):
        widths = [row["ms"] * row["stages_ms"].get(stage, 0) / (sum(row["stages_ms"].values()) or 1) for row in rows]
        axes.barh(names, widths, left=left, label=stage)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    for place, row in enumerate(rows):
        axes.text(1.05 * row["ms"], place, f"{row['ms']:.0f} ms", va="center")
    known = [(STUDY_MS[name], place) for place, name in enumerate(names) if name in STUDY_MS]
    axes.plot(*zip(*known, strict=True), "kd", label="the study, RTX 2080 Ti", linestyle="none")
    axes.set(xscale="log", xlim=(1, 4 * max(left)), xlabel="ms an image of 1920x1080, file to file", title=found["machine"])
    axes.invert_yaxis()
    axes.legend()
    figure.savefig(path)
