"""CUDA, as much of it as the engine needs: one thread's context, mapped memory, streams, the preprocess kernel, CUDA graphs.

Everything of a Cuda object belongs to the thread that made it, which holds the device's primary context; TensorRT and jetson-utils
use the same one through the runtime API. pycuda is imported when a Cuda is made. Every failed call raises DeviceLost with its name.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from numpy.typing import DTypeLike, NDArray

from appliance.errors import BadConfig, DeviceLost

THREAD_LOCAL = 1
"""CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads' calls do not disturb a capture."""

BLOCK = (32, 8, 1)
"""Threads of a block of the preprocess kernel; its source assumes nothing."""


@dataclass(frozen=True, eq=False)
class Mapped:
    """Page-locked memory that CPU and GPU both see: neither copies. The GPU does not cache it on a Jetson, so it is for what is read
    or written once. The CPU may read what the GPU wrote only after an event was waited for.

    array : the CPU's view, the memory's owner; pointer : the GPU's address of its first byte
    """

    array: NDArray[Any]
    pointer: int

    @property
    def is_one_address(self) -> bool:
        """Whether CPU and GPU use the same address, as they do where memory is shared."""
        return self.pointer == self.array.ctypes.data


class Cuda:
    """The first GPU, held by this thread until close().

    copied_bytes : moved by `copy`, the only call in the house that copies between CPU and GPU; the engine never makes it
    """

    def __init__(self) -> None:
        try:
            self._driver: Any = import_module("pycuda.driver")
        except (ImportError, OSError) as error:
            advice = (
                "pip install pycuda needs CUDA's nvcc on the PATH, see deploy/docs/jetson.md; without a GPU set engine.name to openvino"
            )
            raise BadConfig("engine.name", f"pycuda cannot be loaded ({error}); {advice}") from error
        self._thread = threading.get_ident()
        self._libcuda: Any = None
        self.copied_bytes = 0
        with self._call("cuInit"):
            self._driver.init()
        with self._call("cuDevicePrimaryCtxRetain"):
            self._device = self._driver.Device(0)
            self._context: Any = self._device.retain_primary_context()
            self._context.push()

    @property
    def name(self) -> str:
        return str(self._device.name())

    @property
    def capability(self) -> tuple[int, int]:
        """Compute capability, (8, 7) on an Orin."""
        major, minor = self._device.compute_capability()
        return int(major), int(minor)

    def attribute(self, name: str) -> int:
        """A member of pycuda.driver.device_attribute, such as INTEGRATED or CAN_MAP_HOST_MEMORY."""
        with self._call("cuDeviceGetAttribute"):
            return int(self._device.get_attribute(getattr(self._driver.device_attribute, name)))

    def version(self) -> tuple[int, ...]:
        """The CUDA that pycuda was built for."""
        return tuple(int(part) for part in self._driver.get_version())

    def free_bytes(self) -> int:
        """Free memory of the device; on a Jetson the CPU's too, without what swap could give."""
        with self._call("cuMemGetInfo"):
            return int(self._driver.mem_get_info()[0])

    def mapped(self, shape: Sequence[int], dtype: DTypeLike) -> Mapped:
        """Zeroed memory of this shape that both sides see."""
        with self._call("cuMemHostAlloc"):
            array = self._driver.pagelocked_empty(tuple(shape), dtype, mem_flags=self._driver.host_alloc_flags.DEVICEMAP)
            pointer = int(array.base.get_device_pointer())
        array[...] = 0
        return Mapped(array, pointer)

    def device_memory(self, size: int) -> Any:
        """So many bytes that only the GPU sees; int() gives the address."""
        with self._call("cuMemAlloc"):
            return self._driver.mem_alloc(size)

    def copy(self, to: Any, source: NDArray[Any], stream: Any) -> None:
        """CPU to GPU; only for measuring what mapped memory spares."""
        with self._call("cuMemcpyHtoDAsync"):
            self._driver.memcpy_htod_async(to, source, stream)
        self.copied_bytes += source.nbytes

    def stream(self) -> Any:
        with self._call("cuStreamCreate"):
            return self._driver.Stream()

    def event(self) -> Any:
        """One that a waiting thread sleeps on: the CPU's cores are for decoding."""
        flags = self._driver.event_flags
        with self._call("cuEventCreate"):
            return self._driver.Event(flags.BLOCKING_SYNC | flags.DISABLE_TIMING)

    def timer(self) -> Any:
        """An event with a time."""
        with self._call("cuEventCreate"):
            return self._driver.Event()

    def record(self, event: Any, stream: Any) -> None:
        with self._call("cuEventRecord"):
            event.record(stream)

    def wait(self, event: Any) -> None:
        """Until the GPU has passed the event; what failed on the way shows here. Releases the GIL."""
        with self._call("cuEventSynchronize"):
            event.synchronize()

    def synchronize(self, stream: Any) -> None:
        """Until the stream is empty; what failed on the way shows here."""
        with self._call("cuStreamSynchronize"):
            stream.synchronize()

    def milliseconds(self, start: Any, end: Any) -> float:
        with self._call("cuEventElapsedTime"):
            return float(end.time_since(start))

    def kernel(self, cubin: bytes, name: str) -> Callable[[int, int, int, int, int, Any], None]:
        """A kernel (const uchar *from, T *to, int height, int width) of a cubin as launch(from, to, height, width, count, stream);
        `count` pictures lie one behind the other."""
        with self._call("cuModuleLoadData"):
            function = self._driver.module_from_buffer(cubin).get_function(name)  # which keeps its module
            function.prepare("PPii")

        def launch(source: int, target: int, height: int, width: int, count: int, stream: Any) -> None:
            grid = (-(-width // BLOCK[0]), -(-height // BLOCK[1]), count)
            with self._call("cuLaunchKernel"):
                function.prepared_async_call(grid, BLOCK, stream, source, target, height, width)

        return launch

    def capture(self, stream: Any, enqueue: Callable[[], None]) -> Graph:
        """Record what `enqueue` puts into the stream as a graph, which is launched in one call. Raises DeviceLost where something in
        it cannot be captured; the stream is usable afterwards all the same."""
        if self._libcuda is None:
            self._libcuda = load_libcuda()
        lib, handle = self._libcuda, ctypes.c_void_p(stream.handle)
        graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
        self._check(lib, "cuStreamBeginCapture_v2", handle, ctypes.c_int(THREAD_LOCAL))
        try:
            enqueue()
        finally:
            ended = lib.cuStreamEndCapture(handle, ctypes.byref(graph))
        if ended:
            raise DeviceLost("cuStreamEndCapture", f"error {ended}")
        try:
            self._check(lib, "cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, ctypes.c_ulonglong(0))
        finally:
            lib.cuGraphDestroy(graph)
        return Graph(lib, executable, handle)

    def close(self) -> None:
        """Let go of the device; what was made from it must be gone before. Twice is harmless."""
        if self._context is None:
            return
        context, self._context = self._context, None
        with self._call("cuCtxPopCurrent"):
            self._driver.Context.pop()
            context.detach()

    @staticmethod
    def _check(lib: Any, name: str, *arguments: Any) -> None:
        code = getattr(lib, name)(*arguments)
        if code:
            raise DeviceLost(name, f"error {code}")

    @contextmanager
    def _call(self, name: str) -> Iterator[None]:
        """Turn pycuda's errors into ours, and refuse a call from a thread that does not hold the context."""
        if threading.get_ident() != self._thread:
            raise DeviceLost(name, "called from a thread that does not own the device")
        try:
            yield
        except self._driver.Error as error:  # LogicError, LaunchError, MemoryError and RuntimeError of pycuda are kinds of it
            raise DeviceLost(name, str(error).strip() or type(error).__name__) from error


class Graph:
    """An instantiated CUDA graph, bound to the addresses it was captured with."""

    def __init__(self, lib: Any, executable: ctypes.c_void_p, stream: ctypes.c_void_p) -> None:
        self._lib, self._executable, self._stream = lib, executable, stream

    def launch(self) -> None:
        code = self._lib.cuGraphLaunch(self._executable, self._stream)
        if code:
            raise DeviceLost("cuGraphLaunch", f"error {code}")

    def close(self) -> None:
        if self._executable:
            self._lib.cuGraphExecDestroy(self._executable)
            self._executable = ctypes.c_void_p()


def load_libcuda() -> Any:
    """The driver's library; pycuda has no graphs."""
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise DeviceLost("libcuda.so.1", str(error)) from error
