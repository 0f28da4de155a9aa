"""Find the training frames that a trained network takes for text: they hold some after all, or they are its hardest negatives.

    python -m engines.mine FRAMES --weights engines/weights/east-mask.onnx --out REPORT

Prints, worst first, every frame in which more than --least of the picture is found, as lines for a recipe's [data] section, and
writes REPORT/found.png, each finding with its surroundings. A person looks at the sheet: frames with text belong under `exclude`,
all others under `hard`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from engines.evaluate.methods import open_networks
from engines.evaluate.scoring import Labelled
from engines.evaluate.sheet import contact_sheet, failures
from engines.synth.backgrounds import PICTURE_SUFFIXES


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="engines.mine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path, help="folder of frames that should hold no text")
    parser.add_argument("--weights", type=Path, required=True, help="an ONNX mask network or a checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="folder for found.png")
    parser.add_argument("--threshold", type=int, default=64, help="on the uint8 map, 1..255 (default 64)")
    parser.add_argument("--least", type=float, default=0.05, help="%% of the picture that must be found (default 0.05)")
    args = parser.parse_args(arguments)
    network = open_networks(args.weights)[0]
    found: list[tuple[float, str, list[Image.Image]]] = []
    for path in tqdm(sorted(path for path in args.frames.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES), unit="frame"):
        mask = network.look(path).at(args.threshold).mask
        if 100 * mask.mean() > args.least:
            with Image.open(path) as file:
                tiles = list(failures(file.convert("RGB"), Labelled(path.name, (), (), np.zeros_like(mask)), mask))
            found.append((100 * float(mask.mean()), path.name, tiles))
    found.sort(key=lambda one: one[0], reverse=True)
    for share, name, _ in found:
        print(f'    "{name}",  # {share:.2f} %')
    args.out.mkdir(parents=True, exist_ok=True)
    contact_sheet([tile for _, _, tiles in found for tile in tiles]).save(args.out / "found.png")


if __name__ == "__main__":
    main()
