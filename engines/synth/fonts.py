"""Faces from any folders, the scripts each covers, and a small cache of opened fonts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import ImageFont

from engines.synth import words

SUFFIXES = {".ttf", ".otf", ".ttc", ".otb", ".woff2"}
SYSTEM_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
BITMAP_LIKE = re.compile(r"terminus|unifont|vt323|press-?start|ocr-?[ab]|share-tech-mono|proggy|spleen|cozette", re.I)
# Symbol sets have no letters; fontsource splits each face by script, and its full Latin file is the one wanted.
UNWANTED = re.compile(r"emoji|symbol|icon|math|dingbat|bullets|d050000l|barcode|-latin-ext-|-vietnamese-", re.I)
LATIN = "Ag05:"
SAMPLE = 6  # letters of a script that a face must have
DRAW_SIZES = (10, 11, 12, 13, 14, 16, 18, 20, 24, 28, 32, 40, 48, 64, 96, 160)  # few, so that opened fonts are used again

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Face:
    """One file of letters; axes : values of a variable face's axes, one of them each; built_in : Pillow's own 6x11 bitmap."""

    path: str
    bitmap: bool = False
    built_in: bool = False
    axes: tuple[float, ...] = ()


BUILT_IN = Face("built-in", bitmap=True, built_in=True)


def find_faces(folders: list[Path]) -> tuple[Face, ...]:
    """All faces below the folders with Latin letters or those of words.SCRIPTS, in a stable order; Pillow's own bitmap is the first."""
    faces = [BUILT_IN]
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in SUFFIXES or UNWANTED.search(path.name) or not path.is_file():
                continue
            if "italic" in path.name.lower() and "fontsource" in str(path):
                continue
            face = Face(str(path), bitmap=bool(BITMAP_LIKE.search(path.name)))
            if covers(face, LATIN) or any(covers(face, letters[:SAMPLE]) for letters in words.SCRIPTS):
                faces.append(face)
    return tuple(faces)


def system_faces() -> tuple[Face, ...]:
    """The faces installed on this machine; never empty, for Pillow carries one."""
    return find_faces([folder for folder in SYSTEM_FOLDERS if folder.is_dir()])


@lru_cache(maxsize=768)
def open_font(face: Face, size: int) -> Font | None:
    """The face at `size` px, or None where the file has no such strike or cannot be read."""
    if face.built_in:
        return ImageFont.load_default_imagefont()
    try:
        font = ImageFont.truetype(face.path, size)
        if face.axes:
            font.set_variation_by_axes(list(face.axes))
    except (OSError, ValueError):
        return None
    return font


@lru_cache(maxsize=16384)
def covers(face: Face, text: str) -> bool:
    """Whether the face has a glyph of its own for every character of `text` (its missing-glyph box is none)."""
    font = open_font(face, 16)
    if font is None:
        return False
    if face.built_in:
        return all(" " <= char <= "~" for char in text)
    try:
        missing = bytes(font.getmask("\U0010fffe"))
        return all(char == " " or bytes(font.getmask(char)) not in (missing, b"") for char in text)
    except (OSError, ValueError):
        return False


@lru_cache(maxsize=1024)
def axis_ranges(path: str) -> tuple[tuple[float, float], ...]:
    """(least, most) of each axis of a variable face; empty for others."""
    try:
        axes = ImageFont.truetype(path, 16).get_variation_axes()
    except (OSError, NotImplementedError):
        return ()
    return tuple((float(axis["minimum"] or 0), float(axis["maximum"] or 0)) for axis in axes)


@dataclass(frozen=True)
class FontBook:
    """The faces to draw from, and for each script in words.SCRIPTS those that have its letters."""

    latin: tuple[Face, ...]
    bitmap: tuple[Face, ...]
    scripts: tuple[tuple[Face, ...], ...]

    @classmethod
    def of(cls, faces: tuple[Face, ...]) -> FontBook:
        latin = [face for face in faces if covers(face, LATIN)]
        bitmap = tuple(face for face in latin if face.bitmap)
        scripts = tuple(tuple(f for f in faces if covers(f, letters[:SAMPLE])) for letters in words.SCRIPTS)
        return cls(tuple(face for face in latin if not face.bitmap) or bitmap, bitmap, scripts)

    def shelf(self, seed: int, number: int, bitmap_share: float = 0.35, count: int = 12) -> FontBook:
        """A few faces of the book, the same for the same (seed, number): opening a face costs more than drawing with it."""
        rng = np.random.default_rng([seed, number, 7])
        latin = tuple(_vary(rng, self.latin[int(rng.integers(len(self.latin)))]) for _ in range(count))
        few = max(1, round(count * bitmap_share))
        bitmap = tuple(self.bitmap[int(rng.integers(len(self.bitmap)))] for _ in range(few))
        scripts = tuple((one[int(rng.integers(len(one)))],) if one else () for one in self.scripts)
        return FontBook(latin, bitmap, scripts)


def _vary(rng: np.random.Generator, face: Face) -> Face:
    """A random point in a variable face's design space."""
    ranges = () if face.built_in else axis_ranges(face.path)
    if not ranges:
        return face
    return Face(face.path, face.bitmap, False, tuple(float(np.round(rng.uniform(low, high), 1)) for low, high in ranges))
