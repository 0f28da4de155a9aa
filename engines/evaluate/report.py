"""Tables for the screen and for files, and the sweep as a plot."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from engines.evaluate.measure import Tally

FIGURES = (
    "recall", "clean", "ink", "precision", "excess_percent", "false_percent_mean", "false_percent_worst", "box_precision", "box_recall",
    "line_precision", "line_recall",
)  # fmt: skip
HEADS = ("recall", "clean", "ink", "precision", "excess %", "false %", "worst %", "box P", "box R", "line P", "line R")
CURVES = {"recall": "blue", "clean": "darkgreen", "precision": "darkorange"}
LOWEST = 0.7  # of the plot's left axis; what lies below is not worth shipping
MOST_FALSE = 1.0  # of the right axis, %


def table(rows: Iterable[Sequence[Any]], heads: Sequence[str]) -> str:
    """Columns as wide as they must be; None is a dash."""
    text = [list(map(str, heads))] + [["-" if value is None else str(value) for value in row] for row in rows]
    widths = [max(len(row[column]) for row in text) for column in range(len(heads))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(value.rjust(width) for value, width in zip(row[1:], widths[1:], strict=True))])
        for row in text
    )


def side_by_side(tallies: Sequence[Tally]) -> str:
    summaries = [tally.summary() for tally in tallies]
    return table(([tally.name, *(one[key] for key in FIGURES)] for tally, one in zip(tallies, summaries, strict=True)), ["method", *HEADS])


def save_csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["method"])
        writer.writeheader()
        writer.writerows(rows)


def plot_sweep(tally: Tally, threshold: int) -> Image.Image:
    """Recall, clean and precision (left axis) and what is removed in vain (right axis, red) over the threshold; grey: the one in use."""
    left, top, wide, tall = 60, 30, 760, 340
    image = Image.new("RGB", (900, 420), "white")
    pen = ImageDraw.Draw(image)

    def point(level: int, share: float) -> tuple[float, float]:
        return left + wide * level / 255, top + tall * (1 - min(1.0, max(0.0, share)))

    for step in range(7):
        y = top + tall * step / 6
        pen.line([(left, y), (left + wide, y)], fill=(225, 225, 225))
        pen.text((20, y - 6), f"{1 - step / 6 * (1 - LOWEST):.2f}", fill="black")
        pen.text((left + wide + 8, y - 6), f"{MOST_FALSE * (1 - step / 6):.2f} %", fill="red")
    pen.line([point(threshold, 0), point(threshold, 1)], fill="grey")
    summaries = {level: result.summary() for level, result in sorted(tally.sweep.items())}
    curves = {name: ([(level, (one[name] - LOWEST) / (1 - LOWEST)) for level, one in summaries.items() if one[name] is not None], colour)
              for name, colour in CURVES.items()}  # fmt: skip
    vain = [(level, one["false_percent_mean"] / MOST_FALSE) for level, one in summaries.items() if one["false_percent_mean"] is not None]
    for index, (name, (points, colour)) in enumerate([*curves.items(), ("removed in vain", (vain, "red"))]):
        pen.text((left + 150 * index, 8), name, fill=colour)
        if len(points) > 1:
            pen.line([point(level, share) for level, share in points], fill=colour, width=2)
    for level in summaries:
        pen.text((point(level, 0)[0] - 8, top + tall + 6), str(level), fill="black")
    pen.text((left, top + tall + 24), f"{tally.name}: threshold on the uint8 map, 1..255", fill="black")
    return image
