"""Score networks, or masks that something else made, on labelled pictures.

    python -m engines.evaluate IMAGES LABELS.json --out REPORT                              the shipped FP32, FP16 and INT8 networks
    python -m engines.evaluate IMAGES LABELS.json --out REPORT --weights RUN/checkpoint.pt  a checkpoint, in mask and in box mode
    anonbox redact IMAGES --out OUT --masks MASKS &&
    python -m engines.evaluate IMAGES LABELS.json --out REPORT --masks MASKS                the whole product

A network is judged by its first look; the product looks again, so its own masks may score a little higher. LABELS.json is
{picture: {"boxes": [{"box": [x0, y0, x1, y1], "kind": "overlay" or "other"}]}}, px; what is counted is in scoring.py (recall, clean,
ink, precision, what is removed in vain) and in matching.py (boxes and lines at IoU 0.5).

REPORT gets pictures.csv, heights.csv (text height at the detector), sweep.csv, result.json, and for each method METHOD.png: what was
missed (framed red) and what was removed in vain (blue); METHOD-sweep.png; masks/METHOD/STEM.png, 255 = removed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from engines.card import CARD_FILE, WEIGHTS, add_scores, read_card
from engines.evaluate.measure import Pictures, Tally, by_height, by_picture, measure
from engines.evaluate.methods import MaskFolder, Method, open_networks, size_of
from engines.evaluate.report import plot_sweep, save_csv, side_by_side, table
from engines.evaluate.sheet import contact_sheet


def write_report(out: Path, pictures: Pictures, tallies: Sequence[Tally], threshold: int) -> None:
    """All files of a report; the tables also to the screen."""
    sizes = {name: size_of(pictures.folder / name) for name in pictures.labels}
    heights = [row for tally in tallies for row in by_height(tally, sizes)]
    sweep = [
        {"method": tally.name, "threshold": level, **result.summary()} for tally in tallies for level, result in sorted(tally.sweep.items())
    ]
    save_csv(out / "pictures.csv", (row for tally in tallies for row in by_picture(tally)))
    save_csv(out / "heights.csv", heights)
    save_csv(out / "sweep.csv", sweep)
    result = {tally.name: {"threshold": threshold, **tally.summary(), "missed": _missed(tally)} for tally in tallies}
    (out / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for tally in tallies:
        contact_sheet(tally.tiles).save(out / f"{tally.name}.png")
        if tally.sweep:
            plot_sweep(tally, threshold).save(out / f"{tally.name}-sweep.png")
        for name, box, covered in _missed(tally):
            print(f"missed by {tally.name}  {name}  {box}  ink covered {covered}")
    print(table((list(row.values()) for row in heights), ["method", "text height, px", "boxes", "recall"]), end="\n\n")
    if sweep:
        keys = ("method", "threshold", "recall", "clean", "ink", "precision", "excess_percent", "false_percent_mean", "false_percent_worst")
        print(table(([row[key] for key in keys] for row in sweep), keys), end="\n\n")
    print(side_by_side(tallies))


def _missed(tally: Tally) -> list[tuple[str, list[int], float]]:
    return [(box.name, list(box.box), round(box.covered / box.ink, 2)) for box in tally.total.missed]


def threshold_of(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= 255:
        raise argparse.ArgumentTypeError(f"threshold is {value}, must be 1 to 255")
    return int(value)


def recommended(weights: Sequence[Path]) -> int:
    """The threshold of the card beside the first network, or of the shipped card."""
    cards = [path.parent / CARD_FILE for path in weights if (path.parent / CARD_FILE).is_file()]
    return int(read_card(cards[0] if cards else WEIGHTS / CARD_FILE)["threshold"])


def shipped() -> list[Path]:
    """The FP32 mask network, its variants and the box network, as the card names them."""
    return [WEIGHTS / name for name in read_card(WEIGHTS / CARD_FILE)["files"]]


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="engines.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of pictures")
    parser.add_argument("labels", type=Path, help="labels.json")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report, made when missing")
    parser.add_argument("--weights", type=Path, action="append", help="ONNX file or checkpoint.pt; repeat to compare (default: shipped)")
    parser.add_argument(
        "--masks", type=Path, action="append", default=[], help="folder of masks, e.g. from anonbox redact; may be repeated"
    )
    parser.add_argument("--threshold", type=threshold_of, help="on the uint8 map, 1..255 (default: the card's)")
    parser.add_argument("--part", default="", help="only pictures whose name starts so, e.g. endo_")
    parser.add_argument("--card", type=Path, help="card.json to put the scores into; with --threshold also the threshold")
    args = parser.parse_args(arguments)
    for path in [*(args.weights or []), *args.masks, args.labels, args.images]:
        if not path.exists():
            parser.error(f"{path} does not exist")
    if args.weights is None:
        args.weights = [] if args.masks else shipped()
    return args


def main(arguments: list[str] | None = None) -> None:
    args = parse(arguments)
    pictures = Pictures.read(args.images, args.labels, args.part)
    threshold = args.threshold or recommended(args.weights)
    methods: list[Method] = [network for path in args.weights for network in open_networks(path)]
    methods += [MaskFolder(folder, folder.name) for folder in args.masks]
    args.out.mkdir(parents=True, exist_ok=True)
    tallies = measure(pictures, methods, threshold, args.out / "masks")
    write_report(args.out, pictures, tallies, threshold)
    if args.card:
        for tally in tallies:
            part = f" --part {args.part}" if args.part else ""
            command = f"python -m engines.evaluate IMAGES LABELS --out REPORT --threshold {threshold}{part}"
            scores = {"threshold": threshold, **tally.summary(), "command": command}
            add_scores(args.card, f"{tally.name}, {args.part}*", scores, args.threshold)


if __name__ == "__main__":
    main()
