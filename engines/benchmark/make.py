"""Draw the benchmark: pictures, and beside each the ink of every piece of text in it."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from engines.benchmark import VERSION
from engines.benchmark.kinds import Draw, Kit, Scene
from engines.synth.backgrounds import Backgrounds
from engines.synth.fonts import FontBook

SEED = 20261125
QUALITY = 92
LOSSLESS = ("contrast-", "channel-", "woven-", "isoluminant", "watermark-", "over-pattern")  # kinds that JPEG itself would wipe out


def make(out: Path, kinds: dict[str, Draw], book: FontBook, store: Backgrounds, count: int, seed: int) -> int:
    """Write images/KIND-NN.jpg or .png, ink/KIND-NN.png and benchmark.json; the number of pictures.

    A picture depends on its kind, its number and the seed alone. Where a kind finds no room for text, the picture is left out.
    """
    for folder in ("images", "ink"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    pictures = {}
    for name, number in tqdm([(name, number) for name in kinds for number in range(count)], unit="picture", mininterval=1.0):
        origin = [seed, zlib.crc32(name.encode()), number]
        scene = kinds[name](np.random.default_rng(origin), Kit(book.shelf(seed, number), store))
        if scene.pieces or name.startswith("free-"):
            pictures[f"{name}-{number:02}"] = _save(out, name, f"{name}-{number:02}", scene)
    table = {"version": VERSION, "seed": seed, "count": count, "pictures": pictures}
    (out / "benchmark.json").write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return len(pictures)


def _save(out: Path, kind: str, stem: str, scene: Scene) -> dict[str, object]:
    image = Image.fromarray(scene.pixels)
    if kind.startswith(LOSSLESS):
        file = f"{stem}.png"
        image.save(out / "images" / file, compress_level=1)
    else:
        file = f"{stem}.jpg"
        image.save(out / "images" / file, quality=QUALITY, subsampling=2)
    if scene.pieces:
        numbers = np.zeros(scene.pixels.shape[:2], np.uint16)
        for number, (_, ink) in enumerate(scene.pieces, 1):
            numbers[ink] = number
        Image.fromarray(numbers).save(out / "ink" / f"{stem}.png", compress_level=1)
    return {"kind": kind, "file": file, "width": image.width, "height": image.height, "pieces": [said for said, _ in scene.pieces]}
