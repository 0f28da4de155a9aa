"""Reducing a picture that is no JPEG for the detector: by Pillow, or on a Jetson's GPU by NVIDIA's jetson-utils where it is there.

Both take the mean of the same pixels, so it does not matter to the detector which one it was. A JPEG needs neither: it is decoded at
the size that is wanted.
"""

from __future__ import annotations

import importlib
import importlib.util
import threading
from typing import Any, Protocol

import numpy as np
from PIL import Image

from appliance.errors import DeviceLost
from appliance.types import Pixels


class Reducer(Protocol):
    """why : one sentence for doctor"""

    name: str
    why: str

    def reduce(self, rgb: Pixels, num: int, out: Pixels) -> None:
        """Reduce rgb (height, width, 3) to num/8 into out (ceil(height * num / 8), ceil(width * num / 8), 3). A pixel of out is the
        mean of 8/num pixels each way; the picture's edge is repeated to where the last one ends."""
        ...


class PillowReducer:
    """Exact factors by averaging, others by Pillow's bilinear filter, which averages too when it reduces."""

    name = "Pillow"

    def __init__(self, why: str = "the engine does not run on a GPU") -> None:
        self.why = why

    def reduce(self, rgb: Pixels, num: int, out: Pixels) -> None:
        (height, width), reduced = rgb.shape[:2], out.shape[:2]
        if num == 8:
            out[...] = rgb
        elif num in (4, 2, 1):
            out[...] = np.asarray(Image.fromarray(rgb).reduce(8 // num))
        else:
            bottom, right = -(-reduced[0] * 8 // num) - height, -(-reduced[1] * 8 // num) - width
            image = Image.fromarray(np.pad(rgb, ((0, bottom), (0, right), (0, 0)), "edge") if bottom or right else rgb)
            box = (0.0, 0.0, reduced[1] * 8 / num, reduced[0] * 8 / num)
            out[...] = np.asarray(image.resize(reduced[::-1], Image.Resampling.BILINEAR, box))


class JetsonReducer:
    """cudaResize in mapped memory, for 1/2, 1/4 and 1/8; other scales are left to Pillow.

    Its linear filter reads two pixels each way whatever the factor, and at half size the two that end at 2x (cudaFilterMode.cuh):
    so halving is repeated, and the picture is laid shifted by factor - 1, which makes it the mean of the right pixels. Only the first
    row and column are not averaged. The whole picture is copied once, into mapped memory; the small one once, out of it.
    """

    name = "jetson-utils"

    def __init__(self, utils: Any) -> None:
        self.why = "NVIDIA's is there and works"
        self._utils, self._pillow = utils, PillowReducer()
        self._lock = threading.Lock()  # the GPU does one at a time anyway
        trial = np.zeros((16, 16, 3), np.uint8)
        self.reduce(trial, 1, trial[:2, :2].copy())

    def reduce(self, rgb: Pixels, num: int, out: Pixels) -> None:
        """Raises DeviceLost."""
        if num not in (4, 2, 1):
            self._pillow.reduce(rgb, num, out)
            return
        try:
            with self._lock:
                self._halve(rgb, 8 // num, out)
        except Exception as error:
            raise DeviceLost("jetson-utils", str(error).strip() or type(error).__name__) from error

    def _halve(self, rgb: Pixels, factor: int, out: Pixels) -> None:
        utils, (rows, columns) = self._utils, out.shape[:2]
        image = utils.cudaAllocMapped(width=columns * factor, height=rows * factor, format="rgb8")
        _lay(rgb[factor - 1 :, factor - 1 :], utils.cudaToNumpy(image))
        while factor > 1:
            factor //= 2
            half = utils.cudaAllocMapped(width=columns * factor, height=rows * factor, format="rgb8")
            utils.cudaResize(image, half, filter="linear")
            utils.cudaDeviceSynchronize()  # before `image` is let go of
            image = half
        out[...] = utils.cudaToNumpy(image)


def _lay(rgb: Pixels, canvas: Pixels) -> None:
    """Lay the picture in the upper left corner, its edges repeated to the right and below."""
    height, width = rgb.shape[:2]
    canvas[:height, :width] = rgb
    canvas[:height, width:] = rgb[:, -1:]
    canvas[height:] = canvas[height - 1 : height]


def real_jetson_utils() -> tuple[Any, str]:
    """NVIDIA's jetson_utils, or None and why not. The package of that name on the package index is a stranger's: the real one has
    cudaAllocMapped, and without its C extension it has not either."""
    if importlib.util.find_spec("jetson_utils") is None:
        return None, "jetson-utils is absent"
    try:
        utils = importlib.import_module("jetson_utils")
    except (ImportError, OSError) as error:
        return None, f"jetson-utils cannot be loaded: {error}"
    if not hasattr(utils, "cudaAllocMapped"):
        return None, "the installed jetson-utils is a stranger's package, or NVIDIA's without its C extension"
    return utils, ""


_reducer: list[Reducer] = [PillowReducer()]


def reducer() -> Reducer:
    """The one in use."""
    return _reducer[0]


def use_gpu() -> Reducer:
    """Reduce on the GPU from now on if that is possible here; tried once, so that nothing is loaded later. The one in use."""
    utils, why = real_jetson_utils()
    try:
        _reducer[0] = JetsonReducer(utils) if utils else PillowReducer(why)
    except DeviceLost as error:
        _reducer[0] = PillowReducer(f"jetson-utils does not work here: {error.detail}")
    return _reducer[0]
