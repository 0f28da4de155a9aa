"""The CPU engine: OpenVINO, one inference request a slot, all of them on memory that the slots show."""

from __future__ import annotations

import ctypes
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from appliance.engine import STRIDE, EngineOptions, Slot
from appliance.errors import BadConfig, DeviceLost
from appliance.types import EngineInfo

log = logging.getLogger("anonbox.engine")

DEVICE = "CPU"
DIGEST = hashlib.sha256().digest_size


def open_engine(options: EngineOptions) -> OpenVinoEngine:
    """Compile the model (from the cache when it is there). Raises BadConfig when the model is not one of ours."""
    with _kept_signal_stack():
        return OpenVinoEngine(options)


def identity() -> tuple[str, str]:
    """What a measurement on this machine holds for: the version of OpenVINO and the processor's name."""
    import openvino as ov

    return str(ov.__version__), str(ov.Core().get_property(DEVICE, "FULL_DEVICE_NAME"))


class _SignalStack(ctypes.Structure):
    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def _kept_signal_stack() -> Iterator[None]:
    """Give the thread its alternate signal stack back. OpenVINO 2026.4 replaces it while it compiles and unmaps its own when it
    closes; a signal after that, where Python's faulthandler is on, crashed the process."""
    libc, kept = ctypes.CDLL(None), _SignalStack()
    libc.sigaltstack(None, ctypes.byref(kept))
    try:
        yield
    finally:
        libc.sigaltstack(ctypes.byref(kept), None)


class OpenVinoEngine:
    """See engine.Engine. Tensors are allocated by OpenVINO (aligned); slots are NumPy views on them, so nothing is copied."""

    def __init__(self, options: EngineOptions) -> None:
        import openvino as ov

        core = ov.Core()
        model = core.read_model(str(options.model))
        _check(model, options)
        threads = options.threads or len(os.sched_getaffinity(0))
        streams = min(options.slots, threads)
        # no precision is asked for: the chip takes bfloat16 where it has it, twice as fast as FP32
        settings = {"NUM_STREAMS": str(streams), "INFERENCE_NUM_THREADS": str(threads)}
        self._compiled = _compiled(core, model, settings, options, ov.__version__)
        self._requests, self._slots = [], []
        for index in range(options.slots):
            request = self._compiled.create_infer_request()
            tensors = {port.any_name: ov.Tensor(port.element_type, port.shape) for port in [*model.inputs, *model.outputs]}
            for name, tensor in tensors.items():
                request.set_tensor(name, tensor)
            geometry = tensors["geometry"].data[0] if "geometry" in tensors else None
            tensors["pixels"].data[...] = 0
            self._slots.append(Slot(index, tensors["pixels"].data[0], tensors["score"].data[0], geometry))
            self._requests.append(request)
        self._info = EngineInfo(
            name=f"openvino {ov.__version__.split('-')[0]}",
            precision=_precision(model, self._compiled),
            model=options.sha256[:12],
            device=str(core.get_property(DEVICE, "FULL_DEVICE_NAME")).strip(),
        )

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def slots(self) -> Sequence[Slot]:
        return self._slots

    def run(self, slot: Slot) -> None:
        if not self._requests:
            raise DeviceLost("OpenVINO run", "the engine is closed")
        if not (0 <= slot.index < len(self._slots)) or self._slots[slot.index] is not slot:
            raise DeviceLost("OpenVINO run", "the slot belongs to another engine")
        request = self._requests[slot.index]
        try:
            request.start_async()
            request.wait()  # releases the GIL
        except RuntimeError as error:
            raise DeviceLost("OpenVINO infer", str(error).strip().splitlines()[-1]) from error

    def close(self) -> None:
        self._requests = []
        self._compiled = None


def _compiled(core: Any, model: Any, settings: dict[str, str], options: EngineOptions, version: str) -> Any:
    """The compiled model, from the cache if what it holds is to the byte what was put there.

    OpenVINO's own cache takes a damaged file for a good one and then finds less text; hence a digest in front of every file.
    """
    if options.cache is None:
        return core.compile_model(model, DEVICE, settings)
    key = json.dumps([options.sha256, version, core.get_property(DEVICE, "FULL_DEVICE_NAME"), settings])
    path = options.cache / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.openvino"
    with suppress(OSError, RuntimeError):
        kept = path.read_bytes()
        if kept[:DIGEST] == hashlib.sha256(kept[DIGEST:]).digest():
            return core.import_model(kept[DIGEST:], DEVICE, settings)
    compiled = core.compile_model(model, DEVICE, settings)
    blob = compiled.export_model().getvalue()
    try:
        options.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.part")
        temporary.write_bytes(hashlib.sha256(blob).digest() + blob)
        os.replace(temporary, path)
    except OSError as error:
        log.warning("the compiled model cannot be kept in %s: %s; every start compiles it anew", options.cache, error.strerror)
    return compiled


def _precision(model: Any, compiled: Any) -> str:
    if any(operation.get_type_name() == "FakeQuantize" for operation in model.get_ops()):
        return "INT8"
    return {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}[compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()]


def _check(model: Any, options: EngineOptions) -> None:
    """The model must have the ports the slots promise: pixels (1, h, w, 3) u8, score (1, h/4, w/4) u8, geometry f32 if any."""
    ports = {port.any_name: (port.element_type.get_type_name(), _shape(port)) for port in [*model.inputs, *model.outputs]}
    pixels = ports.get("pixels", ("", None))[1]
    if pixels is None or len(pixels) != 4:
        raise BadConfig("weights", f"{options.model.name} has no fixed input `pixels` (1, height, width, 3); its ports are {ports}")
    height, width = pixels[1] // STRIDE, pixels[2] // STRIDE
    expected = {"pixels": ("u8", (1, height * STRIDE, width * STRIDE, 3)), "score": ("u8", (1, height, width))}
    if "geometry" in ports:
        expected["geometry"] = ("f32", (1, height, width, 5))
    if ports != expected:
        raise BadConfig("weights", f"{options.model.name} has ports {ports}, this box needs {expected}")


def _shape(port: Any) -> tuple[int, ...] | None:
    """The port's fixed shape, None where it has none."""
    shape = port.get_partial_shape()
    return tuple(shape.to_shape()) if shape.is_static else None
