"""What lies behind the text: procedural endoscopic scenes, frames from a folder, general photographs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from engines.synth.canvas import Picture, blend, drawn, grain

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"}
LONGEST_SIDE = 1200  # px kept of a stored frame; the detector sees no more
PALETTES = (  # base and vessel colour: pink, orange, deep red, pale, yellow, narrow-band, bleached, dark
    ((205, 130, 120), (150, 50, 50)), ((210, 125, 75), (150, 50, 25)), ((170, 70, 60), (90, 15, 20)),
    ((225, 180, 170), (180, 90, 90)), ((215, 165, 95), (160, 80, 50)), ((120, 125, 110), (60, 45, 40)),
    ((240, 225, 220), (220, 180, 175)), ((95, 45, 40), (45, 10, 12)),
)  # fmt: skip


@dataclass(frozen=True)
class Backgrounds:
    """Decoded pictures to draw on, and how often each kind is taken.

    frames, photos : (h, w, 3) uint8 each; where one list is empty, procedural scenes stand in for it
    hard : those of the frames that a trained network took for text; hard_share : how often a frame is one of them
    """

    frames: list[Picture] = field(default_factory=list)
    photos: list[Picture] = field(default_factory=list)
    frame_share: float = 0.7
    photo_share: float = 0.06
    hard: list[Picture] = field(default_factory=list)
    hard_share: float = 0.0

    @classmethod
    def load(cls, frames: Path | None, photos: Path | None, choice: Choice | None = None) -> Backgrounds:
        """Every picture of both folders but those to leave out; hard frames that are not there are passed over."""
        choice = choice or Choice()
        stored = load_folder(frames, choice.exclude)
        hard = [stored[name] for name in choice.hard if name in stored]
        others = list(load_folder(photos, choice.exclude).values())
        return cls(list(stored.values()), others, choice.frame_share, choice.photo_share, hard, choice.hard_share)


@dataclass(frozen=True)
class Choice:
    """Which backgrounds are taken how often; file names, and shares between 0 and 1.

    exclude : pictures that hold text and must not be taken for text-free; hard : see Backgrounds
    """

    frame_share: float = 0.7
    photo_share: float = 0.06
    exclude: tuple[str, ...] = ()
    hard: tuple[str, ...] = ()
    hard_share: float = 0.0


def load_folder(folder: Path | None, exclude: tuple[str, ...] = ()) -> dict[str, Picture]:
    """Every picture of a folder by file name, decoded once, its longest side at most LONGEST_SIDE px; no folder, no pictures.

    exclude : file names to leave out
    """
    if folder is None:
        return {}
    pictures = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in PICTURE_SUFFIXES and path.name not in exclude:
            with Image.open(path) as file:
                file.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
                image = file.convert("RGB")
                image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BOX)
                pictures[path.name] = np.asarray(image)
    return pictures


def view(rng: np.random.Generator, store: Backgrounds, width: int, height: int, real: bool = True) -> Picture:
    """What the camera sees, filling width x height, (h, w, 3) uint8, never with text.

    real : False draws a procedural scene whatever the store holds
    """
    kind = rng.random()
    if real and store.frames and kind < store.frame_share:
        pictures = store.hard if store.hard and rng.random() < store.hard_share else store.frames
        return recolour(rng, _cut(rng, pictures, width, height))
    if real and store.photos and kind > 1 - store.photo_share:
        return recolour(rng, _cut(rng, store.photos, width, height))
    if rng.random() < 0.04:
        return ultrasound(rng, width, height)
    return scene(rng, width, height)


def _cut(rng: np.random.Generator, pictures: list[Picture], width: int, height: int) -> Picture:
    """A whole picture, stretched a little, or a random part of one, at width x height."""
    picture = pictures[int(rng.integers(len(pictures)))]
    h, w = picture.shape[:2]
    part = 1.0 if rng.random() < 0.5 else float(rng.uniform(0.35, 1.0))
    aspect = width / height * float(rng.uniform(0.85, 1.18))
    box_h = min(h, w / aspect) * part
    box_w = min(float(w), box_h * aspect)
    x, y = rng.uniform(0, w - box_w + 1e-6), rng.uniform(0, h - box_h + 1e-6)
    image = Image.fromarray(picture)
    resample = Image.Resampling(int(rng.choice([2, 3, 4])))
    cut = np.asarray(image.resize((width, height), resample, (x, y, min(float(w), x + box_w), min(float(h), y + box_h))))
    if rng.random() < 0.5:
        cut = cut[:, ::-1]
    if rng.random() < 0.25:
        cut = cut[::-1]
    return cut.copy()


def recolour(rng: np.random.Generator, picture: Picture) -> Picture:
    """Another light source, white balance and exposure; sometimes narrow-band or grey."""
    curve = np.arange(256, dtype=np.float32) / 255
    gamma, gain = float(rng.uniform(0.75, 1.35)), float(rng.uniform(0.8, 1.25))
    tables = [np.clip(curve**gamma * gain * rng.uniform(0.88, 1.12) * 255, 0, 255).astype(np.uint8) for _ in range(3)]
    out = np.stack([tables[k][picture[:, :, k]] for k in range(3)], axis=-1)
    kind = rng.random()
    if kind < 0.04:
        out = out[:, :, rng.permutation(3)]
    elif kind < 0.12:  # narrow-band light: green and blue alike, red apart
        out[:, :, 1] = out[:, :, 2] = ((out[:, :, 1].astype(np.uint16) + out[:, :, 2]) // 2).astype(np.uint8)
    elif kind < 0.15:
        out = np.repeat(out.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    return np.ascontiguousarray(out)


def scene(rng: np.random.Generator, width: int, height: int) -> Picture:
    """A procedural endoscopic view: mucosa with folds, lumen, vessels, highlights, bubbles, perhaps an instrument."""
    base, vessel = PALETTES[int(rng.integers(len(PALETTES)))]
    w, h = max(8, width // 2), max(8, height // 2)  # smooth things at half size, then enlarged
    light, unit = _light(rng, w, h), min(w, h) / 190
    colour = np.asarray(base, np.float32) * rng.uniform(0.8, 1.2) + rng.normal(0, 8, 3).astype(np.float32)
    # Deep places are redder: blue and green fall off faster than red.
    small = np.stack([colour[k] * np.clip(light, 0.02, 2) ** (1.0, 1.25, 1.3)[k] for k in range(3)], axis=-1)
    small += grain(rng, w, h, 70 * unit, 3) * 4 + grain(rng, w, h, rng.uniform(2, 9) * unit) * rng.uniform(1, 7)
    picture = np.asarray(Image.fromarray(np.clip(small, 0, 255).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)).copy()
    if rng.random() < 0.7:
        vessels(rng, picture, (int(vessel[0]), int(vessel[1]), int(vessel[2])))
    if rng.random() < 0.75:
        highlights(rng, picture)
    if rng.random() < 0.3:
        bubbles(rng, picture)
    if rng.random() < 0.2:
        instrument(rng, picture)
    return picture


def _light(rng: np.random.Generator, w: int, h: int) -> NDArray[np.float32]:
    """How bright each place is, (h, w), about 1 at the wall: a tube seen from inside, its folds as crescents around the lumen."""
    unit = min(w, h)
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float32)
    cx, cy = rng.uniform(-0.1, 1.1) * w, rng.uniform(-0.1, 1.1) * h
    warp = grain(rng, w, h, rng.uniform(0.2, 0.5) * unit)[:, :, 0] * rng.uniform(0.02, 0.09) * unit
    radius = (np.hypot(xx - cx, (yy - cy) * rng.uniform(0.7, 1.4)) + warp) / unit
    light = 0.85 + 0.16 * grain(rng, w, h, 0.5 * unit)[:, :, 0]
    if rng.random() < 0.7:
        light *= 1 - 0.9 * np.exp(-((radius / rng.uniform(0.08, 0.3)) ** 2))  # the lumen is dark
    if rng.random() < 0.75:  # folds: bright crest, then a sharp shadow; deeper ones lie closer together
        phase = np.log(np.maximum(radius, 0.02)) * rng.uniform(1.5, 4.5) + rng.uniform(0, 1)
        ridge = phase - np.floor(phase)
        angle = np.arctan2(yy - cy, xx - cx)
        depth = 0.5 + 0.5 * np.sin(angle * rng.integers(1, 4) + rng.uniform(0, 6) + np.floor(phase) * 2.1)
        light *= 1 + rng.uniform(0.1, 0.45) * depth * (ridge**2 - 0.45)
    if rng.random() < 0.5:
        light += rng.uniform(0.1, 0.5) * np.exp(-((radius / rng.uniform(0.3, 0.8)) ** 2))  # too much light
    result: NDArray[np.float32] = light.astype(np.float32)
    return result


def vessels(rng: np.random.Generator, picture: Picture, colour: tuple[int, int, int]) -> None:
    """Branching dark lines."""
    height, width = picture.shape[:2]
    unit = min(width, height)
    alpha = Image.new("L", (width, height))
    pen = ImageDraw.Draw(alpha)
    for _ in range(int(rng.integers(2, 14))):
        steps = int(rng.integers(5, 18))
        turns = np.cumsum(rng.normal(0, 0.5, steps)) + rng.uniform(0, 2 * np.pi)
        length = rng.uniform(0.015, 0.065) * unit
        xs = rng.uniform(0, width) + np.cumsum(np.cos(turns)) * length
        ys = rng.uniform(0, height) + np.cumsum(np.sin(turns)) * length
        pen.line(list(zip(xs.tolist(), ys.tolist())), int(rng.integers(50, 180)), int(rng.integers(1, 4) * max(1.0, unit / 500)), "curve")
    blend(picture, np.asarray(alpha), 0, 0, colour)


def highlights(rng: np.random.Generator, picture: Picture, rows: bool = False) -> None:
    """White reflections of the lamp, in clusters or (rows) lined up like letters."""
    height, width = picture.shape[:2]
    unit = max(1.0, min(width, height) / 500)
    for _ in range(int(rng.integers(1, 5))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        heading, size = rng.uniform(0, np.pi), float(np.exp(rng.uniform(np.log(1.0), np.log(8.0)))) * unit
        spread = rng.uniform(6, 40) * unit
        for k in range(int(rng.integers(2, 16))):
            if rows:
                px, py = x + np.cos(heading) * k * size * 2 + rng.normal(0, 1), y + np.sin(heading) * k * size * 2 + rng.normal(0, 1)
            else:
                px, py = x + rng.normal(0, spread), y + rng.normal(0, spread)
            a, b = size * rng.uniform(0.3, 1.6), size * rng.uniform(0.3, 1.2)
            side = int(3 * max(a, b)) + 6
            middle = side / 2
            spot = drawn(side, side, "ellipse", [(middle - a, middle - b), (middle + a, middle + b)], 0, float(rng.uniform(0.3, 1.2)))
            tint = int(rng.integers(225, 256))
            if rng.random() < 0.3:  # wet spots carry a dark rim
                rim = drawn(side, side, "ellipse", [(middle - a - 1.5, middle - b - 1.5), (middle + a + 1.5, middle + b + 1.5)], 0, 0.8)
                blend(picture, rim, int(px - middle), int(py - middle), (40, 15, 15), float(rng.uniform(0.2, 0.8)))
            blend(picture, spot, int(px - middle), int(py - middle), (tint, tint, 255), float(rng.uniform(0.6, 1.0)))


def bubbles(rng: np.random.Generator, picture: Picture) -> None:
    """Rings with a bright spot, in foam-like groups."""
    height, width = picture.shape[:2]
    x, y, spread = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(10, 70)
    for _ in range(int(rng.integers(4, 40))):
        r = float(rng.gamma(2.0, 2.2)) + 1.5
        side = int(2 * r) + 6
        px, py = int(x + rng.normal(0, spread) - side / 2), int(y + rng.normal(0, spread) - side / 2)
        ring = drawn(side, side, "ellipse", [(2, 2), (2 + 2 * r, 2 + 2 * r)], 1, 0.5)
        blend(picture, ring, px, py, (255, 250, 240), float(rng.uniform(0.3, 0.9)))
        spot = drawn(side, side, "ellipse", [(2 + r * 0.5, 2 + r * 0.5), (2 + r * 0.9, 2 + r * 0.9)], 0, 0.4)
        blend(picture, spot, px, py, (255, 255, 255), 0.9)


def instrument(rng: np.random.Generator, picture: Picture) -> None:
    """A metal shaft from an edge, often with ribs or teeth."""
    height, width = picture.shape[:2]
    thick = float(rng.uniform(0.06, 0.22)) * width
    length = float(rng.uniform(0.25, 0.8)) * width
    shade = np.clip(np.sin(np.linspace(0, np.pi, max(4, int(thick)))) * rng.uniform(90, 200) + rng.uniform(10, 60), 0, 255)
    shaft = np.repeat(shade[:, None], max(8, int(length)), axis=1)
    if rng.random() < 0.5:  # ribs or engraved rings
        shaft *= 1 - rng.uniform(0.1, 0.6) * (np.sin(np.arange(shaft.shape[1]) / rng.uniform(0.8, 4.0)) > 0.3)[None]
    metal = Image.fromarray(np.clip(shaft, 0, 255).astype(np.uint8))
    solid = Image.new("L", metal.size, 255)
    if rng.random() < 0.6:  # the jaw's teeth
        pen = np.asarray(solid).copy()
        tooth = int(rng.integers(3, 9))
        for x in range(0, pen.shape[1] // 2, 2 * tooth):
            pen[: tooth + 1, x : x + tooth] = 0
        solid = Image.fromarray(pen)
    turn = float(rng.uniform(0, 360))
    metal, solid = (one.rotate(turn, Image.Resampling.BILINEAR, expand=True) for one in (metal, solid))
    x, y = int(rng.uniform(-0.3, 0.8) * width), int(rng.uniform(-0.3, 0.8) * height)
    x0, y0, x1, y1 = max(0, x), max(0, y), min(width, x + metal.width), min(height, y + metal.height)
    if x1 > x0 and y1 > y0:
        share = np.asarray(solid)[y0 - y : y1 - y, x0 - x : x1 - x, None].astype(np.float32) / 255
        tint = np.asarray(metal)[y0 - y : y1 - y, x0 - x : x1 - x, None] * np.asarray(rng.uniform(0.85, 1.0, 3), np.float32)
        picture[y0:y1, x0:x1] = (picture[y0:y1, x0:x1] * (1 - share) + tint * share).astype(np.uint8)


def ultrasound(rng: np.random.Generator, width: int, height: int) -> Picture:
    """Grey speckle in a fan or a strip on black."""
    tissue = 70 + 45 * grain(rng, width, height, rng.uniform(15, 60))[:, :, 0]
    speckle = tissue * (1 + 0.6 * grain(rng, width, height, rng.uniform(1.5, 3))[:, :, 0])
    if rng.random() < 0.6:
        mid, depth = rng.uniform(0.2, 0.8) * width, height * rng.uniform(0.7, 1.1)
        fan = [(mid, -20.0), (mid - depth * 0.6, depth * 0.8), (mid, depth), (mid + depth * 0.6, depth * 0.8)]
        speckle *= drawn(width, height, "polygon", fan) / 255
    return np.repeat(np.clip(speckle, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
