"""Other text detectors, for comparison, where they are installed. The product needs none of them."""

from __future__ import annotations

import csv
import importlib.util
import io
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from engines.evaluate.methods import Fixed, Found, Method, Quads, size_of

WORD = "5"  # Tesseract's level of words in its table


@dataclass(frozen=True)
class Peer:
    """A detector that gives boxes; they are removed as they are."""

    name: str
    detect: Callable[[Path], Quads]
    sweeps: bool = False

    def look(self, path: Path) -> Fixed:
        quads = self.detect(path)
        height, width = size_of(path)
        drawn = Image.new("1", (width, height))
        pen = ImageDraw.Draw(drawn)
        for quad in quads:
            pen.polygon(quad.ravel().tolist(), fill=1, outline=1)
        return Fixed(Found(np.array(drawn), quads))


def rapidocr() -> Peer:
    """The detector of PP-OCRv4 alone, with its defaults."""
    import rapidocr_onnxruntime

    reader: Any = rapidocr_onnxruntime.RapidOCR()

    def detect(path: Path) -> Quads:
        with Image.open(path) as file:
            pixels = np.asarray(file.convert("RGB"))[:, :, ::-1]  # it takes BGR
        found, _ = reader(np.ascontiguousarray(pixels), use_det=True, use_cls=False, use_rec=False)
        return np.array(found or [], np.float64).reshape(-1, 4, 2)

    return Peer("RapidOCR 1.4 (PP-OCRv4)", detect)


def tesseract() -> Peer:
    """Words, looked for as sparse text."""
    version = subprocess.run(["tesseract", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]

    def detect(path: Path) -> Quads:
        told = subprocess.run(["tesseract", path, "stdout", "--psm", "11", "tsv"], capture_output=True, text=True, check=True).stdout
        rows = [row for row in csv.DictReader(io.StringIO(told), delimiter="\t", quoting=csv.QUOTE_NONE) if row["level"] == WORD]
        boxes = [tuple(int(row[key]) for key in ("left", "top", "width", "height")) for row in rows if row["text"].strip()]
        return np.array([[(x, y), (x + w, y), (x + w, y + h), (x, y + h)] for x, y, w, h in boxes], np.float64).reshape(-1, 4, 2)

    return Peer(f"Tesseract {version}", detect)


def installed() -> tuple[list[Method], list[str]]:
    """The peers that are there, and a sentence for each that is not."""
    peers: list[Method] = []
    absent = []
    if importlib.util.find_spec("rapidocr_onnxruntime"):
        peers.append(rapidocr())
    else:
        absent.append("RapidOCR is not installed: .venv-train/bin/python -m pip install rapidocr-onnxruntime==1.4.4")
    if shutil.which("tesseract"):
        peers.append(tesseract())
    else:
        absent.append("Tesseract is not installed: apt-get install tesseract-ocr")
    return peers, absent
