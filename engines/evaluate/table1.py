"""The study's Table 1 with our rows: every stage of EAST in mask and in box mode, and whatever peers are installed, in one run.

    python -m engines.evaluate.table1 IMAGES LABELS.json --general GENERAL/checkpoint.pt --augmented AUGMENTED/checkpoint.pt \\
        --out table1.md

A stage is a checkpoint of engines.train, or a folder that engines.export wrote; the last stage is the shipped one unless
--fine-tuned names another. What is not there is named with what to do about it. The study's own figures stand below, as published:
they were measured on other pictures, and are for orientation only.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engines.card import WEIGHTS
from engines.evaluate import peers
from engines.evaluate.__main__ import recommended, threshold_of
from engines.evaluate.measure import Pictures, Tally, measure
from engines.evaluate.methods import Method, open_networks

PUBLISHED = (
    ("CharNet (pretrained)", 0.99, 0.68), ("EAST (pretrained, OpenCV)", 0.96, 0.64), ("EAST (pretrained, PyTorch)", 0.99, 0.80),
    ("EAST (augmented)", 0.95, 0.88), ("EAST (augmented + fine-tuned)", 0.98, 0.94),
)  # fmt: skip
STAGES = {"general": "EAST general", "augmented": "EAST augmented", "fine_tuned": "EAST augmented + fine-tuned"}
FIGURES = (
    "recall", "clean", "precision", "false_percent_mean", "false_percent_worst", "line_precision", "line_recall",
    "box_precision", "box_recall",
)  # fmt: skip
HEADS = ("method", "recall", "clean", "precision", "in vain %", "worst %", "line P", "line R", "box P", "box R")
LEGEND = """recall, clean, precision, in vain: what is removed, as scoring.py counts it. line P, line R: precision and recall at IoU 0.5
between lines; box P, box R: between boxes as they are, as matching.py counts them. Masks have none."""


def markdown(tallies: Sequence[Tally], absent: Sequence[str], pictures: int) -> str:
    """The whole table, with its legend."""
    lines = [f"Measured in one run on {pictures} pictures", "", _row(HEADS), _row(["---"] * len(HEADS))]
    for tally in tallies:
        summary = tally.summary()
        lines.append(_row([tally.name, *(summary[key] for key in FIGURES)]))
    lines += [f"\nNot measured: {sentence}" for sentence in absent]
    lines += ["", LEGEND, "", "As published by the study, on its own pictures:", ""]
    lines += [_row(("method", "precision", "recall")), _row(["---"] * 3), *(_row(row) for row in PUBLISHED)]
    return "\n".join(lines) + "\n"


def _row(values: Sequence[Any]) -> str:
    return "| " + " | ".join("-" if value is None else str(value) for value in values) + " |"


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="engines.evaluate.table1", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", type=Path, help="folder of pictures")
    parser.add_argument("labels", type=Path, help="labels.json")
    parser.add_argument("--general", type=Path, help="checkpoint trained on scene text alone")
    parser.add_argument("--augmented", type=Path, help="checkpoint trained on augmented scene text")
    parser.add_argument("--fine-tuned", type=Path, default=WEIGHTS, help="checkpoint of the last stage (default: the shipped weights)")
    parser.add_argument("--threshold", type=threshold_of, help="on the uint8 map, 1..255 (default: the card's)")
    parser.add_argument("--part", default="", help="only pictures whose name starts so, e.g. endo_")
    parser.add_argument("--out", type=Path, help="Markdown file to write the table to, beside the screen")
    args = parser.parse_args(arguments)
    for path in filter(None, (args.images, args.labels, args.general, args.augmented, args.fine_tuned)):
        if not path.exists():
            parser.error(f"{path} does not exist")
    return args


def main(arguments: list[str] | None = None) -> None:
    args = parse(arguments)
    pictures = Pictures.read(args.images, args.labels, args.part)
    others, absent = peers.installed()
    methods: list[Method] = []
    for stage, name in STAGES.items():
        path = getattr(args, stage)
        if path is None:
            absent.insert(0, f"{name}: no checkpoint was given (--{stage})")
        else:
            methods += open_networks(path, name)
    tallies = measure(pictures, methods + others, args.threshold or recommended([]))
    text = markdown(tallies, absent, len(pictures))
    print(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
