"""An endoscopy screen drawn in code: tissue, and text whose place is known. Needs no font but the one inside Pillow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SECRET = "PLANTED-SECRET-4711"
LINES = ("ID: 0815-4711", "Name: MUSTERFRAU, ERIKA", "Sex: F  Age: 57", "D.O.B.: 12/08/1967", "23/11/2026", "14:05:37", "CVP:1", "Comment:")


@dataclass(frozen=True)
class Screen:
    """boxes : (top, left, bottom, right) of each line of text, px"""

    image: Image.Image
    boxes: tuple[tuple[int, int, int, int], ...]


def screen(seed: int, size: tuple[int, int] = (1080, 1920)) -> Screen:
    """A frame of `size` (height, width): a soft red scene on black, white text in a left column, 2.5 % of the height."""
    rng = np.random.default_rng(seed)
    height, width = size
    coarse = rng.uniform(0.5, 1, (9, 9, 1)) * np.array([200, 90, 70])
    tissue = Image.fromarray(coarse.astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    octagon = Image.new("L", (width, height), 0)
    ImageDraw.Draw(octagon).ellipse((width // 4, 0, width, height), fill=255)
    image = Image.composite(tissue, Image.new("RGB", (width, height)), octagon.filter(ImageFilter.GaussianBlur(2)))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=height * 0.028)
    boxes = []
    for row, line in enumerate(LINES):
        place = (int(width * 0.03), int(height * (0.06 + 0.07 * row)))
        left, top, right, bottom = draw.textbbox(place, line, font=font)
        draw.text(place, line, fill=(235, 235, 235), font=font)
        boxes.append((int(top), int(left), int(bottom), int(right)))
    return Screen(image, tuple(boxes))
