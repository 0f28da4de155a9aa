"""Whether there is a GPU, and a stand-in where there is none."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module

import numpy as np
import pytest
from cudas import Driver, LibCuda
from tensorrts import Fake

from appliance.engine import bridge, cuda
from appliance.engine.model import load_model


@cache
def missing() -> str:
    """Why nothing can run on a GPU here; empty where it can."""
    try:
        driver = import_module("pycuda.driver")
        driver.init()
        bridge.open_library()
    except ImportError as error:
        return f"no GPU was tried: {error}"
    except Exception as error:  # pycuda's own, of many kinds  # noqa: BLE001
        return f"no GPU was tried: {type(error).__name__}: {error}"
    return "" if driver.Device.count() else "no GPU was tried: there is none"


def needs_gpu() -> pytest.MarkDecorator:
    return pytest.mark.skipif(bool(missing()), reason=missing() or "there is one")


@dataclass
class Gpu:
    """A stand-in of one version, in place."""

    trt: Fake
    driver: Driver
    lib: LibCuda


@contextmanager
def standing_in(trt: Fake) -> Iterator[Gpu]:
    """Make `import tensorrt` and `import pycuda.driver` give the stand-ins."""
    gpu = Gpu(trt, Driver(), LibCuda())
    with pytest.MonkeyPatch.context() as patch:
        for name in bridge.MODULES:
            patch.setitem(sys.modules, name, trt.module if name == trt.module.__name__ else None)
        patch.setitem(sys.modules, "pycuda.driver", gpu.driver.module)
        patch.setattr(cuda, "load_libcuda", lambda: gpu.lib)
        bridge.open_library.cache_clear()
        yield gpu
    bridge.open_library.cache_clear()


@cache
def shipped_model() -> Callable[[np.ndarray], np.ndarray]:
    """The shipped network on the CPU, as a stand-in's `compute`: (n, h, w, 3) uint8 -> (n, h / 4, w / 4) uint8. It remembers, because
    a builder shows it the same frames again and again."""
    import openvino as ov

    compiled = ov.Core().compile_model(str(load_model("mask").path), "CPU")

    known: dict[bytes, np.ndarray] = {}

    def score(frame: np.ndarray) -> np.ndarray:
        key = hashlib.sha1(frame.tobytes(), usedforsecurity=False).digest()
        if key not in known:
            known[key] = np.array(compiled(frame[None])["score"])
        return known[key]

    def compute(pixels: np.ndarray) -> np.ndarray:
        return np.concatenate([score(frame) for frame in pixels])

    return compute
