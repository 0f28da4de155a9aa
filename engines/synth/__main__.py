"""Look at the synthetic data, or make whole screens of it.

python -m engines.synth preview --out DIR     one picture for each part: text, backgrounds, decoys, overlays, degrade (, scene-text)
python -m engines.synth sample --out DIR --count 20 --size 1920x1080 --seed 1 [--jpeg]     screens and labels.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from engines.synth import degrade as wear
from engines.synth import text
from engines.synth.backgrounds import Backgrounds, view
from engines.synth.canvas import Picture
from engines.synth.decoys import KINDS as DECOYS
from engines.synth.fonts import FontBook, find_faces, system_faces
from engines.synth.paint import TextBox
from engines.synth.scene_text import Photo, draw_scene_crop, load_scene_text
from engines.synth.screens import Mix, draw_crop, draw_screen
from engines.synth.targets import corners

SIDE = 384
JPEG_QUALITY = 90


def tile(pictures: list[Picture], columns: int) -> Image.Image:
    """Pictures of one size, row by row."""
    height, width = pictures[0].shape[:2]
    sheet = Image.new("RGB", (columns * width, -(-len(pictures) // columns) * height))
    for index, picture in enumerate(pictures):
        sheet.paste(Image.fromarray(picture), (index % columns * width, index // columns * height))
    return sheet


def with_boxes(pixels: Picture, boxes: tuple[TextBox, ...]) -> Picture:
    """The picture with its boxes: red where text is asked for, blue where it is too faint to ask."""
    image = Image.fromarray(pixels)
    pen = ImageDraw.Draw(image)
    for box in boxes:
        pen.polygon(corners(box), outline="red" if box.care else "blue")
    return np.asarray(image)


def preview(out: Path, seed: int, book: FontBook, store: Backgrounds, photos: tuple[Photo, ...] = ()) -> None:
    """One PNG for each part of the generator."""
    out.mkdir(parents=True, exist_ok=True)
    preview_text(seed, book).save(out / "text.png")
    rngs = [np.random.default_rng([seed, k]) for k in range(20)]
    tile([view(rng, store, SIDE, SIDE) for rng in rngs], 5).save(out / "backgrounds.png")
    scenes = []
    for k, (decoy, _) in enumerate(DECOYS):
        picture = view(rngs[k], Backgrounds(), SIDE, SIDE)
        decoy(rngs[k], picture)
        scenes.append(picture)
    tile(scenes, 5).save(out / "decoys.png")
    mix = Mix(turned=0.2, stretched=0.2)
    crops = [draw_crop(rng, book.shelf(seed, k), store, SIDE, mix) for k, rng in enumerate(rngs)]
    tile([with_boxes(crop.pixels, crop.boxes) for crop in crops], 5).save(out / "overlays.png")
    if photos:
        worn = [draw_scene_crop(rng, photos, SIDE, degraded=k % 2) for k, rng in enumerate(rngs)]
        tile([with_boxes(pixels, boxes) for pixels, boxes in worn], 5).save(out / "scene-text.png")
    clear = draw_screen(np.random.default_rng(seed), book, store, 640, 512, degraded=0).pixels
    steps: list[Callable[[np.random.Generator, Picture], Picture]] = [
        wear.rescale, wear.jpeg, lambda rng, one: wear.noise(rng, one, 8.0), wear.comb, wear.line_jitter, wear.fringes,
        wear.ringing, wear.gamma,
    ]  # fmt: skip
    tile([clear, *(step(np.random.default_rng(seed), clear) for step in steps)], 3).save(out / "degrade.png")


def preview_text(seed: int, book: FontBook) -> Image.Image:
    """Two hundred lines, white on black."""
    sheet = Image.new("L", (1400, 900))
    x = y = 6
    for k in range(200):
        rng = np.random.default_rng([seed, k])
        shelf = book.shelf(seed, k // 20)
        said, hand = text.content(rng, shelf, text.draw_hand(rng, shelf, float(np.exp(rng.uniform(np.log(5), np.log(30))))))
        alpha = text.write(hand, said)
        if alpha.size == 0:
            continue
        if x + alpha.shape[1] > sheet.width - 6:
            x, y = 6, y + 42
        sheet.paste(Image.fromarray(alpha), (x, y))
        x += alpha.shape[1] + 14
    return sheet


def label(drawing_boxes: tuple[TextBox, ...]) -> list[dict[str, Any]]:
    """Upright boxes [x0, y0, x1, y1] in px; kind "overlay" must be removed, "other" need not."""
    entries = []
    for box in drawing_boxes:
        points = np.asarray(corners(box))
        x0, y0, x1, y1 = (round(float(v), 1) for v in (*points.min(axis=0), *points.max(axis=0)))
        entries.append({"box": [x0, y0, x1, y1], "kind": "overlay" if box.care else "other", "text": box.text})
    return entries


def sample(out: Path, count: int, size: tuple[int, int], seed: int, book: FontBook, store: Backgrounds, jpeg: bool = False) -> None:
    """`count` whole screens of size = (width, height) px and labels.json beside them."""
    out.mkdir(parents=True, exist_ok=True)
    labels = {}
    for k in range(count):
        drawing = draw_screen(np.random.default_rng([seed, k]), book.shelf(seed, k), store, *size)
        name = f"screen-{k:04}.{'jpg' if jpeg else 'png'}"
        options: dict[str, Any] = {"quality": JPEG_QUALITY, "subsampling": 2} if jpeg else {"compress_level": 1}
        Image.fromarray(drawing.pixels).save(out / name, **options)
        labels[name] = {"width": size[0], "height": size[1], "boxes": label(drawing.boxes)}
    (out / "labels.json").write_text(json.dumps(labels, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def parse_size(value: str) -> tuple[int, int]:
    """(width, height) of "1920x1080"."""
    try:
        width, height = (int(part) for part in value.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"size is {value!r}, must look like 1920x1080") from None
    if min(width, height) < 64 or max(width, height) > 8192:
        raise argparse.ArgumentTypeError(f"size is {width} x {height} px, sides must be 64 to 8192 px")
    return width, height


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="engines.synth", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, says in (("preview", "one picture for each part of the generator"), ("sample", "whole screens and labels.json")):
        one = commands.add_parser(name, help=says)
        one.add_argument("--out", type=Path, required=True, help="folder, made when missing")
        one.add_argument("--seed", type=int, default=1)
        one.add_argument("--fonts", type=Path, action="append", default=[], help="font folder (default: the machine's own fonts)")
        one.add_argument("--frames", type=Path, help="folder of endoscopic frames without text (default: procedural scenes)")
        one.add_argument("--photos", type=Path, help="folder of photographs without text")
    commands.choices["preview"].add_argument("--scene-text", type=Path, help="folder of ICDAR 2015's form, images/ and gt/gt_STEM.txt")
    commands.choices["sample"].add_argument("--count", type=int, default=10)
    commands.choices["sample"].add_argument("--size", type=parse_size, default=(1920, 1080), metavar="WxH", help="default 1920x1080")
    commands.choices["sample"].add_argument("--jpeg", action="store_true", help=f"JPEG at quality {JPEG_QUALITY} instead of PNG")
    args = parser.parse_args(arguments)
    book = FontBook.of(find_faces(args.fonts) if args.fonts else system_faces())
    store = Backgrounds.load(args.frames, args.photos)
    if args.command == "preview":
        preview(args.out, args.seed, book, store, load_scene_text(args.scene_text))
    else:
        sample(args.out, args.count, args.size, args.seed, book, store, args.jpeg)


if __name__ == "__main__":
    main()
