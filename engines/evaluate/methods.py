"""What is measured: a network in mask or box mode, or masks that lie in a folder, all behind one call.

A network sees a picture as the product's first look does: decoded, reduced, tiled and laid out by the product's own code.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from appliance.detect import mask as cells
from appliance.detect import rbox
from appliance.detect.scale import EIGHTHS, Scale, View, scales_for, views
from appliance.detect.tone import stretch
from appliance.formats import Limits, Page, open_picture
from appliance.types import Cells, Mode
from engines.card import BOXES_FILE, MASK_FILE

FILES: dict[Mode, str] = {"mask": MASK_FILE, "boxes": BOXES_FILE}
Quads = NDArray[np.float64]
"""(n, 4, 2) corners x, y, picture px."""


@dataclass(frozen=True)
class Found:
    """mask : (h, w) bool, True = removed, picture px; quads : the boxes behind it, where there are any."""

    mask: NDArray[np.bool_]
    quads: Quads | None = None


class Answer(Protocol):
    """What a method says of one picture."""

    def at(self, threshold: int) -> Found: ...


class Method(Protocol):
    """name : for tables; sweeps : whether a threshold changes anything, at little cost."""

    @property
    def name(self) -> str: ...

    @property
    def sweeps(self) -> bool: ...

    def look(self, path: Path) -> Answer: ...


@dataclass(frozen=True)
class Fixed:
    """An answer without a threshold."""

    found: Found

    def at(self, threshold: int) -> Found:
        return self.found


@dataclass(frozen=True)
class Maps:
    """The network's maps over the tiles of one picture at one scale.

    parts : of each tile its place, score (h, w) uint8 and, in box mode, geometry (h, w, 5) float32
    size, cell : (height, width) px of the picture and of the smallest part of it that can go
    """

    parts: Sequence[tuple[View, NDArray[np.uint8], NDArray[np.float32] | None]]
    scale: Scale
    size: tuple[int, int]
    cell: tuple[int, int]

    def at(self, threshold: int) -> Found:
        hot: list[tuple[View, Cells]] = []
        rows = [np.zeros((0, 9), np.float32)]
        for view, score, geometry in self.parts:
            if geometry is None:
                hot.append((view, score >= threshold))
                continue
            boxes = rbox.locality_aware_nms(rbox.decode(score, geometry, threshold))
            hot.append((view, rbox.hot_map(boxes, score.shape)))
            boxes[:, :8] += np.tile((view.left, view.top), 4)
            rows.append(boxes)
        reduced = self.scale.reduced(self.size)
        mask = cells.from_hot(cells.stitch(hot, reduced), self.scale, self.size, self.cell).to_pixels()
        if self.parts[0][2] is None:
            return Found(mask)
        boxes = np.concatenate(rows)
        boxes = rbox.locality_aware_nms(boxes) if len(self.parts) > 1 else boxes
        return Found(mask, boxes[:, :8].reshape(-1, 4, 2).astype(np.float64) * (EIGHTHS / self.scale.num))


@dataclass(frozen=True)
class Looks:
    """Several answers of which each adds what it finds; the boxes are the first one's."""

    answers: Sequence[Answer]

    def at(self, threshold: int) -> Found:
        found = [answer.at(threshold) for answer in self.answers]
        return Found(np.logical_or.reduce([one.mask for one in found]), found[0].quads)


class Network:
    """An ONNX file of engines.export or engines.quantize under OpenVINO, computed in FP32 where the file does not say otherwise.

    stretched : it is shown every picture as the product's later looks see it
    """

    def __init__(self, path: Path, name: str = "", stretched: bool = False) -> None:
        import openvino

        self.name, self.stretched = name or path.stem, stretched
        model = openvino.Core().read_model(str(path))
        self.mode: Mode = "boxes" if len(model.outputs) > 1 else "mask"
        self.sweeps = self.mode == "mask"
        self.canvas = (int(model.input(0).shape[1]), int(model.input(0).shape[2]))
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        self._compiled: Any = openvino.Core().compile_model(model, "CPU", settings)

    def look(self, path: Path) -> Looks:
        page = open_picture(path.read_bytes(), Limits()).pages[0]
        return Looks([self._maps(page, scale) for scale in scales_for(page.size, self.canvas)])

    def _maps(self, page: Page, scale: Scale) -> Maps:
        reduced = scale.reduced(page.size)
        whole = np.empty((*reduced, 3), np.uint8)
        page.read(scale.num, whole)
        if self.stretched:
            stretch(whole)
        parts = []
        for view in views(reduced, self.canvas):
            canvas = np.zeros((1, *self.canvas, 3), np.uint8)
            canvas[0, : view.height, : view.width] = whole[view.top : view.top + view.height, view.left : view.left + view.width]
            found = self._compiled(canvas)
            rows, columns = cells.map_shape((view.height, view.width))
            score = found["score"][0, :rows, :columns].copy()
            geometry = found["geometry"][0, :rows, :columns].copy() if self.mode == "boxes" else None
            parts.append((view, score, geometry))
        return Maps(parts, scale, page.size, page.cell)


def open_networks(path: Path, name: str = "") -> list[Network]:
    """One network of an ONNX file; both modes of a folder of engines.export or of a checkpoint of engines.train, which is exported
    for it.

    name : instead of the file's or folder's
    """
    if path.is_dir():
        return [Network(path / file, f"{name or path.name}, {mode}") for mode, file in FILES.items()]
    if path.suffix != ".pt":
        return [Network(path, name)]
    from engines.export import Options, export
    from engines.start import load_average

    with tempfile.TemporaryDirectory() as folder:
        export(load_average(path), Path(folder), Options())
        return open_networks(Path(folder), name or path.parent.name)


@dataclass(frozen=True)
class MaskFolder:
    """Masks that something else made, one PNG a picture, STEM.png, 255 = removed; none there: nothing was removed."""

    folder: Path
    name: str
    sweeps: bool = False

    def look(self, path: Path) -> Fixed:
        height, width = size_of(path)
        stored = self.folder / f"{path.stem}.png"
        if not stored.exists():
            return Fixed(Found(np.zeros((height, width), np.bool_)))
        with Image.open(stored) as file:
            mask = np.asarray(file.convert("L")) > 127
        if mask.shape != (height, width):
            raise ValueError(f"{stored}: the mask is {mask.shape[1]} x {mask.shape[0]} px, its picture {width} x {height} px")
        return Fixed(Found(mask))


def size_of(path: Path) -> tuple[int, int]:
    """(height, width) px."""
    with Image.open(path) as file:
        return file.height, file.width
