"""What differs between TensorRT 8.6, 10.x, 11.x and TensorRT for RTX, and the only place that imports any of them.

| | 8.6 | 10.0 - 10.11 | 10.12 - 10.16 | 11.x | RTX 1.x |
|---|---|---|---|---|---|
| EXPLICIT_BATCH | must be set | ignored | ignored | absent | absent |
| STRONGLY_TYPED | absent | there, not used here | set | set, always on | set, always on |
| precision comes from | flags and Q/DQ | flags and Q/DQ | the ONNX file | the ONNX file | the ONNX file |
| BuilderFlag.FP16, INT8 | set | set | forbidden | absent | absent |
| engine.device_memory_size | there | there | there | only _v2 | only _v2 |
| timing cache | there | there | there | there | deprecated, does nothing |

Bits are never written as numbers: they moved. All else that the rest uses (name-based tensors, execute_async_v3) is alike in all.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from typing import Any, Literal

from appliance.errors import BadConfig

log = logging.getLogger("anonbox.tensorrt")

Precision = Literal["INT8", "FP16", "FP32"]

MODULES = ("tensorrt", "tensorrt_rtx")
"""In this order; the first that is there is used. Neither is a requirement: on a Jetson it comes with JetPack."""

OLDEST, STRONG_FROM, BATCH_UNTIL = (8, 6), (10, 12), (10, 0)
"""Versions: below the first the name-based API is missing; from the second on strong typing is complete (it exists since 10.0);
until the third the batch has to be made explicit."""

FLAGS: dict[Precision, tuple[str, ...]] = {"INT8": ("FP16", "INT8"), "FP16": ("FP16",), "FP32": ()}
"""Builder flags of a weakly typed build: what may be used beside FP32. The Q/DQ nodes say what is INT8."""


@dataclass(frozen=True)
class Library:
    """An imported TensorRT. name : of the module; version : as the module says it"""

    module: Any
    name: str
    version: str

    @property
    def release(self) -> tuple[int, int]:
        """(major, minor), to be compared as numbers."""
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor)

    @property
    def is_strongly_typed(self) -> bool:
        """Whether layers run in the types that the ONNX file gives them. RTX counts its versions anew and always does."""
        return self.name == "tensorrt_rtx" or self.release >= STRONG_FROM

    @property
    def has_timing_cache(self) -> bool:
        return self.name != "tensorrt_rtx"

    def network_flags(self) -> int:
        wanted = (["EXPLICIT_BATCH"] if self.release < BATCH_UNTIL else []) + (["STRONGLY_TYPED"] if self.is_strongly_typed else [])
        members = [getattr(self.module.NetworkDefinitionCreationFlag, name, None) for name in wanted]
        return sum(1 << int(member) for member in members if member is not None)

    def precision_flags(self, precision: Precision) -> list[Any]:
        """Members of BuilderFlag to set; none in a strongly typed build, where they are forbidden."""
        if self.is_strongly_typed:
            return []
        return [getattr(self.module.BuilderFlag, name) for name in FLAGS[precision]]

    def aim(self, config: Any, target: str) -> None:
        """Say which GPU to build for. TensorRT builds for the one that is here; RTX for a common range, unless told which.

        target : a member of RTX's ComputeCapability such as "SM86", or "" for the GPU that is here
        """
        if self.name != "tensorrt_rtx":
            if target:
                raise BadConfig("engine", f"TensorRT builds for the GPU it runs on, not for {target}")
            return
        config.num_compute_capabilities = 1
        capability = getattr(self.module.ComputeCapability, target or "CURRENT", None)
        if capability is None or not config.set_compute_capability(capability, 0):
            raise BadConfig("engine", f"this TensorRT for RTX does not build for {target or 'this GPU'}")

    def memory_of(self, engine: Any) -> int:
        """Bytes of device memory that one execution context of this engine takes."""
        size = getattr(engine, "device_memory_size_v2", None)
        return int(engine.device_memory_size if size is None else size)

    @cached_property
    def logger(self) -> Any:
        """Sends TensorRT's messages to logging. One for the process: of several TensorRT uses only the first.

        errors : what it said was wrong, newest last; layers : the builder's report of the layers of the last build, if it wrote one
        """
        trt = self.module
        levels = {"VERBOSE": logging.DEBUG, "INFO": logging.DEBUG, "WARNING": logging.DEBUG}  # its warnings are not for an owner of a box

        class Logger(trt.ILogger):  # type: ignore[misc, name-defined, unused-ignore]
            def __init__(self) -> None:
                trt.ILogger.__init__(self)
                self.errors: list[str] = []
                self.layers = ""

            def log(self, severity: Any, message: str) -> None:
                level = levels.get(severity.name, logging.ERROR)
                if level == logging.ERROR:
                    self.errors.append(message)
                elif message.startswith("Layers:"):
                    self.layers = message
                log.log(level, "%s", message)

        return Logger()


@cache
def open_library() -> Library:
    """Import TensorRT, whichever kind is there. Raises BadConfig saying what to install, or what is wrong with what is there."""
    for name in MODULES:
        try:
            module = import_module(name)
        except ModuleNotFoundError:
            continue
        except (ImportError, OSError) as error:  # a half-installed one: a shared library is missing
            raise BadConfig("engine.name", f"{name} is installed but cannot be loaded: {error}") from error
        library = Library(module, name, str(module.__version__))
        if name == "tensorrt" and library.release < OLDEST:
            raise BadConfig("engine.name", f"TensorRT {library.version} is too old, 8.6 (JetPack 6.0) or newer is needed")
        return library
    raise BadConfig(
        "engine.name",
        "TensorRT is not installed; on a Jetson: apt-get install python3-libnvinfer, and a virtual environment with "
        "--system-site-packages (deploy/docs/jetson.md); without a GPU set engine.name to openvino",
    )
