"""Every method on every picture, one picture after the other, so that nothing but counts is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from appliance.detect.scale import EIGHTHS, scale_for
from engines.evaluate import matching
from engines.evaluate.matching import Matches
from engines.evaluate.methods import Found, Method
from engines.evaluate.scoring import Labelled, Result, prepare, score
from engines.evaluate.sheet import MOST, failures

CANVAS = (576, 960)  # height, width the product lays a picture on, px; heights of text are counted on it
THRESHOLDS = (26, 51, 64, 77, 90, 102, 128, 153, 179, 204)
HEIGHTS = (10.0, 12.0, 14.0, 17.0, 22.0)  # px at the detector, upper ends of the classes of text height


@dataclass
class Tally:
    """One method's counts. pictures : by name; sweep : by threshold; boxes, lines : as matching.py counts them, None without boxes;
    tiles : for the contact sheet."""

    name: str
    pictures: dict[str, Result] = field(default_factory=dict)
    sweep: dict[int, Result] = field(default_factory=dict)
    boxes: Matches | None = None
    lines: Matches | None = None
    tiles: list[Image.Image] = field(default_factory=list)

    @property
    def total(self) -> Result:
        return sum(self.pictures.values(), Result())

    def summary(self) -> dict[str, Any]:
        """All figures; those at IoU 0.5 only of a method that has boxes."""
        figures = self.total.summary()
        for name, found in (("box", self.boxes), ("line", self.lines)):
            figures |= {f"{name}_precision": found.precision if found else None, f"{name}_recall": found.recall if found else None}
        return figures


@dataclass(frozen=True)
class Pictures:
    """A folder of pictures and its labels, {name: {"boxes": [...]}}."""

    folder: Path
    labels: dict[str, Any]

    @classmethod
    def read(cls, folder: Path, labels: Path, part: str = "") -> Pictures:
        """part : only pictures whose name starts so. Raises ValueError when a picture is missing or none is left."""
        table = {name: entry for name, entry in json.loads(labels.read_text(encoding="utf-8")).items() if name.startswith(part)}
        missing = [name for name in table if not (folder / name).is_file()]
        if missing:
            raise ValueError(f"{folder} lacks {len(missing)} of {len(table)} labelled pictures, the first is {missing[0]}")
        if not table:
            raise ValueError(f"{labels} has no picture whose name starts with {part!r}")
        return cls(folder, table)

    def __iter__(self) -> Iterator[tuple[Path, Image.Image, Labelled]]:
        for name in sorted(self.labels):
            with Image.open(self.folder / name) as file:
                image = file.convert("RGB")
            yield self.folder / name, image, prepare(name, np.asarray(image), self.labels[name]["boxes"])

    def __len__(self) -> int:
        return len(self.labels)


def measure(pictures: Pictures, methods: Sequence[Method], threshold: int, masks: Path | None = None) -> list[Tally]:
    """threshold : on the uint8 map, for methods that have one; masks : folder to keep each method's masks in, METHOD/STEM.png."""
    tallies = [Tally(method.name) for method in methods]
    bar = tqdm(pictures, unit="picture", desc="measuring", mininterval=1.0)
    for path, image, labelled in bar:
        for method, tally in zip(methods, tallies, strict=True):
            answer = method.look(path)
            found = answer.at(threshold)
            _add(tally, labelled, found, image)
            if method.sweeps:
                for other in THRESHOLDS:
                    tally.sweep[other] = tally.sweep.get(other, Result()) + score(labelled, answer.at(other).mask)
            if masks:
                (masks / method.name).mkdir(parents=True, exist_ok=True)
                Image.fromarray(found.mask.astype(np.uint8) * 255).save(masks / method.name / f"{path.stem}.png")
    return tallies


def _add(tally: Tally, labelled: Labelled, found: Found, image: Image.Image) -> None:
    tally.pictures[labelled.name] = score(labelled, found.mask)
    if len(tally.tiles) < MOST:
        tally.tiles += failures(image, labelled, found.mask)
    if found.quads is None:
        return
    labels = np.array([box for box, _ in labelled.wanted], np.float64).reshape(-1, 4)
    others = np.array(labelled.others, np.float64).reshape(-1, 4)
    bounds = matching.bounds_of(found.quads)
    tally.boxes = (tally.boxes or Matches()) + matching.match(labels, bounds, others)
    tally.lines = (tally.lines or Matches()) + matching.match(matching.lines(labels), matching.lines(bounds), others)


def by_height(tally: Tally, sizes: dict[str, tuple[int, int]]) -> list[dict[str, Any]]:
    """Recall by the height that text has at the detector, px; sizes : (height, width) of each picture."""
    counts = [[0, 0] for _ in range(len(HEIGHTS) + 1)]
    for box in tally.total.boxes:
        _, top, _, bottom = box.box
        height = (bottom - top) * scale_for(sizes[box.name], CANVAS).num / EIGHTHS
        row = counts[int(np.searchsorted(HEIGHTS, height))]
        row[0] += 1
        row[1] += box.removed
    names = [f"to {high:g}" for high in HEIGHTS] + [f"above {HEIGHTS[-1]:g}"]
    return [
        {"method": tally.name, "text_height_px": name, "boxes": boxes, "recall": round(removed / boxes, 4) if boxes else None}
        for name, (boxes, removed) in zip(names, counts, strict=True)
    ]


def by_picture(tally: Tally) -> Iterable[dict[str, Any]]:
    for name, result in tally.pictures.items():
        yield {"method": tally.name, "picture": name, **result.summary(), "missed": len(result.missed)}
