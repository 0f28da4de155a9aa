"""Pictures drawn in code, and what the tests of all formats ask of a picture."""

from __future__ import annotations

import ctypes
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from appliance.formats import Limits, open_picture, turbo
from appliance.formats.common import Picture
from appliance.types import Mask, grid

LIMITS = Limits(4_000_000)
SECRET = b"MUSTERMANN^ERIKA"
SUBSAMPLINGS = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2, "grey": 3, "4:4:0": 4, "4:1:1": 5}


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(height, width, 3) uint8: slopes, noise and a few bright bars."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    slopes = np.stack([x * 2 + y, y * 3, 255 - x - y], axis=2) % 200
    slopes[:: max(height // 5, 1)] = 250
    return np.clip(slopes + rng.integers(0, 30, (height, width, 3)), 0, 255).astype(np.uint8)


def still(height: int, width: int) -> np.ndarray:
    """A scene that repeats from the last whole MCU on, so that a JPEG encoder puts beyond the edge, to the bit, what is shown there."""
    return even(scene(height, width))


def even(picture: np.ndarray) -> np.ndarray:
    sides = zip(picture.shape[:2], (16, 32))
    rows, columns = (np.minimum(np.arange(side), max(side // whole * whole - 1, 0)) for side, whole in sides)
    return picture[rows][:, columns]


def encoded(image: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(target, kind, **options)
    return target.getvalue()


def in_mode(mode: str, height: int = 61, width: int = 83) -> Image.Image:
    image = Image.fromarray(scene(height, width))
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 200 + 77)
    if mode.startswith("P"):
        return image.quantize(int(mode[1:] or 200))
    return image.convert(mode)


def jpeg(pixels: np.ndarray, subsampling: str = "4:2:0", progressive: bool = False, quality: int = 90) -> bytes:
    """A JPEG by TurboJPEG's own encoder, which knows every subsampling."""
    lib = turbo.library()
    lib.tjInitCompress.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(lib.tjInitCompress())
    buffer, size = ctypes.c_void_p(), ctypes.c_ulong()
    height, width = pixels.shape[:2]
    pixels = np.ascontiguousarray(pixels)
    wishes = (ctypes.byref(buffer), ctypes.byref(size), SUBSAMPLINGS[subsampling], quality, 16384 if progressive else 0)
    status = lib.tjCompress2(handle, ctypes.c_void_p(pixels.ctypes.data), width, 0, height, 0, *wishes)
    data = ctypes.string_at(buffer, size.value)
    lib.tjFree(buffer)
    lib.tjDestroy(handle)
    if status:
        raise RuntimeError("tjCompress2")
    return data


def pixels_of(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    return np.asarray(image if image.mode.startswith("I") else image.convert("RGB"))


def masks_for(picture: Picture, seed: int = 0, share: float = 0.2) -> list[Mask]:
    """Random cells of every page, always with one covered and one not."""
    rng = np.random.default_rng(seed)
    masks = []
    for page in picture.pages:
        cells = rng.random(grid(page.size, page.cell)) < share
        cells.flat[0], cells.flat[-1] = True, cells.size == 1
        masks.append(Mask(cells, page.cell, page.size))
    return masks


def widened(mask: Mask) -> np.ndarray:
    """(height, width) bool: the mask and one cell around it, where chroma smoothing may reach."""
    cells = np.pad(mask.cells, 1)
    around = np.zeros_like(mask.cells)
    for row in range(3):
        for column in range(3):
            around |= cells[row : row + mask.cells.shape[0], column : column + mask.cells.shape[1]]
    return Mask(around, mask.cell, mask.size).to_pixels()


def redone(data: bytes, seed: int = 0) -> tuple[Picture, bytes, Sequence[Mask]]:
    """Open, mask, rewrite and check."""
    picture = open_picture(data, LIMITS)
    masks = masks_for(picture, seed)
    finished = picture.rewrite(masks)
    picture.check(finished, masks)
    return picture, finished, masks
