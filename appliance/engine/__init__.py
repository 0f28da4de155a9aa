"""Engines: a uint8 picture in a slot becomes a score map in the same slot.

To add one: a file here with `open_engine(options) -> Engine`, a line in ENGINES, and its library imported only inside that file.
`tests/engine/test_contract.py` is the contract every engine must pass.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from appliance.errors import AnonBoxError, BadConfig
from appliance.types import EngineInfo, Pixels, ScoreMap

log = logging.getLogger("anonbox.engine")

STRIDE = 4
"""Detector pixels per cell of the score map, each way (EAST's output is at 1/4)."""


@dataclass(frozen=True, eq=False)
class Slot:
    """One picture's place in memory; views on memory that the engine owns. Not valid after the engine is closed.

    index : the slot's number in engine.slots
    pixels : (height, width, 3) uint8 RGB, written by the decoder, read by the engine
    score : (height / 4, width / 4) uint8, written by the engine, valid until the slot's next run
    geometry : (height / 4, width / 4, 5) float32 or None: RBOX distances to top, right, bottom, left in detector pixels and an
        angle in radians, only where the model has a geometry head
    """

    index: int
    pixels: Pixels
    score: ScoreMap
    geometry: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class EngineOptions:
    """What an engine needs to know to open.

    model : the ONNX file, already checked against its card
    slots : pictures that may be in flight at once
    threads : CPU threads for the network in all, 0 = one a core
    cache : folder for compiled models, or None
    precision : "auto", or only "int8" or "float" of what the engine could choose from by itself
    """

    model: Path
    sha256: str
    slots: int = 1
    threads: int = 0
    cache: Path | None = None
    precision: str = "auto"


class Engine(Protocol):
    """The whole of what the rest of the house knows about a network."""

    @property
    def info(self) -> EngineInfo: ...

    @property
    def slots(self) -> Sequence[Slot]:
        """Allocated once, all of one shape; the shape is the model's own."""
        ...

    def run(self, slot: Slot) -> None:
        """Fill slot.score (and slot.geometry) from slot.pixels; blocks, releases the GIL, safe from several threads for
        different slots. Raises DeviceLost; after that the score holds nothing to be trusted."""
        ...

    def close(self) -> None:
        """Give everything back; twice is harmless. A run after it raises DeviceLost."""
        ...


ENGINES = {"openvino": "appliance.engine.openvino", "tensorrt": "appliance.engine.tensorrt"}


def open_engine(name: str, options: EngineOptions, fallback: str = "") -> Engine:
    """Open the engine of that name; its library is imported only now.

    fallback : the engine to open when that fails, "" = none; the one that runs then says so in its info
    Raises BadConfig or DeviceLost.
    """
    if name not in ENGINES:
        raise BadConfig("engine.name", f"{name!r} is unknown, choose one of {', '.join(sorted(ENGINES))}")
    try:
        engine: Engine = import_module(ENGINES[name]).open_engine(options)
    except AnonBoxError as error:
        if fallback in {"", name}:
            raise
        log.error("%s takes the place of %s, as engine.fallback allows: %s", fallback, name, error)
        return Substitute(open_engine(fallback, options), f"in place of {name}: {error}")
    return engine


class Substitute:
    """An engine that runs because the configured one could not, and says so wherever engines are shown."""

    def __init__(self, engine: Engine, why: str) -> None:
        self._engine = engine
        self.info = replace(engine.info, note=why)
        self.slots, self.run, self.close = engine.slots, engine.run, engine.close
