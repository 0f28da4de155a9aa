"""The steps that the ladder's rows are put together from. OpenCV, torch and shapely belong to the bench extra."""

from __future__ import annotations

import ctypes
import math
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.detect import mask, rbox
from appliance.detect.scale import EIGHTHS, STRIDE, Scale
from appliance.engine import EngineOptions, open_engine
from appliance.engine.model import load_model
from appliance.formats import Limits, Picture, open_picture, turbo
from appliance.types import Cells, Pixels, Precision, ScoreMap, ceil_eighths

HALF, FULL = 4, EIGHTHS
QUALITY = 90
PAD = 32
"""Sides of a network's input are multiples of it."""


@dataclass(frozen=True, eq=False)
class Maps:
    """What a network says of one picture. score : (h, w) uint8; geometry : (h, w, 5) or None; num : the scale, in eighths"""

    score: ScoreMap
    geometry: NDArray[np.float32] | None
    num: int


@dataclass(frozen=True, eq=False)
class Hot:
    """(h, w) bool over the picture at num/8, an element for STRIDE pixels each way."""

    cells: Cells
    num: int


Run = Callable[[Sequence[Pixels], Sequence[bytes]], Sequence[Maps]]
Decode = Callable[[bytes], Pixels]
Network = Callable[["Kit"], Run]
Find = Callable[["Kit", Maps], Hot]
Write = Callable[[bytes, Pixels, Hot], bytes]


class Kit:
    """What the rows share: the cache of compiled models, the threshold, and for each file what the shipped box network says of it."""

    def __init__(self, files: Sequence[bytes], cache: Path) -> None:
        self.cache = cache
        self.threshold = load_model("mask").threshold
        model = load_model("boxes")
        engine = open_engine("openvino", EngineOptions(model.path, model.sha256, cache=cache))
        self._maps = {file: _maps(engine, file, HALF) for file in files}
        engine.close()

    def full_size_maps(self, file: bytes) -> Maps:
        """As a network at full size would give them: a random network finds nothing, which costs no post-processing."""
        half = self._maps[file]
        geometry = _geometry(half) * np.array([2, 2, 2, 2, 1], np.float32)  # four distances and an angle
        return Maps(half.score.repeat(2, 0).repeat(2, 1), geometry.repeat(2, 0).repeat(2, 1), FULL)


def _maps(engine: Any, file: bytes, num: int) -> Maps:
    slot = engine.slots[0]
    picture = scaled_decode(file)
    height, width = picture.shape[:2]
    slot.pixels[:height, :width] = picture
    engine.run(slot)
    rows, columns = mask.map_shape((height, width))
    geometry = None if slot.geometry is None else slot.geometry[:rows, :columns].copy()
    return Maps(slot.score[:rows, :columns].copy(), geometry, num)


# decode


def opencv_decode(file: bytes) -> Pixels:
    import cv2

    return cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR_RGB)  # type: ignore[no-any-return]


def turbo_decode(file: bytes, num: int = FULL) -> Pixels:
    header = turbo.header(file)
    pixels = np.empty((*ceil_eighths((header.height, header.width), num), 3), np.uint8)
    turbo.decode(file, pixels)
    return pixels


scaled_decode = partial(turbo_decode, num=HALF)

_kept = threading.local()


def decode_once(file: bytes) -> Pixels:
    """As `scaled_decode`; keeps the coefficients for this thread's `write_kept`."""
    picture = _kept.picture = open_picture(file, Limits())
    page = picture.pages[0]
    out = np.empty((*ceil_eighths(page.size, HALF), 3), np.uint8)
    page.read(HALF, out)
    return out


# networks


def torch_network(precision: str) -> Network:
    """The study's network in PyTorch, FP32 or BF16, with random weights."""

    def opened(kit: Kit) -> Run:
        import torch

        from engines.east import East, EastSize

        network = East(EastSize.paper()).eval()

        def run(pictures: Sequence[Pixels], files: Sequence[bytes]) -> Sequence[Maps]:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "BF16"):
                planes = torch.from_numpy(_padded(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
                score, geometry = network(planes)
                _ = torch.sigmoid(score.float()).numpy(), geometry.float().numpy()
            return [kit.full_size_maps(file) for file in files]

        return run

    return opened


def paper_network(batch: int) -> Network:
    """The study's network in OpenVINO, in the precision that it takes by itself, one request on all cores."""

    def opened(kit: Kit) -> Run:
        import openvino as ov
        import torch

        from engines.east import East, EastSize

        model = ov.convert_model(East(EastSize.paper()).eval(), example_input=torch.zeros(1, 3, PAD, PAD))
        prepared = ov.preprocess.PrePostProcessor(model)
        prepared.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
        prepared.input().model().set_layout(ov.Layout("NCHW"))
        prepared.input().preprocess().convert_element_type(ov.Type.f32).mean(127.5).scale(127.5)
        run_one = _compiled(prepared.build(), batch)

        def run(pictures: Sequence[Pixels], files: Sequence[bytes]) -> Sequence[Maps]:
            run_one(_padded(pictures))
            return [kit.full_size_maps(file) for file in files]

        return run

    return opened


def _compiled(model: Any, batch: int) -> Callable[[Pixels], Any]:
    """A model at the full size of 1080p; whoever calls it while it runs waits."""
    import openvino as ov

    model.reshape([batch, 1088, 1920, 3])
    request = ov.Core().compile_model(model, "CPU", {"NUM_STREAMS": "1"}).create_infer_request()
    lock = threading.Lock()

    def run(pictures: Pixels) -> Any:
        with lock:
            request.infer([pictures])
            return [tensor.data.copy() for tensor in request.output_tensors]

    return run


def slim_network(precision: Precision, full_size: bool = False, lanes: int = 1) -> Network:
    """The shipped network; lanes : requests at once, each on a core of its own where there is more than one."""
    return _full_slim if full_size else partial(_slim, precision, lanes)


def _full_slim(kit: Kit) -> Run:
    import openvino as ov

    run_one = _compiled(ov.Core().read_model(str(load_model("mask").path)), 1)

    def run(pictures: Sequence[Pixels], _files: Sequence[bytes]) -> Sequence[Maps]:
        rows, columns = mask.map_shape(pictures[0].shape[:2])
        return [Maps(run_one(_padded([picture]))[0][0, :rows, :columns], None, FULL) for picture in pictures]

    return run


def _slim(precision: Precision, lanes: int, kit: Kit) -> Run:
    model = load_model("mask", precision=precision)
    engine = open_engine("openvino", EngineOptions(model.path, model.sha256, lanes, cache=kit.cache))
    free: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for slot in engine.slots:
        free.put(slot)

    def run(pictures: Sequence[Pixels], _files: Sequence[bytes]) -> Sequence[Maps]:
        slot = free.get()
        found = []
        for picture in pictures:
            height, width = picture.shape[:2]
            slot.pixels[:height, :width] = picture
            engine.run(slot)
            rows, columns = mask.map_shape((height, width))
            found.append(Maps(slot.score[:rows, :columns].copy(), None, HALF))
        free.put(slot)
        return found

    return run


def _padded(pictures: Sequence[Pixels]) -> Pixels:
    """(n, H, W, 3), black at the lower and the right edge up to multiples of PAD."""
    height, width = pictures[0].shape[:2]
    batch = np.zeros((len(pictures), -(-height // PAD) * PAD, -(-width // PAD) * PAD, 3), np.uint8)
    for canvas, picture in zip(batch, pictures, strict=True):
        canvas[:height, :width] = picture
    return batch


# find


def score_map(kit: Kit, maps: Maps) -> Hot:
    return Hot(maps.score >= kit.threshold, maps.num)


def product_boxes(kit: Kit, maps: Maps) -> Hot:
    """The product's box mode: boxes decoded at once, overlaps only of boxes that are near."""
    rows = rbox.locality_aware_nms(rbox.decode(maps.score, _geometry(maps), kit.threshold))
    return Hot(rbox.hot_map(rows, maps.score.shape), maps.num)


def plain_boxes(kit: Kit, maps: Maps) -> Hot:
    """As EAST's published code does it: cell by cell, and every overlap by shapely polygons."""
    merged: list[NDArray[np.float64]] = []
    for row in _plain_decoded(maps.score, _geometry(maps), kit.threshold):
        if merged and _plain_overlap(merged[-1], row) > rbox.MERGE_IOU:
            last, votes = merged[-1], merged[-1][8] + row[8]
            merged[-1] = np.append((last[:8] * last[8] + row[:8] * row[8]) / votes, votes)
        else:
            merged.append(row)
    kept: list[NDArray[np.float64]] = []
    for row in sorted(merged, key=lambda row: -row[8]):
        if all(_plain_overlap(other, row) <= rbox.MERGE_IOU for other in kept):
            kept.append(row)
    return Hot(rbox.hot_map(np.array(kept, np.float32).reshape(-1, 9), maps.score.shape), maps.num)


def _geometry(maps: Maps) -> NDArray[np.float32]:
    if maps.geometry is None:
        raise ValueError("this network has no geometry head")
    return maps.geometry


def _plain_decoded(score: ScoreMap, geometry: NDArray[np.float32], threshold: int) -> list[NDArray[np.float64]]:
    rows = []
    for y in range(score.shape[0]):
        for x in range(score.shape[1]):
            if score[y, x] >= threshold:
                top, right, bottom, left, angle = (float(value) for value in geometry[y, x])
                cos, sin, middle = math.cos(angle), math.sin(angle), STRIDE / 2
                sides = ((-left, -top), (right, -top), (right, bottom), (-left, bottom))
                corners = [(x * STRIDE + middle + a * cos + d * sin, y * STRIDE + middle - a * sin + d * cos) for a, d in sides]
                rows.append(np.array([*(value for corner in corners for value in corner), score[y, x] / 255]))
    return rows


def _plain_overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    from shapely.geometry import Polygon

    first, second = Polygon(a[:8].reshape(4, 2)), Polygon(b[:8].reshape(4, 2))
    if not first.is_valid or not second.is_valid:
        return 0.0
    shared = first.intersection(second).area
    union = first.area + second.area - shared
    return float(shared / union) if union else 0.0


# write


def opencv_write(_file: bytes, picture: Pixels, hot: Hot) -> bytes:
    import cv2

    _, data = cv2.imencode(".jpg", _blackened(picture, hot)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return data.tobytes()  # type: ignore[no-any-return]


def turbo_write(file: bytes, picture: Pixels, hot: Hot) -> bytes:
    """Encode with TurboJPEG, after decoding at full size where the network had less."""
    return _turbo_encoded(_blackened(picture if hot.num == FULL else turbo_decode(file), hot))


def dct_write(file: bytes, _picture: Pixels, hot: Hot) -> bytes:
    return _rewritten(open_picture(file, Limits()), hot)


def write_kept(_file: bytes, _picture: Pixels, hot: Hot) -> bytes:
    """From the coefficients that `decode_once` kept."""
    return _rewritten(_kept.picture, hot)


def _rewritten(picture: Picture, hot: Hot) -> bytes:
    page = picture.pages[0]
    return picture.rewrite([mask.from_hot(hot.cells, Scale(hot.num), page.size, page.cell)])


def _blackened(picture: Pixels, hot: Hot) -> Pixels:
    side = STRIDE * EIGHTHS // hot.num
    covered = hot.cells.repeat(side, axis=0).repeat(side, axis=1)[: picture.shape[0], : picture.shape[1]]
    picture[covered] = 0
    return picture


def _turbo_encoded(picture: Pixels) -> bytes:
    """4:2:0 of QUALITY. Raises RuntimeError."""
    library = turbo.library()
    library.tjInitCompress.restype = ctypes.c_void_p
    handle, buffer, size = ctypes.c_void_p(library.tjInitCompress()), ctypes.c_void_p(), ctypes.c_ulong()
    height, width = picture.shape[:2]
    rgb, subsampling = 0, 2
    where = ctypes.c_void_p(picture.ctypes.data), width, picture.strides[0], height, rgb
    try:
        if library.tjCompress2(handle, *where, ctypes.byref(buffer), ctypes.byref(size), subsampling, QUALITY, 0):
            raise RuntimeError("tjCompress2 failed")
        return ctypes.string_at(buffer, size.value)
    finally:
        library.tjFree(buffer)
        library.tjDestroy(handle)
