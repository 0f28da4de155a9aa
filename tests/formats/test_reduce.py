"""Pillow and jetson-utils reduce alike. The stand-in computes as cudaResize does (jetson-utils, cuda/cudaFilterMode.cuh), in float32."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from drawn import scene

from appliance.errors import DeviceLost
from appliance.formats import reduce
from appliance.formats.reduce import JetsonReducer, PillowReducer, real_jetson_utils, reducer, use_gpu
from appliance.types import ceil_eighths


def resize(source: np.ndarray, target: np.ndarray) -> None:
    """cudaResize(..., filter="linear") on uchar3: the four pixels around x * ratio - 0.5, truncated to whole numbers."""

    def axis(length: int, wanted: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        place = np.maximum(np.arange(wanted, dtype=np.float32) / np.float32(wanted) * np.float32(length) - np.float32(0.5), 0)
        first = place.astype(int)
        return first, np.minimum(first + 1, length - 1), place - first

    (y1, y2, fy), (x1, x2, fx) = (axis(source.shape[i], target.shape[i]) for i in (0, 1))
    wide, fy, fx = source.astype(np.float32), fy[:, None, None], fx[None, :, None]
    upper = wide[y1][:, x1] * (1 - fx) + wide[y1][:, x2] * fx
    lower = wide[y2][:, x1] * (1 - fx) + wide[y2][:, x2] * fx
    target[...] = (upper * (1 - fy) + lower * fy).astype(np.uint8)


class Utils(SimpleNamespace):
    """jetson_utils, as far as it is used; cudaResize is done only when it is waited for."""

    def __init__(self) -> None:
        super().__init__(__name__="jetson_utils", fault="")
        self._queued: list[tuple[np.ndarray, np.ndarray]] = []

    def cudaAllocMapped(self, width: int, height: int, format: str) -> SimpleNamespace:
        assert format == "rgb8"
        return SimpleNamespace(memory=np.full((height, width, 3), 0xEE, np.uint8))

    def cudaToNumpy(self, image: SimpleNamespace) -> np.ndarray:
        return image.memory

    def cudaResize(self, source: SimpleNamespace, target: SimpleNamespace, filter: str = "point") -> None:
        if self.fault:
            raise Exception(self.fault)
        assert filter == "linear"
        self._queued.append((source.memory, target.memory))

    def cudaDeviceSynchronize(self) -> None:
        while self._queued:
            resize(*self._queued.pop(0))


@pytest.fixture
def utils(monkeypatch: pytest.MonkeyPatch) -> Iterator[Utils]:
    utils = Utils()
    monkeypatch.setitem(sys.modules, "jetson_utils", utils)
    monkeypatch.setattr(reduce.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(reduce, "_reducer", [PillowReducer()])
    yield utils


@pytest.mark.parametrize("num", [1, 2, 4])
@pytest.mark.parametrize("size", [(96, 128), (97, 131), (8, 9), (103, 8)])
def test_both_take_the_mean_of_the_same_pixels(utils: Utils, num: int, size: tuple[int, int]) -> None:
    rgb = scene(*size, seed=3)
    ours, theirs = (np.zeros((*ceil_eighths(size, num), 3), np.uint8) for _ in range(2))
    PillowReducer().reduce(rgb, num, ours)
    JetsonReducer(utils).reduce(rgb, num, theirs)
    last = [slice(1, side // (8 // num)) for side in size]  # where a pixel is a mean of whole ones, and not in the first row or column
    difference = np.abs(ours.astype(int) - theirs.astype(int))[last[0], last[1]]
    assert not difference.size or difference.max() <= 3  # truncated at each halving
    assert theirs.any()


@pytest.mark.parametrize("num", [3, 5, 8, 12])
def test_other_scales_are_pillows(utils: Utils, num: int) -> None:
    rgb = scene(96, 128)
    ours, theirs = (np.zeros((*ceil_eighths((96, 128), num), 3), np.uint8) for _ in range(2))
    PillowReducer().reduce(rgb, num, ours)
    JetsonReducer(utils).reduce(rgb, num, theirs)
    assert np.array_equal(ours, theirs)


def test_the_real_one_is_used_once_it_has_shown_that_it_works(utils: Utils) -> None:
    assert reducer().name == "Pillow"
    assert use_gpu().name == reducer().name == "jetson-utils"


def test_one_that_does_not_work_is_not_used(utils: Utils) -> None:
    utils.fault = "jetson.utils -- cudaResize() failed"
    assert (use_gpu().name, reducer().why) == ("Pillow", "jetson-utils does not work here: jetson.utils -- cudaResize() failed")


def test_a_gpu_lost_later_is_not_the_pictures_fault(utils: Utils) -> None:
    gpu = use_gpu()
    utils.fault = "CUDA error 719"
    with pytest.raises(DeviceLost, match="jetson-utils failed: CUDA error 719"):
        gpu.reduce(scene(64, 64), 4, np.zeros((32, 32, 3), np.uint8))


def test_a_strangers_package_is_not_taken(utils: Utils, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jetson_utils", SimpleNamespace(__name__="jetson_utils", resize=None))
    assert real_jetson_utils()[0] is None and "stranger" in use_gpu().why


def test_without_it_pillow_says_why() -> None:
    assert real_jetson_utils() == (None, "jetson-utils is absent")
