"""Photographs whose text is labelled, as ICDAR 2015 gives them: the general stage, before any overlay is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from engines.synth.backgrounds import PICTURE_SUFFIXES
from engines.synth.canvas import Picture
from engines.synth.degrade import degrade
from engines.synth.paint import TextBox

DO_NOT_CARE = "###"  # ICDAR's mark for text that nobody can read
SMALLEST_ZOOM, LARGEST_ZOOM = 0.35, 1.6
LOWEST = 5.0  # px; a word reduced below it is neither asked for nor punished
MOST_CUT = 0.3  # share of a word beyond the edge from which on it is nobody's


@dataclass(frozen=True)
class Photo:
    """pixels : (h, w, 3) uint8; boxes : of its words, px."""

    pixels: Picture
    boxes: tuple[TextBox, ...]


def load_scene_text(folder: Path | None) -> tuple[Photo, ...]:
    """Every picture of folder/images with its words from folder/gt/gt_STEM.txt; no folder, no pictures.

    Raises ValueError, with file and line, where a label is not x1,y1,...,x4,y4,text, and FileNotFoundError for a missing one.
    """
    if folder is None:
        return ()
    photos = []
    for path in sorted((folder / "images").iterdir()):
        if path.suffix.lower() in PICTURE_SUFFIXES:
            with Image.open(path) as file:
                pixels = np.asarray(file.convert("RGB"))
            photos.append(Photo(pixels, _read_labels(folder / "gt" / f"gt_{path.stem}.txt")))
    return tuple(photos)


def _read_labels(path: Path) -> tuple[TextBox, ...]:
    boxes = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        *numbers, text = line.split(",", 8)
        try:
            boxes.append(box_of([float(value) for value in numbers], text))
        except ValueError as error:
            raise ValueError(f"{path.name}, line {number}: must be x1,y1,x2,y2,x3,y3,x4,y4,text ({error})") from None
    return tuple(boxes)


def box_of(corners: list[float], text: str) -> TextBox:
    """The turned box of a quadrilateral given clockwise from the upper left of its text; its angle is brought within +-pi/4."""
    if len(corners) != 8:
        raise ValueError(f"{len(corners)} numbers instead of 8")
    quad = np.asarray(corners, np.float64).reshape(4, 2)
    along, down = (quad[1] - quad[0] + quad[2] - quad[3]) / 2, (quad[3] - quad[0] + quad[2] - quad[1]) / 2
    width, height, angle = float(np.hypot(*along)), float(np.hypot(*down)), math.atan2(-along[1], along[0])
    turns = round(angle / (math.pi / 2))
    if turns % 2:  # upright text: its height runs along the row
        width, height = height, width
    cx, cy = quad.mean(axis=0)
    return TextBox(float(cx), float(cy), width, height, angle - turns * math.pi / 2, text != DO_NOT_CARE, text)


def draw_scene_crop(rng: np.random.Generator, photos: tuple[Photo, ...], side: int, degraded: float) -> tuple[Picture, tuple[TextBox, ...]]:
    """A part of a photograph at a random zoom, mostly around one of its words: (side, side, 3) uint8 and the words in it.

    degraded : 0 shows it as it is; above, with the study's augmentations: worn, and at times in a black or grey border
    """
    photo = photos[int(rng.integers(len(photos)))]
    zoom = float(np.exp(rng.uniform(math.log(SMALLEST_ZOOM), math.log(LARGEST_ZOOM))))
    bordered = rng.random() < 0.3 * min(1.0, degraded)
    left, top, width, height = _frame(rng, side) if bordered else (0, 0, side, side)
    height_px, width_px = photo.pixels.shape[:2]
    zoom = max(zoom, width / width_px, height / height_px)  # the part never reaches beyond the photograph
    part = (width / zoom, height / zoom)
    x, y = _corner(rng, photo, part)
    image = Image.fromarray(photo.pixels).resize((width, height), Image.Resampling.BOX if zoom < 1 else Image.Resampling.BICUBIC,
                                                 (x, y, min(width_px, x + part[0]), min(height_px, y + part[1])))  # fmt: skip
    pixels = np.full((side, side, 3), int(rng.integers(0, 120)) if bordered and rng.random() < 0.4 else 0, np.uint8)
    pixels[top : top + height, left : left + width] = np.asarray(image)
    boxes = [
        replace(box, cx=(box.cx - x) * zoom + left, cy=(box.cy - y) * zoom + top, width=box.width * zoom, height=box.height * zoom)
        for box in photo.boxes
    ]
    seen = tuple(
        replace(box, care=box.care and min(box.width, box.height) >= LOWEST and cut <= MOST_CUT)
        for box in boxes
        if (cut := _cut_share(box, (left, top, left + width, top + height))) < 1
    )
    return degrade(rng, pixels, degraded, min((box.height for box in seen), default=99.0)), seen


def _frame(rng: np.random.Generator, side: int) -> tuple[int, int, int, int]:
    """(left, top, width, height) of a picture that leaves a border on some sides."""
    width, height = (int(side * rng.uniform(0.6, 1.0)) for _ in range(2))
    left, top = (int(rng.choice([0, room, rng.uniform(0, room + 1)])) for room in (side - width, side - height))
    return left, top, width, height


def _corner(rng: np.random.Generator, photo: Photo, part: tuple[float, float]) -> tuple[float, float]:
    """Upper left corner of a part, (width, height) photograph px: four in five hold the middle of a readable word."""
    height, width = photo.pixels.shape[:2]
    readable = [box for box in photo.boxes if box.care]
    if readable and rng.random() < 0.8:
        box = readable[int(rng.integers(len(readable)))]
        wanted = box.cx - rng.uniform(0.1, 0.9) * part[0], box.cy - rng.uniform(0.1, 0.9) * part[1]
    else:
        wanted = rng.uniform(0, width), rng.uniform(0, height)
    return float(np.clip(wanted[0], 0, max(0.0, width - part[0]))), float(np.clip(wanted[1], 0, max(0.0, height - part[1])))


def _cut_share(box: TextBox, frame: tuple[int, int, int, int]) -> float:
    """How much of the box's upright hull lies beyond frame = (left, top, right, bottom): 0 nothing, 1 all."""
    cos, sin = abs(math.cos(box.angle)), abs(math.sin(box.angle))
    half_w, half_h = (box.width * cos + box.height * sin) / 2, (box.width * sin + box.height * cos) / 2
    inside_w = min(frame[2], box.cx + half_w) - max(frame[0], box.cx - half_w)
    inside_h = min(frame[3], box.cy + half_h) - max(frame[1], box.cy - half_h)
    if inside_w <= 0 or inside_h <= 0:
        return 1.0
    return 1 - inside_w * inside_h / max(1e-6, 4 * half_w * half_h)
