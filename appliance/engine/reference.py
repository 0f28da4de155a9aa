"""Drawn frames with planted text, and the masks the shipped weights give for them: what any engine is held against.

The frames need nothing but numpy and the font inside Pillow, and are the same everywhere. `python -m engines.reference` writes the
masks, engines/weights/reference.json; they belong to one model and name it.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from appliance.errors import BadConfig
from appliance.types import Cells, Pixels

SEEDS = (1, 2, 3, 4)
AGREES_FROM = 0.99
"""Share of cells two masks must have in common, of those either has. Below, an engine is not used."""

LINES = ("ID: 0815-4711", "Name: MUSTERFRAU, ERIKA", "Sex: F  Age: 57", "D.O.B.: 12/08/1967", "23/11/2026", "14:05:37", "CVP:1", "G:N E:A1")


@dataclass(frozen=True, eq=False)
class Frame:
    """pixels : (height, width, 3) uint8; boxes : (top, left, bottom, right) px of each line of text"""

    pixels: Pixels
    boxes: tuple[tuple[int, int, int, int], ...]


@lru_cache(maxsize=len(SEEDS))
def frame(seed: int, size: tuple[int, int]) -> Frame:
    """A soft red scene on black with white or yellow text in a left column; size : (height, width), text 2.8 % of the height."""
    rng = np.random.default_rng(seed)
    height, width = size
    coarse = rng.uniform(0.5, 1, (9, 9, 1)) * np.array([200, 90, 70])
    tissue = Image.fromarray(coarse.astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    field = Image.new("L", (width, height), 0)
    ImageDraw.Draw(field).ellipse((width // 4, 0, width, height), fill=255)
    image = Image.composite(tissue, Image.new("RGB", (width, height)), field.filter(ImageFilter.GaussianBlur(2)))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=height * 0.028)
    ink = (235, 235, 235) if seed % 2 else (230, 220, 90)
    boxes = []
    for row, line in enumerate(LINES):
        place = (int(width * (0.02 + 0.05 * rng.random())), int(height * (0.06 + 0.1 * row)))
        left, top, right, bottom = draw.textbbox(place, line, font=font)
        draw.text(place, line, fill=ink, font=font)
        boxes.append((int(top), int(left), int(bottom), int(right)))
    return Frame(np.asarray(image), tuple(boxes))


@dataclass(frozen=True, eq=False)
class Reference:
    """threshold : the masks' own; masks : one a seed, (height / 4, width / 4) bool; size : (height, width) of the frames"""

    threshold: int
    masks: Sequence[Cells]
    size: tuple[int, int]

    def frames(self) -> list[Frame]:
        return [frame(seed, self.size) for seed in SEEDS]


def load(weights: Path, sha256: str) -> Reference:
    """The reference for the model of this SHA-256. Raises BadConfig when the file is missing or made for other weights."""
    path = weights / "reference.json"
    try:
        value = json.loads(path.read_text("utf-8"))
        entry = value["models"].get(sha256)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadConfig("weights", f"{path} cannot be read: {error}") from error
    if entry is None:
        raise BadConfig("weights", f"{path} was made for other weights than {sha256[:12]}; run python -m engines.reference")
    size = (int(value["size"][0]), int(value["size"][1]))
    return Reference(int(entry["threshold"]), [_unpacked(mask, size) for mask in entry["masks"]], size)


def save(weights: Path, size: tuple[int, int], models: Mapping[str, tuple[int, Sequence[Cells]]]) -> Path:
    """models : SHA-256 -> threshold and masks"""
    entries = {sha: {"threshold": threshold, "masks": [_packed(mask) for mask in masks]} for sha, (threshold, masks) in models.items()}
    path = weights / "reference.json"
    value = {"made by": "python -m engines.reference", "size": list(size), "seeds": list(SEEDS), "models": entries}
    path.write_text(json.dumps(value, indent=1) + "\n", "utf-8")
    return path


def _packed(mask: Cells) -> str:
    return base64.b64encode(zlib.compress(np.packbits(mask).tobytes(), 9)).decode()


def _unpacked(text: str, size: tuple[int, int]) -> Cells:
    rows, columns = size[0] // 4, size[1] // 4
    bits = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    return np.unpackbits(bits, count=rows * columns).astype(bool).reshape(rows, columns)


@dataclass(frozen=True)
class Agreement:
    """overlap : cells in both masks by cells in either, 0..1, over all frames; lost, added : cells only in the reference, only in ours;
    missed : planted lines of text that are not wholly covered though the reference covers them"""

    overlap: float
    lost: int
    added: int
    missed: int

    @property
    def holds(self) -> bool:
        """A line of text that is missed is a harm, however good the rest is."""
        return self.overlap >= AGREES_FROM and not self.missed

    def __str__(self) -> str:
        return f"overlap {self.overlap:.4f}, {self.lost} cells lost, {self.added} added, {self.missed} lines missed"


def compare(masks: Sequence[Cells], reference: Reference) -> Agreement:
    """masks : ours, one a frame, at reference.threshold"""
    pairs = list(zip(masks, reference.masks, strict=True))
    both = sum(int((ours & theirs).sum()) for ours, theirs in pairs)
    lost = sum(int((theirs & ~ours).sum()) for ours, theirs in pairs)
    added = sum(int((ours & ~theirs).sum()) for ours, theirs in pairs)
    boxes = [(pair, box) for pair, shown in zip(pairs, reference.frames(), strict=True) for box in shown.boxes]
    missed = sum(1 for (ours, theirs), box in boxes if _covers(theirs, box) and not _covers(ours, box))
    return Agreement(both / max(1, both + lost + added), lost, added, missed)


def _covers(mask: Cells, box: tuple[int, int, int, int]) -> bool:
    top, left, bottom, right = box
    return bool(mask[top // 4 : -(-bottom // 4), left // 4 : -(-right // 4)].all())
