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

from engines.evaluate import failures, open_weights, score_map
from engines.scoring import Labelled
from engines.synth.backgrounds import PICTURE_SUFFIXES


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="engines.mine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path, help="folder of frames that should hold no text")
    parser.add_argument("--weights", type=Path, required=True, help="an ONNX mask network or a checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="folder for found.png")
    parser.add_argument("--threshold", type=int, default=64, help="on the uint8 map, 1..255 (default 64)")
    parser.add_argument("--least", type=float, default=0.05, help="%% of the picture that must be found (default 0.05)")
    args = parser.parse_args(arguments)
    look = open_weights(args.weights)
    found: list[tuple[float, str]] = []
    for path in tqdm(sorted(path for path in args.frames.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES), unit="frame"):
        with Image.open(path) as file:
            share = 100 * float((score_map(look, file.convert("RGB")) >= args.threshold).mean())
        if share > args.least:
            found.append((share, path.name))
    found.sort(reverse=True)
    for share, name in found:
        print(f'    "{name}",  # {share:.2f} %')
    names = [name for _, name in found]
    pictures = {name: Image.open(args.frames / name).convert("RGB") for name in names}
    unlabelled = [Labelled(name, (), np.zeros(pictures[name].size[::-1], bool)) for name in names]
    args.out.mkdir(parents=True, exist_ok=True)
    failures(pictures, unlabelled, [score_map(look, pictures[name]) for name in names], args.threshold).save(args.out / "found.png")


if __name__ == "__main__":
    main()
