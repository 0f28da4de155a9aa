"""The list of pictures that the weights were trained on, as perceptual hashes, and the search in it for evaluation pictures.

    python -m engines.trained_on list FRAMES PHOTOS SCENE_TEXT/images     writes engines/weights/trained-on.txt
    python -m engines.trained_on compare EVALUATION/images                fails when one of these was trained on

A picture is cut to its lit part, so that neither an overlay on the black beside it nor another aspect hides it, and reduced to
9 x 8 and to 8 x 9 greys: 128 bits that say which neighbour is brighter (dHash). The same frame, scaled, stored anew and written on,
differs by a few bits; of 40,650 pairs of different pictures that were compared none differed by fewer than 22.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from engines.card import CARD_FILE, WEIGHTS, read_card
from engines.synth.backgrounds import PICTURE_SUFFIXES

LIST_FILE = "trained-on.txt"
SIDE = 8
LIT, LIT_SHARE = 30, 0.2  # grey level; share of a row or column that must reach it
SAME = 12  # of 128 bits; pictures that differ by no more are the same


@dataclass(frozen=True)
class Hashed:
    """A picture's file name and hash."""

    name: str
    bits: int

    @classmethod
    def of(cls, path: Path) -> Hashed:
        with Image.open(path) as file:
            grey = _lit(file.convert("L"))
        across = np.asarray(grey.resize((SIDE + 1, SIDE), Image.Resampling.BOX), np.int16)
        down = np.asarray(grey.resize((SIDE, SIDE + 1), Image.Resampling.BOX), np.int16)
        bits = np.concatenate([(np.diff(across, axis=1) > 0).ravel(), (np.diff(down, axis=0) > 0).ravel()])
        return cls(path.name, int.from_bytes(np.packbits(bits).tobytes(), "big"))

    @classmethod
    def from_line(cls, line: str) -> Hashed:
        digits, name = line.split(" ", 1)
        return cls(name, int(digits, 16))

    def line(self) -> str:
        return f"{self.bits:032x} {self.name}"

    def differs(self, other: Hashed) -> int:
        """Number of bits, 0..128."""
        return (self.bits ^ other.bits).bit_count()


def _lit(grey: Image.Image) -> Image.Image:
    lit = np.asarray(grey) > LIT
    rows, columns = (np.flatnonzero(lit.mean(axis=axis) > LIT_SHARE) for axis in (1, 0))
    if not rows.size or not columns.size:
        return grey
    return grey.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))


def hash_folder(folder: Path) -> list[Hashed]:
    return [Hashed.of(path) for path in sorted(folder.iterdir()) if path.suffix.lower() in PICTURE_SUFFIXES]


def read_list(path: Path) -> list[Hashed]:
    return [Hashed.from_line(line) for line in path.read_text(encoding="utf-8").splitlines()]


def same(some: Iterable[Hashed], others: Sequence[Hashed]) -> list[tuple[Hashed, Hashed]]:
    """Pairs that show the same picture."""
    return [(one, other) for one in some for other in others if one.differs(other) <= SAME]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="engines.trained_on", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of the weights and their card (default: the shipped)")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, says in (("list", "write the list; frames that the card's recipe excludes are left out"), ("compare", "search the list")):
        commands.add_parser(name, help=says).add_argument("folders", type=Path, nargs="+", help="folders of pictures")
    args = parser.parse_args(arguments)
    for folder in args.folders:
        if not folder.is_dir():
            parser.error(f"{folder} is not a folder")
    pictures = [picture for folder in args.folders for picture in hash_folder(folder)]
    path = args.weights / LIST_FILE
    if args.command == "list":
        excluded = set(read_card(args.weights / CARD_FILE)["training"]["recipe"]["data"]["exclude"])
        lines = [picture.line() for picture in pictures if picture.name not in excluded]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        print(f"{path}: {len(lines)} pictures, {len(pictures) - len(lines)} excluded")
        return
    found = same(pictures, read_list(path))
    for one, other in found:
        print(f"{one.name} is {other.name}, which was trained on ({one.differs(other)} of 128 bits differ)")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
