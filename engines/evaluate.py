"""Score weights on labelled pictures, as the product would look at them.

    python -m engines.evaluate IMAGES LABELS.json --weights engines/weights/east-mask.onnx --out REPORT

WEIGHTS is an ONNX file of engines.export (run with OpenVINO) or a checkpoint of engines.train (run with torch). REPORT gets
masks/STEM.png (255 = removed), sweep.csv (all figures by threshold), result.json, and failures.png: what was missed (red frames)
and what was removed without need (blue), to be looked at by a person.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from appliance.detect.scale import EIGHTHS, scale_for
from engines.card import add_scores
from engines.scoring import Labelled, Mask, Result, prepare, score

CANVAS = (576, 960)  # height, width the product lays a picture on, px
THRESHOLDS = (26, 51, 64, 77, 90, 102, 128, 153, 179, 204)
LEAST_FALSE = 12  # px; thinner regions are the rims of rightly removed text
TILE = (220, 120)  # width, height of a failure on the contact sheet, px
Picture = NDArray[np.uint8]
Look = Callable[[Picture], Picture]  # (h, w, 3) uint8, h and w multiples of 32 -> (h/4, w/4) uint8


def open_weights(path: Path) -> Look:
    """The network behind one function, whichever way it was stored."""
    return _open_checkpoint(path) if path.suffix == ".pt" else _open_onnx(path)


def _open_checkpoint(path: Path) -> Look:
    import torch

    from engines.export import MaskGraph, fused
    from engines.start import load_average

    graph = MaskGraph(fused(load_average(path))).eval()

    def look(canvas: Picture) -> Picture:
        with torch.inference_mode():
            found: Picture = graph(torch.from_numpy(canvas[None]))[0].numpy()
        return found

    return look


def _open_onnx(path: Path) -> Look:
    import openvino

    core = openvino.Core()
    compiled: dict[tuple[int, ...], Any] = {}

    def look(canvas: Picture) -> Picture:
        if canvas.shape not in compiled:  # most pictures fit one canvas; a larger one gets a network of its size
            model = core.read_model(str(path))
            model.reshape([1, *canvas.shape])
            compiled[canvas.shape] = core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"})
        found: Picture = compiled[canvas.shape](canvas[None])["score"][0]
        return found

    return look


def score_map(look: Look, image: Image.Image, zoom: float = 1.0) -> Picture:
    """The network's map for a whole picture, (h, w) uint8 at the picture's own size; zoom : on top of the product's scale."""
    width, height = image.size
    scale = scale_for((height, width), CANVAS).num / EIGHTHS * zoom
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    reduced = np.asarray(image.resize(small, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC))
    canvas = np.zeros((max(CANVAS[0], -(-small[1] // 32) * 32), max(CANVAS[1], -(-small[0] // 32) * 32), 3), np.uint8)
    canvas[: small[1], : small[0]] = reduced
    cells = look(canvas).repeat(4, axis=0).repeat(4, axis=1)[: small[1], : small[0]]
    return np.asarray(Image.fromarray(cells).resize((width, height), Image.Resampling.NEAREST))


def measure(labelled: list[Labelled], maps: list[Picture], threshold: int) -> Result:
    return sum((score(one, found >= threshold) for one, found in zip(labelled, maps)), Result())


def sweep(labelled: list[Labelled], maps: list[Picture], path: Path) -> None:
    """All figures at each threshold, as a table on the screen and in `path`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [{"threshold": t, **measure(labelled, maps, t).summary()} for t in THRESHOLDS]
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    keys = ("threshold", "recall", "clean", "ink", "precision", "excess_percent", "false_percent_mean", "false_percent_worst")
    print("  ".join(f"{key:>9.9}" for key in keys))
    for row in rows:
        print("  ".join(f"{row[key]!s:>9}" for key in keys))


def failures(
    pictures: dict[str, Image.Image], labelled: list[Labelled], maps: list[Picture], threshold: int, most: int = 80
) -> Image.Image:
    """A contact sheet: every missed box framed red, every region outside the labels framed blue."""
    tiles = []
    for one, found in zip(labelled, maps):
        mask = found >= threshold
        boxes = [(box, "red") for _, box, _ in score(one, mask).missed]
        regions, _ = ndimage.label(mask & ~one.allowed)
        for rows, columns in ndimage.find_objects(regions):
            if min(rows.stop - rows.start, columns.stop - columns.start) >= LEAST_FALSE:
                boxes.append(((columns.start, rows.start, columns.stop, rows.stop), "blue"))
        tiles += [_tile(pictures[one.name], one.name, box, colour, mask) for box, colour in boxes]
    tiles = tiles[:most]
    columns_count = 6
    sheet = Image.new("RGB", (columns_count * TILE[0], max(1, -(-len(tiles) // columns_count)) * TILE[1]), (40, 40, 40))
    for index, tile in enumerate(tiles):
        sheet.paste(tile, (index % columns_count * TILE[0], index // columns_count * TILE[1]))
    return sheet


def _tile(picture: Image.Image, name: str, box: tuple[int, int, int, int], colour: str, mask: Mask) -> Image.Image:
    """The box with its surroundings; what was removed is tinted green."""
    x0, y0, x1, y1 = box
    margin = 30
    part = (max(0, x0 - margin), max(0, y0 - margin), min(picture.width, x1 + margin), min(picture.height, y1 + margin))
    cut = np.asarray(picture.crop(part)).copy()
    removed = mask[part[1] : part[3], part[0] : part[2]]
    cut[removed, 1] = np.minimum(255, cut[removed, 1].astype(int) + 60)
    image = Image.fromarray(cut)
    ImageDraw.Draw(image).rectangle([x0 - part[0] - 1, y0 - part[1] - 1, x1 - part[0], y1 - part[1]], outline=colour)
    scale = min((TILE[0] - 4) / image.width, (TILE[1] - 16) / image.height)
    image = image.resize((max(1, int(image.width * scale)), max(1, int(image.height * scale))))
    tile = Image.new("RGB", TILE, (40, 40, 40))
    tile.paste(image, (2, 14))
    ImageDraw.Draw(tile).text((2, 1), name[-36:], fill="white")
    return tile


def write_masks(labelled: list[Labelled], maps: list[Picture], threshold: int, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for one, found in zip(labelled, maps):
        Image.fromarray(np.where(found >= threshold, 255, 0).astype(np.uint8)).save(out / f"{Path(one.name).stem}.png")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="engines.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="an ONNX mask network or a checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="folder for masks, tables and the contact sheet")
    parser.add_argument("--threshold", type=int, default=77, help="on the uint8 map, 1..255 (default 77)")
    parser.add_argument("--part", default="", help="only pictures whose name starts so, e.g. endo_")
    parser.add_argument("--second-look", type=float, metavar="ZOOM", help="also look at ZOOM times the size; the union counts")
    parser.add_argument("--card", type=Path, help="card.json to put the scores and the threshold into")
    args = parser.parse_args(arguments)
    labels = json.loads(args.labels.read_text(encoding="utf-8"))
    names = sorted(name for name in labels if name.startswith(args.part))
    pictures = {name: Image.open(args.images / name).convert("RGB") for name in names}
    labelled = [prepare(name, np.asarray(pictures[name]), labels[name]["boxes"]) for name in names]
    look = open_weights(args.weights)
    maps = [score_map(look, pictures[name]) for name in names]
    if args.second_look:
        maps = [np.maximum(found, score_map(look, pictures[name], args.second_look)) for name, found in zip(names, maps)]
    args.out.mkdir(parents=True, exist_ok=True)
    sweep(labelled, maps, args.out / "sweep.csv")
    result = measure(labelled, maps, args.threshold)
    for name, box, share in result.missed:
        print(f"missed  {name}  {list(box)}  ink covered {share}")
    summary = {"threshold": args.threshold, **result.summary()}
    print("  ".join(f"{key} {value}" for key, value in summary.items()))
    (args.out / "result.json").write_text(json.dumps({**summary, "missed": result.missed}, indent=1), encoding="utf-8")
    write_masks(labelled, maps, args.threshold, args.out / "masks")
    failures(pictures, labelled, maps, args.threshold).save(args.out / "failures.png")
    if args.card:
        second = f" --second-look {args.second_look}" if args.second_look else ""
        part = f" --part {args.part}" if args.part else ""
        command = (
            f"python -m engines.evaluate IMAGES LABELS --weights {args.weights}{second} --out REPORT --threshold {args.threshold}{part}"
        )
        add_scores(args.card, args.part + "*", {**summary, "command": command}, args.threshold)


if __name__ == "__main__":
    main()
