"""Values that travel through the house. All frozen; pictures are uint8 RGB arrays (height, width, 3)."""

from __future__ import annotations

import base64
import zlib
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Mode = Literal["mask", "boxes"]
"""How the detector's answer becomes a mask: from the score map itself, or from decoded RBOX boxes (the study's first way)."""

Precision = Literal["float", "int8"]
"""In which numbers the network's file computes; "float" leaves it to the engine whether they have 32 or 16 bits."""

Pixels = NDArray[np.uint8]
"""(height, width, 3) uint8 RGB."""

ScoreMap = NDArray[np.uint8]
"""(height / 4, width / 4) uint8, 255 = certainly text."""

Cells = NDArray[np.bool_]
"""(rows, columns) bool, True = removed."""


@dataclass(frozen=True)
class Look:
    """One way of looking at a picture.

    threshold : score from which a cell counts as text, 1..255
    stretched : with its highlights stretched (detect.tone), where other text stands out than in the picture as it is
    """

    threshold: int
    stretched: bool = False


@dataclass(frozen=True)
class Mask:
    """What is removed from one picture (a page of a file), on the grid of cells its format can change alone.

    cells : (rows, columns) bool, True = removed
    cell : (height, width) of a cell, picture pixels; a JPEG's MCU, elsewhere a small square
    size : (height, width) of the picture, pixels; the last row and column of cells may reach beyond it
    """

    cells: Cells
    cell: tuple[int, int]
    size: tuple[int, int]

    def __post_init__(self) -> None:
        expected = grid(self.size, self.cell)
        if self.cells.shape != expected:
            raise ValueError(f"mask has {self.cells.shape} cells, a picture of {self.size} px with cells of {self.cell} px has {expected}")

    @property
    def share(self) -> float:
        """The share of the picture that is removed, 0..1."""
        return float(self.cells.mean()) if self.cells.size else 0.0

    def union(self, other: Mask) -> Mask:
        """The cells of both; both must lie on the same grid."""
        if (self.cell, self.size) != (other.cell, other.size):
            raise ValueError(f"masks differ in grid: {self.size}/{self.cell} and {other.size}/{other.cell}")
        return Mask(self.cells | other.cells, self.cell, self.size)

    def covers(self, other: Mask | None) -> bool:
        """Whether every cell of the other, if there is one, is a cell of this, on the same grid."""
        return other is None or ((self.cell, self.size) == (other.cell, other.size) and not (other.cells & ~self.cells).any())

    def grown(self) -> Mask:
        """The cells and their eight neighbours."""
        rows, columns = self.cells.shape
        padded = np.pad(self.cells, 1)
        shifted = [padded[top : top + rows, left : left + columns] for top in range(3) for left in range(3)]
        return Mask(np.logical_or.reduce(shifted), self.cell, self.size)

    def to_pixels(self) -> NDArray[np.bool_]:
        """(height, width) bool, True = removed."""
        height, width = self.size
        return self.cells.repeat(self.cell[0], axis=0).repeat(self.cell[1], axis=1)[:height, :width]

    def to_json(self) -> dict[str, Any]:
        packed = base64.b64encode(zlib.compress(np.packbits(self.cells).tobytes(), 1)).decode()
        return {"cell": list(self.cell), "size": list(self.size), "cells": packed}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Mask:
        cell, size = tuple(value["cell"]), tuple(value["size"])
        rows, columns = grid(size, cell)
        need = -(-rows * columns // 8)
        # bounded, because the sender parsed a stranger's file; exact, because unpackbits takes what is missing for "not removed"
        bits = np.frombuffer(zlib.decompressobj().decompress(base64.b64decode(value["cells"]), need + 1), np.uint8)
        if bits.size != need:
            raise ValueError(f"mask holds {bits.size} bytes, {rows} x {columns} cells need {need}")
        return cls(np.unpackbits(bits, count=rows * columns).astype(bool).reshape(rows, columns), cell, size)


def grid(size: tuple[int, int], cell: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of cells that cover a picture of size (height, width) px."""
    return -(-size[0] // cell[0]), -(-size[1] // cell[1])


def ceil_eighths(size: tuple[int, int], num: int) -> tuple[int, int]:
    """(height, width) of a picture of size (height, width) px reduced to num/8, rounded up as TurboJPEG's TJSCALED does."""
    return -(-size[0] * num // 8), -(-size[1] * num // 8)


@dataclass(frozen=True)
class Header:
    """What a DICOM file's header becomes: who it is from here on, and what a site lets it keep.

    number : the examination's, "E000123"; "" gives every patient of the source one made from the secret
    index : the file's within it, "0001"
    secret : bytes that turn the source's UIDs into new ones
    retain_characteristics, retain_device, shift_dates, uids : see deid.Rules
    """

    number: str
    index: str
    secret: bytes
    retain_characteristics: bool = False
    retain_device: bool = False
    shift_dates: bool = False
    uids: str = "examination"

    def __repr__(self) -> str:
        return f"Header(number={self.number!r}, index={self.index!r})"  # a secret must not reach a log by way of a message

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "secret": self.secret.hex()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Header:
        return cls(**{**value, "secret": bytes.fromhex(value["secret"])})


@dataclass(frozen=True)
class Report:
    """What was done to one file; holds nothing that came from the picture but the mask.

    format : "jpeg", "png", "bmp", "tiff", "dicom" or "mp4"
    masks : one a page or frame; of a film one a shot, with all that was covered in it
    looks : how often the detector looked before nothing more was found
    notes : remarks for people, e.g. "ICC profile dropped"
    stages_ms : milliseconds spent in each stage, in order
    """

    format: str
    masks: tuple[Mask, ...]
    looks: int
    notes: tuple[str, ...] = ()
    stages_ms: dict[str, float] = field(default_factory=dict)

    @property
    def removed_share(self) -> float:
        """Share of all pages' area that was removed, 0..1."""
        area = sum(mask.size[0] * mask.size[1] for mask in self.masks)
        return sum(mask.share * mask.size[0] * mask.size[1] for mask in self.masks) / area if area else 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "masks": [mask.to_json() for mask in self.masks],
            "looks": self.looks,
            "notes": list(self.notes),
            "stages_ms": self.stages_ms,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Report:
        return cls(
            format=value["format"],
            masks=tuple(Mask.from_json(mask) for mask in value["masks"]),
            looks=value["looks"],
            notes=tuple(value["notes"]),
            stages_ms=value["stages_ms"],
        )


@dataclass(frozen=True)
class EngineInfo:
    """What the engine says of itself; shown by doctor, status and the page.

    name : the library and its version
    precision : "FP32", "BF16", "FP16" or "INT8"
    model : first 12 hex digits of the model file's SHA-256
    device : the chip, as its maker names it
    note : why this engine runs and not the configured one; empty when it is the one
    """

    name: str
    precision: str
    model: str
    device: str
    note: str = ""
