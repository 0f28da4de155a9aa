"""Drawn endoscopy screens for measurements: tissue with a camera's noise, a dark column of text at the left. No two are alike."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from appliance.errors import AnonBoxError
from appliance.types import Pixels

LINES = ("ID: 0815-4711", "Name: MUSTERFRAU, ERIKA", "Sex: F  Age: 57", "D.O.B.: 12/08/1967", "CVP:1  Ct:N  Eh:A3", "Comment:")
QUALITY = 90
NOISE = 11.0
"""Standard deviation, of 255: a 1080p JPEG of QUALITY then has 0.6 MB, as the recorders' files have."""


def drawn_pixels(seed: int, size: tuple[int, int] = (1080, 1920)) -> Pixels:
    """A screen of (height, width) px."""
    rng = np.random.default_rng(seed)
    height, width = size
    coarse = Image.fromarray(rng.integers(60, 230, (9, 16), dtype=np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    light = np.asarray(coarse, np.float32) + rng.normal(0, NOISE, (height, width)).astype(np.float32)
    light[:, : width // 5] *= 0.1
    image = Image.fromarray(np.clip(light[:, :, None] * (1, 0.6, 0.5), 0, 255).astype(np.uint8))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=0.026 * height)
    for row, line in enumerate(LINES):
        draw.text((width // 50, height * (1 + row) // 10), line, fill=(235, 235, 235), font=font)
    draw.text((0.78 * width, 0.04 * height), f"2026/11/{1 + seed % 30:02d} 14:05", fill="white", font=font)
    return np.asarray(image)


@cache
def drawn_file(seed: int, size: tuple[int, int] = (1080, 1920)) -> bytes:
    """The same as a JPEG, 4:2:0."""
    file = io.BytesIO()
    Image.fromarray(drawn_pixels(seed, size)).save(file, "JPEG", quality=QUALITY, subsampling="4:2:0")
    return file.getvalue()


def drawn_files(count: int = 24, size: tuple[int, int] = (1080, 1920)) -> list[bytes]:
    """So many different ones."""
    return [drawn_file(seed, size) for seed in range(count)]


def from_folder(folder: Path) -> list[bytes]:
    """The JPEGs below a folder. Raises AnonBoxError where there is none."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"} and path.is_file())
    if not paths:
        raise AnonBoxError(f"{folder} holds no .jpg or .jpeg file")
    return [path.read_bytes() for path in paths]
