"""A stand-in for pycuda.driver and libcuda, as far as engine/cuda.py uses them, that is strict about what the real ones are strict about.

A call needs a context that this thread has pushed. What is put into a stream happens only when somebody waits for it, so reading too
early reads old data. Device memory is host memory with another name. Names and signatures: pycuda 2026.1, jetson.md 3.2.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

Work = Callable[[], None]


class Error(Exception):
    pass


class LogicError(Error):
    pass


class LaunchError(Error):
    pass


class MemoryError_(Error):
    pass


class _Device:
    """The state of the one GPU; reset by every Driver."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.streams: dict[int, list[Work]] = {}
        self.capturing: dict[int, list[Work]] = {}
        self.most_queued = 0
        self.lost: Error | None = None

    def queue(self, handle: int, work: Work) -> None:
        if handle in self.capturing:
            self.capturing[handle].append(work)
            return
        self.streams[handle].append(work)
        self.most_queued = max(self.most_queued, sum(map(len, self.streams.values())))

    def run(self, handle: int, until: int | None = None) -> None:
        """Do what is queued in a stream, in order. Raises when the device is lost."""
        if self.lost:
            raise self.lost
        works = self.streams[handle]
        for _ in range(len(works) if until is None else min(until, len(works))):
            works.pop(0)()


DEVICE = _Device()


class Driver:
    """`module` goes where pycuda.driver would be. calls : (name, thread); fail : name -> error to raise; open : what was not freed"""

    def __init__(self) -> None:
        DEVICE.reset()
        self.calls: list[tuple[str, int]] = []
        self.fail: dict[str, Error] = {}
        self.copies = 0
        self.kernels: list[tuple[object, ...]] = []
        self._stacks: dict[int, list[object]] = {}
        self._retained = 0
        driver, handles = self, itertools.count(0x5000)

        class Context:
            @staticmethod
            def pop() -> None:
                driver.enter("pop")
                driver.stack().pop()

            def push(self) -> None:
                driver.calls.append(("push", threading.get_ident()))
                driver.stack().append(self)

            def detach(self) -> None:
                driver.calls.append(("detach", threading.get_ident()))
                driver._retained -= 1

        class Device:
            @staticmethod
            def count() -> int:
                return 1

            def __init__(self, number: int) -> None:
                driver.calls.append(("Device", threading.get_ident()))

            def name(self) -> str:
                return "Orin (stand-in)"

            def compute_capability(self) -> tuple[int, int]:
                return (8, 7)

            def get_attribute(self, attribute: str) -> int:
                return 1

            def retain_primary_context(self) -> Context:
                driver.calls.append(("retain_primary_context", threading.get_ident()))
                driver._retained += 1
                return Context()

        class Stream:
            def __init__(self, flags: int = 0) -> None:
                driver.enter("Stream")
                self.handle = next(handles)
                DEVICE.streams[self.handle] = []

            def synchronize(self) -> None:
                driver.enter("Stream.synchronize")
                DEVICE.run(self.handle)

        class Event:
            def __init__(self, flags: int = 0) -> None:
                driver.enter("Event")
                self._passed = True
                self._stream: Stream | None = None

            def record(self, stream: Stream | None = None) -> Event:
                driver.enter("record")
                self._stream, self._passed = stream, False
                DEVICE.queue(stream.handle, self._pass)
                return self

            def _pass(self) -> None:
                self._passed = True

            def synchronize(self) -> Event:
                driver.enter("Event.synchronize")
                while not self._passed:
                    DEVICE.run(self._stream.handle, 1)
                return self

            def time_since(self, other: Event) -> float:
                return 50.0

        class Allocation:
            """What pagelocked_empty's array has for a base."""

            def __init__(self, shape: tuple[int, ...], dtype: object) -> None:
                size = int(np.prod(shape)) * np.dtype(dtype).itemsize
                self._raw = np.full(size + 256, 0xEE, np.uint8)  # as dirty as real memory
                start = -self._raw.ctypes.data % 256
                view = self._raw[start : start + size].view(dtype).reshape(shape)
                self.__array_interface__ = view.__array_interface__
                self._view = view

            def get_device_pointer(self) -> int:
                return self._view.ctypes.data

        class DeviceAllocation:
            def __init__(self, size: int) -> None:
                self._raw = np.full(size + 256, 0xEE, np.uint8)

            def __int__(self) -> int:
                return self._raw.ctypes.data + -self._raw.ctypes.data % 256

        class Function:
            def __init__(self, name: str) -> None:
                self.name = name

            def prepare(self, types: str) -> Function:
                self.types = types
                return self

            def prepared_async_call(self, grid: tuple, block: tuple, stream: Stream, *arguments: int) -> None:
                driver.enter("launch")
                assert self.types == "PPii" and len(arguments) == 4
                driver.kernels.append((self.name, grid, block, *arguments))
                DEVICE.queue(stream.handle, lambda: _planes(self.name, grid[2], *arguments))

        def pagelocked_empty(shape: tuple[int, ...], dtype: object, order: str = "C", mem_flags: int = 0) -> np.ndarray:
            driver.enter("pagelocked_empty")
            assert mem_flags == 2, "not mapped into the GPU's address space"
            return np.asarray(Allocation(shape, dtype))

        def mem_alloc(size: int) -> DeviceAllocation:
            driver.enter("mem_alloc")
            return DeviceAllocation(size)

        def memcpy_htod_async(dest: object, src: np.ndarray, stream: Stream | None = None) -> None:
            driver.enter("memcpy_htod_async")
            driver.copies += 1
            DEVICE.queue(stream.handle, lambda: ctypes.memmove(int(dest), src.ctypes.data, src.nbytes))

        def init(flags: int = 0) -> None:
            driver.calls.append(("init", threading.get_ident()))
            if "init" in driver.fail:
                raise driver.fail["init"]

        def mem_get_info() -> tuple[int, int]:
            driver.enter("mem_get_info")
            return 4 << 30, 8 << 30

        def module_from_buffer(content: bytes) -> SimpleNamespace:
            driver.enter("module_from_buffer")
            return SimpleNamespace(get_function=Function)

        self.module = SimpleNamespace(
            Error=Error,
            LogicError=LogicError,
            LaunchError=LaunchError,
            init=init,
            get_version=lambda: (12, 6, 0),
            Device=Device,
            Context=Context,
            Stream=Stream,
            Event=Event,
            event_flags=SimpleNamespace(DEFAULT=0, BLOCKING_SYNC=1, DISABLE_TIMING=2),
            host_alloc_flags=SimpleNamespace(PORTABLE=1, DEVICEMAP=2, WRITECOMBINED=4),
            device_attribute=SimpleNamespace(INTEGRATED="INTEGRATED", CAN_MAP_HOST_MEMORY="CAN_MAP_HOST_MEMORY"),
            pagelocked_empty=pagelocked_empty,
            mem_alloc=mem_alloc,
            mem_get_info=mem_get_info,
            memcpy_htod_async=memcpy_htod_async,
            module_from_buffer=module_from_buffer,
        )

    def stack(self) -> list[object]:
        return self._stacks.setdefault(threading.get_ident(), [])

    @property
    def is_clean(self) -> bool:
        """No thread has a context left, and every one retained was given back."""
        return not any(self._stacks.values()) and not self._retained

    def enter(self, name: str) -> None:
        self.calls.append((name, threading.get_ident()))
        if not self.stack():
            raise LogicError("explicit_context_dependent failed: invalid device context - no currently active context?")
        if name in self.fail:
            raise self.fail[name]
        if DEVICE.lost and name != "pop":
            raise DEVICE.lost


def _planes(name: str, count: int, source: int, target: int, height: int, width: int) -> None:
    """What engine/planes.cu does."""
    frames = np.frombuffer((ctypes.c_char * (count * height * width * 3)).from_address(source), np.uint8).reshape(count, height, width, 3)
    dtype = np.dtype(name.removeprefix("planes_"))
    memory = (ctypes.c_char * (frames.size * dtype.itemsize)).from_address(target)
    np.frombuffer(memory, dtype).reshape(count, 3, height, width)[...] = frames.transpose(0, 3, 1, 2)


class LibCuda:
    """The driver's graph calls. fail : names that answer 900"""

    def __init__(self) -> None:
        self.fail: set[str] = set()
        self.launches = 0
        self._graphs: dict[int, list[Work]] = {}
        self._next = itertools.count(1)

    def _code(self, name: str) -> int:
        return 900 if name in self.fail else 0

    def cuStreamBeginCapture_v2(self, stream: ctypes.c_void_p, mode: ctypes.c_int) -> int:
        DEVICE.capturing[stream.value] = []
        return self._code("cuStreamBeginCapture_v2")

    def cuStreamEndCapture(self, stream: ctypes.c_void_p, graph: object) -> int:
        number = next(self._next)
        self._graphs[number] = DEVICE.capturing.pop(stream.value)
        graph._obj.value = number
        return self._code("cuStreamEndCapture")

    def cuGraphInstantiateWithFlags(self, executable: object, graph: ctypes.c_void_p, flags: object) -> int:
        executable._obj.value = graph.value
        return self._code("cuGraphInstantiateWithFlags")

    def cuGraphDestroy(self, graph: ctypes.c_void_p) -> int:
        return 0

    def cuGraphExecDestroy(self, executable: ctypes.c_void_p) -> int:
        return 0

    def cuGraphLaunch(self, executable: ctypes.c_void_p, stream: ctypes.c_void_p) -> int:
        self.launches += 1
        for work in self._graphs[executable.value]:
            DEVICE.queue(stream.value, work)
        return self._code("cuGraphLaunch")
