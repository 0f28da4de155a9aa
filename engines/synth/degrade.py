"""What recorders, cables and archives do to a picture; every step keeps its size. Pictures are (h, w, 3) uint8."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engines.synth.canvas import Picture

SUBSAMPLINGS = (0, 1, 2)  # 4:4:4, 4:2:2, 4:2:0
METHODS = (0, 1, 2, 3, 4, 5)  # Pillow's six ways of resampling


@lru_cache(maxsize=1)
def _noise_table() -> NDArray[np.float32]:
    """A million normal values: drawing anew for each picture would cost more than all other steps together."""
    return np.random.default_rng(20261123).standard_normal(1 << 20).astype(np.float32)


def rescale(rng: np.random.Generator, picture: Picture, low: float = 0.5) -> Picture:
    """Blur by scaling down and up again (or up and down) with random methods; low : the smallest scale."""
    height, width = picture.shape[:2]
    factor = float(rng.uniform(low, 1.0)) if rng.random() < 0.75 else float(rng.uniform(1.0, 1.8))
    first, second = (Image.Resampling(int(rng.choice(METHODS))) for _ in range(2))
    if factor < 1 and first == Image.Resampling.NEAREST:
        first = Image.Resampling.BOX  # dropping rows of a reduced picture leaves nothing to read
    image = Image.fromarray(picture).resize((max(8, int(width * factor)), max(8, int(height * factor))), first)
    return np.asarray(image.resize((width, height), second))


def jpeg(rng: np.random.Generator, picture: Picture, low: int = 35) -> Picture:
    """Through JPEG at a random quality and chroma subsampling."""
    store = io.BytesIO()
    quality, subsampling = int(rng.integers(low, 98)), int(rng.choice(SUBSAMPLINGS))
    Image.fromarray(picture).save(store, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(store))


def noise(rng: np.random.Generator, picture: Picture, sigma: float) -> Picture:
    """Gaussian noise of `sigma` grey levels, the same or different in each channel."""
    table, count = _noise_table(), picture.size if rng.random() < 0.5 else picture.size // 3
    start = int(rng.integers(len(table) - count)) if count < len(table) else 0
    values = np.resize(table[start : start + count], count).reshape(*picture.shape[:2], -1) * np.float32(sigma)
    return np.clip(picture + values, 0, 255).astype(np.uint8)


def comb(rng: np.random.Generator, picture: Picture) -> Picture:
    """Interlace combing: every second row comes from a moment later."""
    out = picture.copy()
    out[1::2] = np.roll(picture[1::2], int(rng.choice([-2, -1, 1, 2])), axis=1)
    return out


def line_jitter(rng: np.random.Generator, picture: Picture) -> Picture:
    """Rows shifted by up to a pixel or two, as a worn tape or a bad sync does."""
    shifts = np.round(rng.normal(0, rng.uniform(0.3, 0.9), picture.shape[0])).astype(int)
    columns = (np.arange(picture.shape[1])[None] - shifts[:, None]) % picture.shape[1]
    shifted: Picture = picture[np.arange(picture.shape[0])[:, None], columns]
    return shifted


def fringes(rng: np.random.Generator, picture: Picture) -> Picture:
    """Purple and green edges: the channels do not meet."""
    out = picture.copy()
    for channel in (0, 2):
        shift = (int(rng.integers(-1, 2)), int(rng.integers(-2, 3)))
        out[:, :, channel] = np.roll(picture[:, :, channel], shift, axis=(0, 1))
    return out


def ringing(rng: np.random.Generator, picture: Picture) -> Picture:
    """Over-sharpened, with the bright and dark rims of an analogue edge enhancer."""
    wide = np.asarray(Image.fromarray(picture).reduce(2).resize((picture.shape[1], picture.shape[0]), Image.Resampling.BILINEAR))
    share = float(rng.uniform(0.2, 1.0))
    sharp: Picture = np.clip(picture + (picture.astype(np.float32) - wide) * share, 0, 255).astype(np.uint8)
    return sharp


def gamma(rng: np.random.Generator, picture: Picture) -> Picture:
    curve = (np.arange(256) / 255) ** float(np.exp(rng.uniform(-0.4, 0.4)))
    low, high = float(rng.uniform(0, 25)), float(rng.uniform(225, 255))
    table = np.clip(low + curve * (high - low), 0, 255).astype(np.uint8)
    return np.asarray(table[picture], np.uint8)


def degrade(rng: np.random.Generator, picture: Picture, strength: float = 1.0, smallest: float = 99.0) -> Picture:
    """A random chain of the above.

    strength : 0 leaves the picture as it is, 1 is the training mix
    smallest : px, the lowest line of text in the picture; small text is not blurred beyond reading
    """
    gentle = smallest < 11
    if rng.random() < 0.12 * strength:
        picture = ringing(rng, picture)
    if rng.random() < 0.1 * strength:
        picture = fringes(rng, picture)
    if rng.random() < 0.08 * strength:
        picture = comb(rng, picture)
    elif rng.random() < 0.05 * strength:
        picture = line_jitter(rng, picture)
    if rng.random() < 0.3 * strength:
        picture = jpeg(rng, picture, 55 if gentle else 35)
    if rng.random() < 0.4 * strength:
        picture = rescale(rng, picture, 0.75 if gentle else 0.5)
    if rng.random() < 0.3 * strength:
        picture = noise(rng, picture, float(rng.gamma(1.5, 3.0)))
    if rng.random() < 0.25 * strength:
        picture = gamma(rng, picture)
    if rng.random() < 0.45 * strength:
        picture = jpeg(rng, picture, 55 if gentle else 35)
    return picture
