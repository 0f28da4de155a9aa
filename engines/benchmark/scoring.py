"""What survives: the drawn pieces of text that masks leave readable, and what masks take where nothing is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

READABLE, GONE = 0.5, 0.9
"""A piece of text of whose ink less than READABLE is covered survives; from GONE on it is gone; between, part of it can be read."""

FREE = "free-"  # kinds without any text


@dataclass
class Row:
    """Counts of one kind.

    pieces : of text; survive, partly, gone : of them; pictures : of the kind; missing : those without a mask, whose text survives
    false : share of each text-free picture that is taken, %
    """

    kind: str
    pieces: int = 0
    survive: int = 0
    partly: int = 0
    gone: int = 0
    pictures: int = 0
    missing: int = 0
    false: tuple[float, ...] = ()

    def summary(self) -> dict[str, Any]:
        """JSON."""
        shares = {
            name: round(100 * getattr(self, name) / self.pieces, 1) if self.pieces else None for name in ("survive", "partly", "gone")
        }
        vain = (
            {"false_percent_mean": round(float(np.mean(self.false)), 4), "false_percent_worst": round(max(self.false), 4)}
            if self.false
            else {}
        )
        return {"kind": self.kind, "pictures": self.pictures, "missing": self.missing, "pieces": self.pieces, **shares, **vain}


def score(benchmark: Path, masks: Path) -> list[Row]:
    """benchmark : folder of `make`; masks : one PNG a picture, STEM.png, of its size, 255 = removed; none: nothing was.

    Raises ValueError for a mask of another size.
    """
    rows: dict[str, Row] = {}
    for stem, entry in sorted(labels_of(benchmark)["pictures"].items()):
        row = rows.setdefault(entry["kind"], Row(entry["kind"]))
        _count(row, entry, _mask(masks / f"{stem}.png", entry), benchmark / "ink" / f"{stem}.png")
    return list(rows.values())


def labels_of(benchmark: Path) -> dict[str, Any]:
    """benchmark.json: version, seed, count, pictures {stem: kind, file, width, height, pieces}."""
    table: dict[str, Any] = json.loads((benchmark / "benchmark.json").read_text(encoding="utf-8"))
    return table


def _mask(path: Path, entry: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
    if not path.exists():
        return None
    with Image.open(path) as file:
        mask = np.asarray(file.convert("L")) > 127
    if mask.shape != (entry["height"], entry["width"]):
        raise ValueError(f"{path}: the mask is {mask.shape[1]} x {mask.shape[0]} px, its picture {entry['width']} x {entry['height']} px")
    return mask


def _count(row: Row, entry: dict[str, Any], mask: np.ndarray[Any, np.dtype[np.bool_]] | None, ink: Path) -> None:
    row.pictures += 1
    row.missing += mask is None
    if row.kind.startswith(FREE):
        row.false += (0.0 if mask is None else 100 * float(mask.mean()),)
        return
    with Image.open(ink) as file:
        numbers = np.asarray(file)
    for covered in _covered(numbers, mask, len(entry["pieces"])):
        row.pieces += 1
        row.survive += covered < READABLE
        row.partly += READABLE <= covered < GONE
        row.gone += covered >= GONE


def _covered(numbers: np.ndarray[Any, Any], mask: np.ndarray[Any, np.dtype[np.bool_]] | None, pieces: int) -> Iterator[float]:
    """Share of each piece's ink that is masked; numbers : (h, w), the piece each pixel is ink of, from 1 on, 0 none."""
    whole = np.bincount(numbers.ravel(), minlength=pieces + 1)
    hidden = np.bincount(numbers[mask], minlength=pieces + 1) if mask is not None else np.zeros(pieces + 1)
    for number in range(1, pieces + 1):
        yield float(hidden[number] / max(1, whole[number]))
